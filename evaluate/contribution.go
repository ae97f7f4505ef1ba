package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// contribute remembers what the step says about single dimensions, of slices
// old enough to have a usual ratio. After events one empty step is told too, so
// that the pool need not wait for it.
func (m *meter) contribute(step detect.Step, n, k []float64, live bool, youngFor, alive int64) {
	done := closed{step: step, live: live, total: n[0], bad: k[0]}
	if len(m.recent) == recentSteps {
		done.cells = m.recent[0].cells[:0]
		m.recent = slices.Delete(m.recent, 0, 1)
	}
	for ci, c := range m.cells {
		if step.Coverage < halfCovered || !c.judged || ci == 0 || c.learned < youngFor || m.learned < youngFor || n[ci] == 0 && !c.sending || len(m.rules) == 0 {
			continue
		}
		if c.latency != nil && (c.latency.choice.Le == 0 || step.Start < c.latency.from) {
			continue
		}
		c.sending = n[ci] > 0
		usual := c.base.Mean(m.priorOf(m.rules[0], ci))
		if n[ci] > 0 && len(m.mixed) == len(m.cells) {
			usual = math.Max(usual, m.expected(ci, n[ci], usual)/n[ci])
		}
		n, k := c.counted(n[ci], k[ci], step.Start, alive)
		done.cells = append(done.cells, contributed{ci, n, k, usual})
	}
	m.recent = append(m.recent, done)
}

func (ts *tenantState) contributions(m *meter, done closed, out []Contribution) []Contribution {
	out = slices.Grow(out, len(done.cells)*len(m.rules))
	for _, r := range m.rules {
		if !r.Kind.Ratio() || r.place == inShadow || ts.unjudged(m, r) != "" {
			continue
		}
		for _, c := range done.cells {
			if !r.cuts(m.cells[c.cell].slice) {
				continue
			}
			step := done.step
			step.N, step.K = c.n, c.k
			out = append(out, Contribution{Environment: m.env, Service: r.Service, Rule: r.Name, Slice: m.cells[c.cell].slice,
				Tenant: ts.id, Step: step, Usual: c.usual, Over: m.cells[c.cell].latency.edge(), Live: done.live})
		}
	}
	return out
}
