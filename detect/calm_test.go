package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What Calm leaves to Next, and what it does itself, come to the same as Next for every
// step: through faults, changing mixes, hours that close and steps that are no evidence.
func TestCalmIsWhatNextDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	calm, waned, all := 0, 0, 0
	for range 40 {
		fast, slow := &ErrorRatio{}, &ErrorRatio{}
		b := taught(3, 0.01)
		rate, ratio := r.Float64()*40, 0.01
		for i := range 2000 {
			if r.IntN(300) == 0 {
				ratio = []float64{0.01, 0.01, 0.04, 0.2, 0.9}[r.IntN(5)]
			}
			at := testStart + 3_600_000*3 + int64(i)*stepMillis
			s := Step{Start: at, End: at + stepMillis, N: poissonOf(r, rate), Coverage: 1}
			for range int(s.N) {
				if r.Float64() < ratio {
					s.K++
				}
			}
			switch r.IntN(60) {
			case 0:
				s.Coverage = 0.3
			case 1:
				s.Start -= stepMillis // not newer than the last
			}
			p := at16()
			p.Prior = []float64{0.01, 0.02}[i/700%2]
			if r.IntN(4) == 0 {
				p.Shift = r.Float64() * 0.05
			}
			q, f, g := p, s, s
			var one, other Decision
			slow.Next(&p, b, &s, &one)
			slow.calm.armed = false
			all++
			if fast.Calm(q.Prior, q.Alternative, b, &f) {
				calm++
				require.Equal(t, Decision{Usual: one.Usual, Upper: one.Upper, Needed: one.Needed}, one)
			} else if score, needed, ok := wane(fast, &q, b, &f); ok {
				waned++
				require.InDelta(t, one.Score, score, 1e-9)
				require.Equal(t, one.Needed, needed)
				require.Equal(t, one.Onset != 0, score > 0)
				require.False(t, one.Firing || one.Changed)
			} else {
				fast.Next(&q, b, &g, &other)
				require.InDelta(t, one.Score, other.Score, 1e-4)
				one.Score, other.Score = 0, 0
				require.Equal(t, one, other)
			}
			if !one.Firing {
				b.Observe(s)
			}
		}
		state, err := fast.MarshalBinary()
		require.NoError(t, err)
		var again ErrorRatio
		require.NoError(t, again.UnmarshalBinary(state))
		for _, d := range []*ErrorRatio{fast, &again} {
			d.tellWindows()
			for i := range windowBlocks {
				require.InEpsilon(t, 1+slow.short.block[i].n, 1+d.short.block[i].n, 1e-5)
				require.InEpsilon(t, 1+slow.long.block[i].n, 1+d.long.block[i].n, 1e-5)
				require.InEpsilon(t, 1+slow.long.block[i].k, 1+d.long.block[i].k, 1e-5)
			}
		}
		require.InEpsilon(t, 1+slow.recent.n+slow.recent.olderN, 1+fast.recent.n+fast.recent.olderN, 1e-6)
		require.InEpsilon(t, 1+slow.recent.k+slow.recent.olderK, 1+fast.recent.k+fast.recent.olderK, 1e-6)
		for _, c := range [][2]cusum{{slow.slow, fast.slow}, {slow.hard, fast.hard}} {
			require.InDelta(t, c[0].score, c[1].score, 1e-9)
			c[1].score = c[0].score
			require.Equal(t, c[0], c[1])
		}
		require.Equal(t, slow.last, fast.last)
	}
	require.Greater(t, min(calm, waned), all/20, "else nothing was shown")
}

func wane(d *ErrorRatio, p *Parameters, b *Baseline, s *Step) (score, needed float64, ok bool) {
	return d.Wane(p.Prior, p.Alternative, p.Shift, b, s)
}

func poissonOf(r *rand.Rand, mean float64) (n float64) {
	for x := r.ExpFloat64(); x < mean; x += r.ExpFloat64() {
		n++
	}
	return n
}

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
