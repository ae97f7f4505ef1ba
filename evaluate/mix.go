package evaluate

import (
	"math"

	"github.com/tocsin-alerting/tocsin/detect"
)

// expected is how many failures of the step the mix of its slices makes one
// expect of the total, so that moving to a worse method is no fault: by each
// dimension from its slices' own usual ratios, and the dimension that expects
// most counts. A slice too young to have a usual ratio explains its own
// failures (it is judged by itself), unless most of the volume is that young.
func (m *meter) expected(r *ruleState, usual float64, n, k []float64, youngFor int64) float64 {
	most := 0.0
	for _, label := range r.SLI.Slices {
		expected, volume, known := 0.0, 0.0, 0.0
		for ci, c := range m.cells {
			if !c.judged || len(c.slice) == 0 || c.slice[0].Label != label || n[ci] <= 0 {
				continue
			}
			volume += n[ci]
			if c.latency != nil { // at the total's edge: its own may be another
				known += n[ci]
				over, _ := c.slower(m.cells[0].latency.edge())
				expected += n[ci] * over
				continue
			}
			if c.learned < youngFor {
				expected += k[ci]
				continue
			}
			known += n[ci]
			mean, _ := c.base.Ratio(detect.Parameters{Prior: m.prior(r, ci)})
			expected += n[ci] * mean
		}
		if known >= n[0]/2 {
			most = math.Max(most, expected+math.Max(0, n[0]-volume)*usual)
		}
	}
	if most == 0 {
		return n[0] * usual
	}
	return most
}

// mix follows what the slices make one expect of the total over the times that
// the detector's windows look back on, six minutes and an hour.
type mix struct{ n, expected [2]float64 }

// follow adds a step and returns the largest of the ratios: after a return to a
// better mix the windows still hold the worse one.
func (x *mix) follow(n, expected float64, length int64) (ratio float64) {
	if n > 0 {
		ratio = expected / n
	}
	for i, span := range [2]float64{360_000, 3_600_000} {
		fade := math.Exp(-float64(length) / span)
		x.n[i], x.expected[i] = x.n[i]*fade+n, x.expected[i]*fade+expected
		if x.n[i] > 0 {
			ratio = math.Max(ratio, x.expected[i]/x.n[i])
		}
	}
	return ratio
}
