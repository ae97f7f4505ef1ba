package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A deployment breaks a third of what comes for 18 to 42 seconds. Of some payments a second so
// few fail in each step that chance makes such a burst look even, and with that long: of a
// thousand some two may be held to be a fault, wherever in the steps they begin.
func TestADeploymentIsHardlyEverAFault(t *testing.T) {
	for _, rate := range []float64{0.6, 1.2, 2.5, 5} {
		const times = 1000
		fired, r := 0, rand.New(rand.NewPCG(7, uint64(100*rate)))
		for range times {
			d, b := &ErrorRatio{}, taught(rate, 0.01)
			begins := 600 + 15*r.Float64()
			ends := begins + 18 + 24*r.Float64()
			next, step := 0.0, Step{Start: testStart, Coverage: 1}
			for step.End < testStart+1_500_000 {
				step.End, step.N, step.K = step.Start+stepMillis, 0, 0
				for ; next < float64(step.End-testStart)/1000; next += r.ExpFloat64() / rate {
					fails := 0.01
					if next >= begins && next < ends {
						fails = 0.3
					}
					if step.N++; r.Float64() < fails {
						step.K++
					}
				}
				if d.Step(at16(), b, step).Firing {
					fired++
					break
				}
				step.Start = step.End
			}
		}
		t.Logf("%g a second: %d of %d", rate, fired, times)
		require.LessOrEqual(t, fired, times*8/1000, "%g a second", rate)
	}
}
