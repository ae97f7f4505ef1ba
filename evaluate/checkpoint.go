package evaluate

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// kindTenant is the kind of a tenant's records.
const kindTenant = 'T'

// coder codes what an engine keeps of a tenant.
type coder struct{ *checkpoint.Coder }

// Checkpoint returns the tenant's state: series with their last values, open
// steps, what was learned, what fires, what was contributed last. Rules are not
// in it: they come from the policy by SetTenant.
func (e *Engine) Checkpoint(id tenant.ID) ([]byte, error) {
	ts := e.tenants[id]
	if ts == nil {
		return nil, problem.New(problem.NotFound, "the tenant is not evaluated here")
	}
	c := &coder{checkpoint.Write(kindTenant, checkpoint.Version)}
	c.tenant(ts)
	return c.Written()
}

// Restore replaces the tenant's state by a checkpoint. SetTenant comes first:
// what the checkpoint holds of rules the tenant no longer has is dropped, and
// alerts of theirs that stood are resolved. The next Advance sends the newest
// contributions again. An error leaves the tenant as it was.
func (e *Engine) Restore(id tenant.ID, data []byte) error {
	old := e.tenants[id]
	if old == nil {
		return problem.New(problem.NotFound, "the tenant is not evaluated here").WithHint("install it before its state is restored")
	}
	in, err := checkpoint.Read(data, kindTenant)
	if err != nil {
		return err
	}
	c := &coder{in}
	ts := newTenantState(e.o, id)
	ts.onboarded, ts.watched, ts.zone, ts.promised, ts.live, ts.countries = old.onboarded, old.watched, old.zone, old.promised, old.live, old.countries
	c.tenant(ts)
	if err := c.End(); err != nil {
		return err
	}
	ts.rules = []placed{{}} // never equal: every series is resolved anew
	ts.setRules(old.rules, 0, ruleGone)
	for _, m := range ts.meters {
		m.reweigh()
	}
	ts.resend, ts.dirty = true, true
	old.generation++
	for i, d := range e.dirty {
		if d == old {
			e.dirty = append(e.dirty[:i], e.dirty[i+1:]...)
			break
		}
	}
	e.dirty = append(e.dirty, ts)
	e.tenants[id] = ts
	ts.drain(&e.queued)
	return nil
}

func (c *coder) tenant(ts *tenantState) {
	c.Ints(&ts.newest, &ts.swept, &ts.fullAt, &ts.firstReceived, &ts.lastReceived, &ts.sighted, &ts.blindSince,
		&ts.lateSamples, &ts.refusedSamples)
	c.Floats(&ts.lateEvents, &ts.gapEvents)
	c.Bools(&ts.blind)
	checkpoint.List(c.Coder, &ts.meters, func(m **meter) {
		if c.Reading() {
			*m = newMeter("", sli.Spec{}, ts.o.Step.Milliseconds())
			(*m).thorough, (*m).desk = ts.o.thorough, ts.o.desk
		}
		c.meter(*m)
	})
	checkpoint.List(c.Coder, &ts.series, func(s **series) {
		if c.Reading() {
			*s = &series{}
		}
		c.series(ts, *s)
	})
	if c.Since(2) {
		c.sources(ts)
		c.Ints(&ts.rivalSamples)
		c.absences(ts)
	}
}

func (c *coder) series(ts *tenantState, s *series) {
	names := make([]string, 0, 16)
	s.ls.Range(func(l labels.Label) { names = append(names, l.Name, l.Value) })
	checkpoint.List(c.Coder, &names, c.Text)
	if c.Reading() {
		if len(names)%2 != 0 {
			c.Fail()
			return
		}
		s.ls = labels.FromStrings(names...)
		h := s.ls.Hash()
		ts.byHash[h] = append(ts.byHash[h], s)
		key := targetKey(s.ls)
		if s.target = ts.targets[key]; s.target == nil {
			s.target = &target{}
			ts.targets[key] = s.target
		}
	}
	c.Ints(&s.t, &s.first, &s.interval, &s.endedAt, &s.missedFrom)
	c.Floats(&s.v, &s.weight)
	c.Bools(&s.known, &s.ended, &s.gone)
	c.Small(&s.long)
	checkpoint.List(c.Coder, &s.gaps, func(g *span) { c.Ints(&g.from, &g.to) })
	g := s.target // once per series: a few bytes, and no order to keep
	c.Ints(&g.first, &g.interval, &g.scrapes[0], &g.scrapes[1], &g.scrapes[2], &g.scrapes[3])
	if c.Since(2) {
		c.rivalry(&s.rivalry)
	}
}

func (c *coder) meter(m *meter) {
	if !c.Reading() {
		m.catch()
	}
	id := string(m.id)
	c.Text(&m.env)
	c.Text(&id)
	m.id = sli.ID(id)
	c.Ints(&m.length, &m.next, &m.newest, &m.received, &m.learned, &m.balanced, &m.lastClose)
	c.Bools(&m.liveSeen)
	checkpoint.List(c.Coder, &m.rules, func(r **ruleState) {
		if c.Reading() {
			*r = &ruleState{}
		}
		c.rule(*r)
	})
	checkpoint.List(c.Coder, &m.cells, func(cl **cell) {
		if c.Reading() {
			*cl = &cell{}
		}
		c.cell(m, *cl)
	})
	checkpoint.List(c.Coder, &m.marks, func(k *mark) { c.Ints(&k.t, &k.received) })
	checkpoint.List(c.Coder, &m.open, func(p *pending) { c.pending(m, p) })
	checkpoint.List(c.Coder, &m.recent, func(d *closed) {
		c.Ints(&d.step.Start, &d.step.End)
		c.Floats(&d.step.Coverage, &d.total, &d.bad)
		c.Bools(&d.live)
		checkpoint.List(c.Coder, &d.cells, func(v *contributed) {
			c.Small(&v.cell)
			c.Floats(&v.n, &v.k, &v.usual)
		})
	})
	if c.Since(2) {
		for _, g := range m.groups { // what waits to be weighed will have moved
			m.edgesMoved = m.edgesMoved || g.dirty
		}
		c.Bools(&m.edgesMoved)
		checkpoint.Maybe(c.Coder, &m.flow, c.flow)
	}
	if c.Since(3) {
		c.day(&m.day)
	}
	if c.Since(9) {
		c.Int(&m.lulls.at)
		c.Floats(&m.lulls.first, &m.lulls.second)
	}
	if c.Since(15) {
		checkpoint.Optional(c.Coder, &m.trail)
	}
	if c.Reading() && c.Err() == nil {
		m.reindex(c)
	}
}

// flow codes a meter's volume.
func (c *coder) flow(f *flow) {
	c.State(&f.season)
	if c.Since(6) {
		x := &f.summed
		c.Ints(&x.start, &x.end)
		checkpoint.List(c.Coder, &x.cells, func(v *cellSum) { c.Floats(&v.n, &v.expected) })
	}
}

// reindex rebuilds what follows from the cells.
func (m *meter) reindex(c *coder) {
	if len(m.cells) == 0 || len(m.cells[0].slice) != 0 || !m.cells[0].judged {
		c.Fail()
		return
	}
	for i, cl := range m.cells {
		if len(cl.slice) == 1 {
			m.byDim[cl.slice[0]] = i
		}
		if cl.other != "" {
			m.others[cl.other] = i
		}
		if cl.joint != nil {
			if cl.judged || slices.ContainsFunc(cl.joint.cells, func(at int) bool { return at < 0 || at >= len(m.cells) }) {
				c.Fail()
				return
			}
			m.joints[jointKey(cl.joint.cells)] = i
		}
	}
	if t := m.trail; t != nil && slices.ContainsFunc(t.Combinations(), func(ci int) bool { return ci >= len(m.cells) || m.cells[ci].joint == nil }) {
		m.trail = nil // as from before they were kept
	}
	for _, d := range m.recent {
		for _, v := range d.cells {
			if v.cell < 0 || v.cell >= len(m.cells) {
				c.Fail()
			}
		}
	}
	for _, p := range m.open {
		if len(p.n) != len(p.k) || len(p.n) > len(m.cells) {
			c.Fail()
		}
	}
}
