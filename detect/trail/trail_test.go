package trail

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
)

const step = 15_000

// walk notes steps of four events each of combinations 1, 2 and 4, of which so much fails.
func walk(t *Trail, rng *rand.Rand, from, to int64, fail float64) {
	for at := from; at < to; at += step {
		n, k := make([]float64, 5), make([]float64, 5)
		for _, i := range t.Combinations() {
			for n[i] = 4; rng.Float64() < fail && k[i] < 4; k[i]++ {
			}
		}
		t.Note(detect.Step{Start: at, End: at + step, Coverage: 1}, n, k)
	}
}

func known(combinations ...int) *Trail {
	t := &Trail{}
	for _, i := range combinations {
		t.Add(i)
		t.Add(i)
	}
	return t
}

// It reaches back over a customer's patience, and knows what was before.
func TestATrailIsKept(t *testing.T) {
	want := known(1, 2)
	rng := rand.New(rand.NewPCG(1, 1))
	walk(want, rng, step, 3*3_600_000, .01)
	want.Add(4)
	walk(want, rng, 3*3_600_000, 12*3_600_000, .01)
	require.Equal(t, []int{1, 2, 4}, want.Combinations())
	require.Len(t, want.blocks, mostBlocks)
	require.GreaterOrEqual(t, want.blocks[mostBlocks-1].end-want.blocks[0].start, int64(75*60_000))
	require.Greater(t, want.Older().Minutes, 100.0)

	data, err := want.MarshalBinary()
	require.NoError(t, err)
	var got Trail
	require.NoError(t, got.UnmarshalBinary(data))
	require.Equal(t, *want, got)
	for n := range data {
		require.Error(t, new(Trail).UnmarshalBinary(data[:n]))
	}
	require.Error(t, got.UnmarshalBinary(append(data, 0)))
}

func TestASceneAndWhatWasBeforeIt(t *testing.T) {
	x := known(1)
	rng := rand.New(rand.NewPCG(1, 1))
	walk(x, rng, step, step+600_000, 0)
	x.Add(2)
	walk(x, rng, step+600_000, step+900_000, 1)
	from := int64(step + 600_000)
	require.Equal(t, from, x.Start(2), "the first failure begins a block")
	require.Greater(t, x.Start(0), x.Start(1))

	var scene detect.Scene
	before := x.Split(from, &scene)
	require.Equal(t, Sum{Minutes: 10, Came: []float64{160, 0}}, before)
	require.Equal(t, 5.0, scene.Minutes)
	require.Equal(t, []float64{2, 2, 1}, scene.Blocks)
	for _, p := range scene.Parts {
		require.Equal(t, detect.Part{Failures: 80, Run: []float64{32, 32, 16}}, p)
	}

	scene = detect.Scene{}
	x.Split(0, &scene)
	require.Equal(t, 160.0, scene.Parts[0].Successes)
	require.Zero(t, scene.Parts[1].Run[0], "it was born later")
	require.Len(t, scene.Parts[1].Run, len(scene.Blocks))
	require.Equal(t, Sum{Came: []float64{0, 0}}, x.Older(), "all of it is in blocks")
}
