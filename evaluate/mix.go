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
}

// fades are what is left of a mix after a step.
func fades(length int64) (f [2]float64) {
	for i, span := range [2]float64{360_000, 3_600_000} {
		f[i] = math.Exp(-float64(length) / span)
	}
	return f
}

// follow adds a step where the sums are ahead of now.
func (x *mix) follow(n, expected float64, ahead *[2]float64) {
	x.n[0], x.expected[0] = x.n[0]+n*ahead[0], x.expected[0]+expected*ahead[0]
	x.n[1], x.expected[1] = x.n[1]+n*ahead[1], x.expected[1]+expected*ahead[1]
}

// now brings a mix to now.
func (x *mix) now(ahead *[2]float64) {
	for i, by := range ahead {
		x.n[i], x.expected[i] = x.n[i]/by, x.expected[i]/by
	}
}

// mixOf is the mix of a cell at a place in judging, as much ahead as scale says, and what the newest step brought
// of it.
func (m *meter) mixOf(at, ci int) (x *mix, newest explained) {
	x = &m.mixes[at]
	switch n := m.desk.n[ci]; {
	case m.spec.Histogram == "":
		newest = explained{n, m.expected(ci, n, m.mixer.views[at].usual)}
	case ci == 0:
		newest = explained{n, m.over}
	}
	return x, newest
}

// ratio is the largest that the mix makes one expect: after a return to a better mix the
// windows still hold the worse one.
func (x *mix) ratio(newest explained) (most float64) {
	expected, n := newest.expected, newest.volume
	for i, other := range x.n {
		if other > 0 && (!(n > 0) || x.expected[i]*n > expected*other) {
			expected, n = x.expected[i], other
		}
	}
	if !(n > 0) {
		return 0
	}
	return expected / n
}

// within says whether ratio is at most a bound.
func (x *mix) within(newest explained, bound float64) bool {
	return newest.expected <= bound*newest.volume && x.expected[0] <= bound*x.n[0] && x.expected[1] <= bound*x.n[1]
}

// leastPace is the part of its usual volume that a cell is expected to have at any
// hour: by night the last hour may have been still.
const leastPace = 0.25

// perMinute is how many events a minute the cell has of late, without the failures that
// are suspected; 0 where that says nothing of a customer's retries.
func (m *meter) perMinute(r *ruleState, c *cell, v *view, lastHour float64) float64 {
	if r.Kind == rule.Latency || c.latency != nil {
		return 0
	}
	hour := lastHour - v.w.det.Suspected()
	if seen := m.seen(c); seen < 4*hourMs { // the hour is not full yet
		hour /= 1 - math.Exp(-float64(max(seen, 60_000))/hourMs)
	}
	return math.Max(hour/60, leastPace*v.rate)
}

// followMix works out for each judged cell what its mix makes one expect of the step, where
// it is usual what r says.
func (m *meter) followMix(r *ruleState, n []float64) {
	m.mixer, m.owing = r, true
	for i := range m.scale {
		m.scale[i] /= m.fades[i]
	}
	if m.spec.Histogram != "" {
		m.over = m.expectedOver(r.views[0].usual, n)
		m.mixes[0].follow(n[0], m.over, &m.scale)
		return
	}
	for at, ci := range m.judging {
		if came := n[ci]; came != 0 {
			m.mixes[at].follow(came, m.expected(ci, came, r.views[at].usual), &m.scale)
		}
	}
}

func (c *coder) mix(x *mix) {
	c.Floats(&x.n[0], &x.n[1], &x.expected[0], &x.expected[1])
}
