package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What passes makes the state that a step makes, and would have said nothing.
func TestVolumesThatPassSayNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	passed, fired, all := 0, 0, 0
	for round := range 200 {
		one, other := &Traffic{}, &Traffic{}
		mean, level := []float64{0.5, 8, 300}[round%3], 1.0
		v := Volume{Size: []float64{0, 0.3, 4, 40, 5000}[round%5], Less: round%4 != 0, More: round%4 < 2, Known: round%2 == 0}
		for i := range 600 {
			if r.IntN(100) == 0 {
				level = []float64{1, 1, 0, 0.1, 0.5, 8}[r.IntN(6)]
			}
			at := testStart + int64(i)*stepMillis
			s := Step{Start: at, End: at + stepMillis, N: poissonOf(r, mean*level), Coverage: 0.4 + 0.6*r.Float64()}
			p := at16()
			p.Young = i < 100
			v.Expected = mean * (0.5 + r.Float64())
			v.Low, v.High, v.Mean = v.Expected*r.Float64(), v.Expected*(1+r.Float64()), mean
			said := one.Step(p, v, s)
			all++
			if other.Passes(&p, &v, &s) {
				passed++
				require.Zero(t, said.Score)
				require.False(t, said.Changed || said.Firing)
			} else {
				require.Equal(t, said, other.Step(p, v, s))
			}
			require.Equal(t, one, other)
			if said.Changed && said.Firing {
				fired++
			}
		}
	}
	require.Greater(t, passed, all/3)
	require.Greater(t, fired, 20)
}

// However counts scatter, what passes is no evidence of lost traffic.
func TestNoEvidenceFromWhereLossTurns(t *testing.T) {
	for size := 1e-3; size < 1e8; size *= 1.5 {
		for mu := 1e-2; mu < 1e6; mu *= 3 {
			require.LessOrEqual(t, volumeEvidence(lostTurns*mu, mu, size, lostTo), 0.0, "%v %v", size, mu)
			require.LessOrEqual(t, volumeEvidence(mu, mu, size, surgeTo), 0.0, "%v %v", size, mu)
		}
	}
}
