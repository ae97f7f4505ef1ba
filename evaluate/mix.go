package evaluate

import (
	"math"

	"github.com/tocsin-alerting/tocsin/rule"
)

// expectedOver is how many slow events of the step the mix of its slices makes one
// expect of the total, so that moving to a slower method is no fault: by each
// dimension from its slices' distributions, at the total's edge (their own may be
// another), and the dimension that expects most counts.
func (m *meter) expectedOver(usual float64, n []float64) float64 {
	most, edge := 0.0, m.cells[0].latency.edge()
	for _, label := range m.spec.Slices {
		expected, volume := 0.0, 0.0
		for _, ci := range m.judging {
			c := m.cells[ci]
			if len(c.slice) == 0 || c.slice[0].Label != label || n[ci] <= 0 {
				continue
			}
			over, _ := c.slower(edge)
			volume += n[ci]
			expected += n[ci] * over
		}
		if volume >= n[0]/2 {
			most = max(most, expected+max(0, n[0]-volume)*usual)
		}
	}
	if most == 0 {
		return n[0] * usual
	}
	return most
}

// mix follows what the combinations of a cell make one expect of it over the times
// that the detector's windows look back on, six minutes and an hour.
type mix struct {
	n, expected [2]float64
	newest      explained // the newest step's events and what is expected of them; derived
}

// fades are what is left of a mix after a step.
func fades(length int64) (f [2]float64) {
	for i, span := range [2]float64{360_000, 3_600_000} {
		f[i] = math.Exp(-float64(length) / span)
	}
	return f
}

// follow adds a step.
func (x *mix) follow(n, expected float64, fades *[2]float64) {
	x.newest = explained{n, expected}
	x.n[0], x.expected[0] = x.n[0]*fades[0]+n, x.expected[0]*fades[0]+expected
	x.n[1], x.expected[1] = x.n[1]*fades[1]+n, x.expected[1]*fades[1]+expected
}

// ratio is the largest that the mix makes one expect: after a return to a better mix the
// windows still hold the worse one.
func (x *mix) ratio() (most float64) {
	if x.newest.volume > 0 {
		most = x.newest.expected / x.newest.volume
	}
	for i, n := range x.n {
		if n > 0 {
			most = max(most, x.expected[i]/n)
		}
	}
	return most
}

// within says whether ratio is at most a bound.
func (x *mix) within(bound float64) bool {
	return x.newest.expected <= bound*x.newest.volume && x.expected[0] <= bound*x.n[0] && x.expected[1] <= bound*x.n[1]
}

// leastPace is the part of its usual volume that a cell is expected to have at any
// hour: by night the last hour may have been still.
const leastPace = 0.25

// perMinute is how many events a minute the cell has of late, without the failures that
// w suspects; 0 where that says nothing of a customer's retries.
func (c *cell) perMinute(r *ruleState, w *watch) float64 {
	if r.Kind == rule.Latency || c.latency != nil {
		return 0
	}
	hour := c.mix.n[1] - w.det.Suspected()
	if c.learned < 4*3_600_000 { // the hour is not full yet
		hour /= 1 - math.Exp(-float64(max(c.learned, 60_000))/3_600_000)
	}
	return math.Max(hour/60, leastPace*c.base.Rate())
}

// followMix works out for each judged cell what its mix makes one expect of the step.
func (m *meter) followMix(r *ruleState, n, k []float64, youngFor int64) {
	m.explain(n, k, youngFor)
	for _, ci := range m.judging {
		c := m.cells[ci]
		if c.latency != nil && ci > 0 {
			continue
		}
		usual := c.base.Usually(m.prior(r, ci))
		if c.latency != nil {
			c.mix.follow(n[ci], m.expectedOver(usual, n), &m.fades)
		} else {
			c.mix.follow(n[ci], m.expected(ci, n[ci], usual), &m.fades)
		}
	}
}

func (c *coder) mix(x *mix) {
	c.floats(&x.n[0], &x.n[1], &x.expected[0], &x.expected[1])
}
