package histogram

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func learned(n float64, over map[float64]float64) *Shape {
	s := &Shape{}
	for le, share := range over {
		s.Seen([]float64{le}, n)
		s.Below(le, 0, n*(1-share))
	}
	return s
}

var buckets = []float64{.1, .25, .5, 1, 2.5}

func TestTheLowestEdgeThatATenthExceeds(t *testing.T) {
	s := learned(1000, map[float64]float64{.1: .9, .25: .5, .5: .08, 1: .01, 2.5: .001})
	c := s.Choose(buckets, 0)
	require.Equal(t, .5, c.Le)
	require.InDelta(t, .08, c.Usual, 1e-9)
	require.InDelta(t, .5, c.Lower, 1e-9, "what exceeds the next lower edge")

	s = learned(1000, map[float64]float64{.1: .05, .25: .01, .5: .01, 1: 0, 2.5: 0})
	require.Equal(t, Choice{Le: .1, Usual: .05, Lower: 1, N: 1000}, round(s.Choose(buckets, 0)), "below the lowest edge is everything")
}

func round(c Choice) Choice {
	c.Usual = float64(int(c.Usual*1000+.5)) / 1000
	return c
}

func TestAnEdgeInUseStays(t *testing.T) {
	s := learned(1000, map[float64]float64{.1: .9, .25: .095, .5: .01, 1: 0, 2.5: 0})
	require.Equal(t, .25, s.Choose(buckets, .25).Le)
	require.Equal(t, .5, s.Choose(buckets, .5).Le, "the lower one is hardly better")
	s = learned(1000, map[float64]float64{.1: .9, .25: .11, .5: .01, 1: 0, 2.5: 0})
	require.Equal(t, .25, s.Choose(buckets, .25).Le, "a little over a tenth is no reason to forget")
	require.Equal(t, .5, s.Choose(buckets, 0).Le)
	s = learned(1000, map[float64]float64{.1: .9, .25: .02, .5: .01, 1: 0, 2.5: 0})
	require.Equal(t, .25, s.Choose(buckets, 1).Le, "a much better one is taken")
}

func TestWhatCannotBeJudged(t *testing.T) {
	require.Zero(t, (&Shape{}).Choose(buckets, 0))
	require.Zero(t, learned(20, map[float64]float64{.5: .05}).Choose(buckets, 0), "too few events")
	slow := learned(1000, map[float64]float64{.1: 1, .25: 1, .5: 1, 1: .9, 2.5: .6})
	require.Zero(t, slow.Choose(buckets, 0), "most take longer than every edge")
	fair := learned(1000, map[float64]float64{.1: 1, .25: 1, .5: 1, 1: .9, 2.5: .2})
	require.Equal(t, 2.5, fair.Choose(buckets, 0).Le, "the highest, though more than a tenth exceeds it")
	require.Zero(t, fair.Choose([]float64{.1}, 0), "an edge that no sender has is no choice")
}

func TestItForgets(t *testing.T) {
	s := learned(1000, map[float64]float64{.5: .2})
	s.Fade(1)
	s.Fade(1 + 24*3_600_000)
	_, n := s.Over(.5)
	require.InDelta(t, 1000/2.718281828, n, .1)
	s.Fade(1 + 40*24*3_600_000)
	require.Empty(t, s.Edges, "an edge nobody sends any more goes")
}
