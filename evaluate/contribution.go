package evaluate

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/sli"
)

// next makes room for a closed step in recent, and takes the buffer of the one that is
// forgotten.
func (m *meter) nextRecent() *closed {
	if len(m.recent) < recentSteps {
		m.recent = append(m.recent, closed{})
		return &m.recent[len(m.recent)-1]
	}
	buffer := m.recent[0].cells[:0]
	if cap(m.recent) == recentSteps { // at the end of what it moves through
		copy(m.was[:], m.recent[1:])
		m.recent = m.was[:recentSteps]
	} else {
		m.recent = m.recent[1 : recentSteps+1]
	}
	d := &m.recent[recentSteps-1]
	*d = closed{cells: buffer}
	return d
}

// contribute remembers what the step says about single dimensions, of slices
// old enough to have a usual ratio. After events one empty step is told too, so
// that the pool need not wait for it.
func (ts *tenantState) contribute(m *meter, step detect.Step, n, k []float64, live bool) {
	youngFor, alive := ts.o.YoungFor.Milliseconds(), ts.o.LiveFor.Milliseconds()
	done := m.nextRecent()
	done.step, done.live, done.total, done.bad = step, live, n[0], k[0]
	if step.Coverage < halfCovered || m.learned < youngFor || len(m.rules) == 0 {
		return
	}
	m.renew(youngFor)
	for at, ci := range m.judging {
		x, came := &m.pulses[at], n[ci]
		if ci == 0 || !x.ripe || came == 0 && !x.sending {
			continue
		}
		if m.spec.Histogram != "" && !m.cells[ci].latency.judges(step.Start) {
			continue
		}
		x.sending = came > 0
		v := contributed{ci, came, k[ci], x.usual}
		if came > 0 {
			v.usual = max(v.usual, m.expected(ci, came, v.usual)/came)
		}
		if !m.plain {
			v.n, v.k = m.cells[ci].counted(came, v.k, step.Start, alive)
		}
		if len(done.cells) == cap(done.cells) { // they are kept for long: no more room than is needed
			done.cells = slices.Grow(done.cells, 4)
		}
		done.cells = append(done.cells, v)
	}
}

// contributions tells what a closed step contributed.
func (ts *tenantState) contributions(m *meter, done *closed, out []exchange.Contribution) []exchange.Contribution {
	for ri, r := range m.rules {
		if !r.Kind.Ratio() || r.place == inShadow || ts.unjudged(m, r) != "" {
			continue
		}
		origin := ts.origin(m, r)
		for i := range done.cells {
			v := &done.cells[i]
			if c := m.cells[v.cell]; c.judged && c.watches[ri] != nil || !c.judged && r.Cuts(c.slice) {
				out = append(out, exchange.Contribution{})
				m.contribution(&out[len(out)-1], origin, done, v, c.slice)
			}
		}
	}
	return out
}

// tellNewest is contributions of the step that was kept last, of which it is known where
// its cells are in judging: no cell is looked at.
func (ts *tenantState) tellNewest(m *meter, out []exchange.Contribution) []exchange.Contribution {
	done := &m.recent[len(m.recent)-1]
	for _, r := range m.rules {
		if !r.Kind.Ratio() || r.place == inShadow || ts.unjudged(m, r) != "" {
			continue
		}
		out = slices.Grow(out, len(done.cells))
		at, origin := 0, ts.origin(m, r)
		for i := range done.cells {
			v := &done.cells[i]
			for m.judging[at] != v.cell {
				at++
			}
			if r.views[at].w != nil {
				out = out[:len(out)+1]
				m.contribution(&out[len(out)-1], origin, done, v, m.pulses[at].slice)
			}
		}
	}
	return out
}

// contribution is what a rule's slice contributed to a closed step.
func (m *meter) contribution(x *exchange.Contribution, of *exchange.Origin, done *closed, v *contributed, slice sli.Slice) {
	x.Origin, x.Slice, x.Step = of, slice, done.step
	x.Step.N, x.Step.K = v.n, v.k
	x.Usual, x.Over, x.Expected, x.Live = v.usual, 0, 0, done.live
	if m.spec.Histogram != "" {
		x.Over = m.cells[v.cell].latency.edge()
	}
}

// origin is what all contributions of a rule have in common.
func (ts *tenantState) origin(m *meter, r *ruleState) *exchange.Origin {
	if r.origin == nil {
		r.origin = &exchange.Origin{Environment: m.env, Service: r.Service, Rule: r.Name, Tenant: ts.id}
	}
	return r.origin
}
