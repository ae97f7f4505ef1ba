package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What stands for a detector comes to the same as the detector for every step: through
// faults, changing mixes, hours that close, other priors, and catching up at any time, while it
// is young and after.
func TestWhatStandsForADetectorDoesWhatItDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	passed, fell, all, resumed, young, alone := 0, 0, 0, 0, 0, 0
	for round := range 60 {
		one, other, x := &ErrorRatio{}, &ErrorRatio{}, &Idle{}
		b := taught(3, 0.01)
		rate, ratio := []float64{0.3, 3, 40}[round%3]*r.Float64(), 0.01
		for i := range 2000 {
			if r.IntN(300) == 0 {
				ratio = []float64{0.01, 0.01, 0.01, 0.04, 0.2, 0.9}[r.IntN(6)]
			}
			at := testStart + 3_600_000*3 + int64(i)*stepMillis
			s := Step{Start: at, End: at + stepMillis, N: poissonOf(r, rate), Coverage: 1}
			for range int(s.N) {
				if r.Float64() < ratio {
					s.K++
				}
			}
			if r.IntN(60) == 0 {
				s.Start -= stepMillis // not newer than the last
			}
			p := at16()
			p.Prior = []float64{0.01, 0.02}[i/700%2]
			more := 0.
			if r.IntN(4) == 0 {
				more = r.Float64() * 0.05
			}
			if p.Shift = more; round%2 == 1 && i < 700 {
				p.Young, p.Shift, more = true, 0, 0
				young++
			} else if other.Young() {
				other.Resume(x)
			}
			q, f, g := p, s, s
			var said, says Decision
			one.Next(&p, b, &f, &said)
			one.calm.armed = false // never by Calm
			all++
			if other.Renew(x, q.Prior, 0, b); x.Passes(g.N, g.K) {
				passed++
				if p.Young {
					alone++
				}
				success := 0.
				if x.Suspects() {
					fell++
					success = x.Takes(b.Usually(q.Prior), 0, more)
				}
				x.Pass(other, g.N, g.K, success, Minute(g.Start), &g)
				require.InDelta(t, said.Score, x.Score(), 1e-9)
				require.False(t, said.Firing || said.Changed || said.Held)
			} else {
				if x.On() {
					resumed++
				}
				other.Resume(x)
				other.Next(&q, b, &g, &says)
				other.Rest(x)
				require.InDelta(t, said.Score, says.Score, 1e-4)
				said.Score, says.Score = 0, 0
				require.Equal(t, said, says)
			}
			if !said.Firing {
				b.Observe(s)
			}
			if r.IntN(50) == 0 {
				other.Catch(x)
				require.Equal(t, one.last, other.last)
				require.InDelta(t, one.slow.score, other.slow.score, 1e-9)
				require.InDelta(t, one.slow.n, other.slow.n, 1e-9)
				require.Equal(t, one.slow.onset, other.slow.onset)
				require.Equal(t, one.worst, other.worst)
				require.Equal(t, one.hard, other.hard)
			}
		}
		other.Resume(x)
		other.tellWindows()
		for i := range windowBlocks {
			require.InEpsilon(t, 1+one.short.block[i].n, 1+other.short.block[i].n, 1e-5)
			require.InEpsilon(t, 1+one.long.block[i].n, 1+other.long.block[i].n, 1e-5)
			require.InEpsilon(t, 1+one.long.block[i].k, 1+other.long.block[i].k, 1e-5)
		}
		require.InEpsilon(t, 1+one.recent.n+one.recent.olderN, 1+other.recent.n+other.recent.olderN, 1e-6)
		require.InEpsilon(t, 1+one.recent.k+one.recent.olderK, 1+other.recent.k+other.recent.olderK, 1e-6)
	}
	require.Greater(t, alone, young/2)
	require.Greater(t, min(passed, 10*fell, 100*resumed), all/20, "else nothing was shown")
}
