package crowd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExactUpToItsRoom(t *testing.T) {
	var c Crowd
	for range 3 {
		for i := range Room {
			c.Meet(Of(fmt.Sprint("customer ", i)))
		}
	}
	require.Zero(t, c.Level())
	require.Equal(t, float64(Room), c.Size())
	require.Zero(t, c.Meet(Of("customer 7")), "met before")
	require.Equal(t, 1., c.Meet(Of("somebody else")), "the one too many counts as one")
	require.Equal(t, 1, c.Level())
	require.LessOrEqual(t, len(c.Marks()), Room)
}

// What the newly met add up to is how many there were, and so is the size, at any number.
func TestEstimates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1_000, 30_000, 400_000} {
		var c Crowd
		news := 0.
		for range n {
			m := Mark(rng.Uint32())
			news += c.Meet(m)
			c.Meet(m)
		}
		require.InEpsilon(t, n, news, .25, n)
		require.InEpsilon(t, n, c.Size(), .25, n)
		require.LessOrEqual(t, len(c.Marks()), Room)
	}
}

// Whoever meets the same people, in whatever order and pieces, tells the same apart.
func TestOrderAndPiecesDoNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	all := make([]Mark, 5_000)
	for i := range all {
		all[i] = Mark(rng.Uint32())
	}
	var one, other, pieces Crowd
	for _, m := range all {
		one.Meet(m)
	}
	for _, m := range slices.Backward(all) {
		other.Meet(m)
	}
	for part := range slices.Chunk(all, 1_000) {
		var c Crowd
		for _, m := range part {
			c.Meet(m)
		}
		require.Positive(t, c.Level())
		pieces.Join(&c)
		require.Zero(t, pieces.Join(&c), "a piece that comes twice")
	}
	require.Equal(t, one, other)
	require.Equal(t, one.Level(), pieces.Level())
	require.Equal(t, one.Marks(), pieces.Marks())
}

func TestNewTakesWhatACrowdSaid(t *testing.T) {
	var c Crowd
	for i := range 1_000 {
		c.Meet(Of(fmt.Sprint(i)))
	}
	again, err := New(c.Level(), c.Marks())
	require.NoError(t, err)
	require.Equal(t, c, again)
	for _, bad := range []struct {
		level int
		marks []Mark
	}{{-1, nil}, {25, nil}, {0, []Mark{2, 1}}, {0, []Mark{1, 1}}, {1, []Mark{1}}, {0, make([]Mark, Room+1)}} {
		_, err := New(bad.level, bad.marks)
		require.Error(t, err)
	}
}

// Marks that all end in zeros are no hashes; even they take no more room.
func TestRoomIsBoundedWhateverComes(t *testing.T) {
	var c Crowd
	for i := range 10 * Room {
		c.Meet(Mark(i) << mostLevel)
	}
	require.LessOrEqual(t, len(c.Marks()), Room)
}

func BenchmarkMeet(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c Crowd
	for b.Loop() {
		c.Meet(Mark(rng.Uint32()))
	}
}
