package evaluate

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Records start with (kind, version); readers take every version so far. Version 2
// added the severity of what stands and the evidence of the kinds of rules that are
// not about failures, and what is kept of events that carry their own time. Version 3
// added which rules are in shadow, and the volume of the last day, version 4 the
// windows of burn rates, version 5 the combinations of slices and what they make one
// expect, version 6 why another volume is expected and the volume that is judged over
// all tenants, version 7 who fails, version 8 the level of what lasts, version 9 how
// long a tenant is silent as usual, version 10 the last hour over all tenants, version
// 11 the customers that failures name, version 12 of how few a day's failures are,
// version 13 the last hour of large tenants, version 14 what spans say
// of failures that metrics count, version 15 what came to each combination of late,
// version 16 when a backlog came to what is judged over all tenants, version 17 the
// successes beside failures that are capped.
const (
	kindTenant        = 'T'
	kindPool          = 'P'
	checkpointVersion = 17
	checkpointOldest  = 1
)

// Checkpoint returns the tenant's state: series with their last values, open
// steps, what was learned, what fires, what was contributed last. Rules are not
// in it: they come from the policy by SetTenant.
func (e *Engine) Checkpoint(id tenant.ID) ([]byte, error) {
	ts := e.tenants[id]
	if ts == nil {
		return nil, problem.New(problem.NotFound, "the tenant is not evaluated here")
	}
	c := &coder{data: []byte{kindTenant, checkpointVersion}, version: checkpointVersion}
	c.tenant(ts)
	return c.data, c.err
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
	c, err := open(data, kindTenant)
	if err != nil {
		return err
	}
	ts := newTenantState(e.o, id)
	ts.onboarded, ts.watched, ts.zone, ts.promised, ts.live, ts.countries = old.onboarded, old.watched, old.zone, old.promised, old.live, old.countries
	c.tenant(ts)
	if c.err == nil && len(c.data) > 0 {
		c.fail()
	}
	if c.err != nil {
		return c.err
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

func open(data []byte, kind byte) (*coder, error) {
	if len(data) < 2 || data[0] != kind {
		return nil, problem.New(problem.Malformed, "this is no checkpoint of the kind that was expected")
	}
	if v := data[1]; v < checkpointOldest || v > checkpointVersion {
		return nil, problem.New(problem.Invalid, "the checkpoint has version %d", v).
			WithHint("this program reads versions %d to %d", checkpointOldest, checkpointVersion)
	}
	return &coder{data: data[2:], reading: true, version: data[1]}, nil
}

func (c *coder) tenant(ts *tenantState) {
	c.ints(&ts.newest, &ts.swept, &ts.fullAt, &ts.firstReceived, &ts.lastReceived, &ts.sighted, &ts.blindSince,
		&ts.lateSamples, &ts.refusedSamples)
	c.floats(&ts.lateEvents, &ts.gapEvents)
	c.bools(&ts.blind)
	list(c, &ts.meters, func(m **meter) {
		if c.reading {
			*m = newMeter("", sli.Spec{}, ts.o.Step.Milliseconds())
			(*m).thorough, (*m).desk = ts.o.thorough, ts.o.desk
		}
		c.meter(*m)
	})
	list(c, &ts.series, func(s **series) {
		if c.reading {
			*s = &series{}
		}
		c.series(ts, *s)
	})
	if c.version >= 2 {
		c.sources(ts)
		c.ints(&ts.rivalSamples)
		c.absences(ts)
	}
}

func (c *coder) series(ts *tenantState, s *series) {
	names := make([]string, 0, 16)
	s.ls.Range(func(l labels.Label) { names = append(names, l.Name, l.Value) })
	list(c, &names, c.text)
	if c.reading {
		if len(names)%2 != 0 {
			c.fail()
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
	c.ints(&s.t, &s.first, &s.interval, &s.endedAt, &s.missedFrom)
	c.floats(&s.v, &s.weight)
	c.bools(&s.known, &s.ended, &s.gone)
	c.small(&s.long)
	list(c, &s.gaps, func(g *span) { c.ints(&g.from, &g.to) })
	g := s.target // once per series: a few bytes, and no order to keep
	c.ints(&g.first, &g.interval, &g.scrapes[0], &g.scrapes[1], &g.scrapes[2], &g.scrapes[3])
	if c.version >= 2 {
		c.rivalry(&s.rivalry)
	}
}

func (c *coder) meter(m *meter) {
	if !c.reading {
		m.catch()
	}
	id := string(m.id)
	c.text(&m.env)
	c.text(&id)
	m.id = sli.ID(id)
	c.ints(&m.length, &m.next, &m.newest, &m.received, &m.learned, &m.balanced, &m.lastClose)
	c.bools(&m.liveSeen)
	list(c, &m.rules, func(r **ruleState) {
		if c.reading {
			*r = &ruleState{}
		}
		c.rule(*r)
	})
	list(c, &m.cells, func(cl **cell) {
		if c.reading {
			*cl = &cell{}
		}
		c.cell(m, *cl)
	})
	list(c, &m.marks, func(k *mark) { c.ints(&k.t, &k.received) })
	list(c, &m.open, func(p *pending) { c.pending(m, p) })
	list(c, &m.recent, func(d *closed) {
		c.ints(&d.step.Start, &d.step.End)
		c.floats(&d.step.Coverage, &d.total, &d.bad)
		c.bools(&d.live)
		list(c, &d.cells, func(v *contributed) {
			c.small(&v.cell)
			c.floats(&v.n, &v.k, &v.usual)
		})
	})
	if c.version >= 2 {
		for _, g := range m.groups { // what waits to be weighed will have moved
			m.edgesMoved = m.edgesMoved || g.dirty
		}
		c.bools(&m.edgesMoved)
		some := m.flow != nil
		if c.bools(&some); some {
			if c.reading {
				m.flow = &flow{}
			}
			c.state(&m.flow.season)
			if c.version >= 6 {
				x := &m.flow.summed
				c.ints(&x.start, &x.end)
				list(c, &x.cells, func(v *cellSum) { c.floats(&v.n, &v.expected) })
			}
		}
	}
	if c.version >= 3 {
		c.day(&m.day)
	}
	if c.version >= 9 {
		c.int(&m.lulls.at)
		c.floats(&m.lulls.first, &m.lulls.second)
	}
	if c.version >= 15 {
		optional(c, &m.trail)
	}
	if c.reading && c.err == nil {
		m.reindex(c)
	}
}

// reindex rebuilds what follows from the cells.
func (m *meter) reindex(c *coder) {
	if len(m.cells) == 0 || len(m.cells[0].slice) != 0 || !m.cells[0].judged {
		c.fail()
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
				c.fail()
				return
			}
			m.joints[jointKey(cl.joint.cells)] = i
		}
	}
	if t := m.trail; t != nil && slices.ContainsFunc(t.of, func(ci int) bool { return ci >= len(m.cells) || m.cells[ci].joint == nil }) {
		m.trail = nil // as from before they were kept
	}
	for _, d := range m.recent {
		for _, v := range d.cells {
			if v.cell < 0 || v.cell >= len(m.cells) {
				c.fail()
			}
		}
	}
	for _, p := range m.open {
		if len(p.n) != len(p.k) || len(p.n) > len(m.cells) {
			c.fail()
		}
	}
}
