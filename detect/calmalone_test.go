package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A stream without a baseline comes to the same where calm steps are passed over, whatever
// its prior is at each of them.
func TestCalmAloneIsTheSameAsEveryStep(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	passed, all, fired := 0, 0, 0
	for round := range 40 {
		one, other := &ErrorRatio{}, &ErrorRatio{}
		rate, ratio := []float64{1, 30, 900}[round%3], 0.02
		for i := range 2000 {
			if r.IntN(400) == 0 {
				ratio = []float64{0.02, 0.02, 0.02, 0.05, 0.3}[r.IntN(5)]
			}
			at := testStart + int64(i)*stepMillis
			s := Step{Start: at, End: at + stepMillis, N: poissonOf(r, rate), Coverage: 1}
			s.K = min(s.N, poissonOf(r, s.N*ratio))
			p := at16()
			p.Prior, p.PriorWeight = 0.02*(0.5+r.Float64()), 10_000
			if round%5 == 0 {
				p.Prior /= 1000
			}
			if i > 1500 {
				p.Budget = 2 * p.Budget
			}
			said, says := one.Step(p, nil, s), Decision{}
			all++
			if q, g := p, s; other.CalmAlone(&q, &g, &says) {
				passed++
				require.InDelta(t, said.Needed, says.Needed, 1e-12)
				require.Zero(t, said.Score)
				require.Zero(t, said.Onset)
				require.False(t, said.Firing || said.Changed || said.Held || said.Forgiven)
			} else {
				says = other.Step(p, nil, s)
				require.InDelta(t, said.Score, says.Score, 1e-4)
				said.Score, says.Score = 0, 0
				require.Equal(t, said, says)
			}
			if said.Changed && said.Firing {
				fired++
			}
		}
		other.tellWindows()
		one.tellWindows()
		for i := range windowBlocks {
			require.InEpsilon(t, 1+one.short.block[i].n, 1+other.short.block[i].n, 1e-5)
			require.InEpsilon(t, 1+one.long.block[i].k, 1+other.long.block[i].k, 1e-5)
		}
		require.InEpsilon(t, 1+one.recent.k+one.recent.olderK, 1+other.recent.k+other.recent.olderK, 1e-6)
	}
	require.Greater(t, passed, all/3)
	require.Positive(t, fired)
}

// What calm steps of a stream without a baseline rest on: the bound is not below the prior.
func TestTheUpperBoundIsAboveThePrior(t *testing.T) {
	for prior := 1e-6; prior < mostRatio; prior *= 1.1 {
		p := Parameters{Prior: prior, PriorWeight: 10_000}
		_, upper := (*Baseline)(nil).Ratio(p)
		require.GreaterOrEqual(t, upper, clampRatio(prior*(1+swingSigma*priorSwing)), "%v", prior)
	}
}
