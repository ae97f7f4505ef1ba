package evaluate

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// prior is what a cell is thought to do before it has its own ratio: the
// rule's word, or for a slice the tenant's own total once that is known.
func (m *meter) prior(r *ruleState, ci int) float64 {
	if ci == 0 {
		return r.Prior
	}
	return r.slices
}

// priorOf is prior as a detector is told it.
func (m *meter) priorOf(r *ruleState, ci int) detect.Parameters {
	return detect.Parameters{Prior: m.prior(r, ci)}
}

func (m *meter) setPriors() {
	base := m.cells[0].base
	known := m.spec.Histogram == "" && base.Events() >= ownRatioFrom
	for _, r := range m.rules {
		if r.slices = r.Prior; known {
			r.slices = base.Usually(r.Prior)
		}
	}
}

// holdAfter is how long after a fault nothing is learned of what it touched, in ms.
const holdAfter = 12 * 3_600_000

// learn lets the cells that are healthy, and have been for a while, learn the step.
// What a slice's fault does to the total, and to the slices it crosses, is not learned
// by those either. What is not learned is kept aside, until somebody says what it was.
func (m *meter) learn(step detect.Step, n, k []float64) {
	hour, seconds := step.Start/hourMs, step.Coverage*float64(step.End-step.Start)/1000
	if m.defers(hour, seconds, int64(step.Coverage*float64(step.End-step.Start))) {
		return
	}
	if m.seconds > 0 { // some of it is to be learned first
		m.settle()
	}
	holds, any := slices.Grow(m.holds[:0], len(m.cells))[:len(m.cells)], false
	clear(holds)
	for _, ci := range m.judging {
		c := m.cells[ci]
		holds[ci] = c.withholds(step.Start)
		any = any || holds[ci]
	}
	m.holds, m.troubled = holds, any
	m.hour, m.uniform = hour, !any
	held := m.learnJoints(step, n, k, any)
	for _, ci := range m.judging {
		c := m.cells[ci]
		if c.latency != nil && !c.latency.judges(step.Start) {
			continue
		}
		n, k := n[ci], k[ci]
		if any && (holds[ci] || ci == 0 || held[ci] > heldShare*n) {
			m.withhold(c.base, step, n, k)
		} else {
			m.observe(c.base, step, hour, seconds, n, k)
		}
	}
}
