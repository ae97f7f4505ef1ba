package evaluate

import "github.com/tocsin-alerting/tocsin/detect"

// prior is what a cell is thought to do before it has its own ratio: the
// rule's word, or for a slice the tenant's own total once that is known.
func (m *meter) prior(r *ruleState, ci int) float64 {
	if ci == 0 {
		return r.Prior
	}
	return r.slices
}

func (m *meter) setPriors() {
	base := m.cells[0].base
	known := base.Events() >= ownRatioFrom
	for _, r := range m.rules {
		if r.slices = r.Prior; known && m.spec.Histogram == "" {
			r.slices, _ = base.Ratio(detect.Parameters{Prior: r.Prior})
		}
	}
}

// learn lets the cells that are healthy learn the step. What a slice's fault
// does to the total is not learned by the total either.
func (m *meter) learn(step detect.Step, n, k []float64) {
	ringing := false
	for ci := len(m.cells) - 1; ci >= 0; ci-- {
		c := m.cells[ci]
		if !c.judged {
			continue
		}
		fires := c.ringing()
		ringing = ringing || fires
		if fires || ci == 0 && ringing || c.latency != nil && (c.latency.choice.Le == 0 || step.Start < c.latency.from) {
			continue
		}
		s := step
		s.N, s.K = n[ci], k[ci]
		c.base.Observe(s)
	}
}
