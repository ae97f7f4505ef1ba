package evaluate

import (
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

// judgement is a step that a rule's streams are judged by.
type judgement struct {
	m         *meter
	ri        int
	r         *ruleState
	step      detect.Step
	live      bool
	looks     bool // at the last hour too
	loses     bool // lost traffic rings in the meter
	p         detect.Parameters
	d, lately detect.Decision
}

// desk is what a step is worked out on. All meters of an engine share it, one step after the
// other: what no step leaves behind need not lie with every tenant.
type desk struct {
	judgement judgement
	n, k      []float64   // of the newest step, by cell
	mixed     []explained // of that, by cell
	pending   []owed      // by cell, while it is settled
	moved     int         // steps of cells that went through a whole detector, so far
}

// stirs keeps what a watch came to that other cells are to know of.
func (m *meter) stirs(w *watch, changed bool) {
	m.troubled = m.troubled || changed
	m.astir = m.astir || w.Firing || w.det.HeldSince() > 0
}

// move moves a stream's detector, and says whether nothing stands of it.
func (ts *tenantState) move(j *judgement, at, ci int, n, k float64) (quiet bool) {
	m, r, p, d, step, alive := j.m, j.r, &j.p, &j.d, j.step, ts.o.LiveFor.Milliseconds()
	c := m.cells[ci]
	v := &r.views[at]
	w, s := v.w, step
	if !c.judgeable(r, step.Start) {
		return false
	}
	s.N, s.K = c.counted(n, k, step.Start, alive)
	p.Prior, p.Alternative = m.prior(r, ci), c.alternative()
	if r.Kind == rule.Declines && !m.plain {
		w.declined(s.N, s.K, m.lateFade)
	}
	turning := j.looks && (v.thick || w.turn != nil) && ts.turning(j, ci, w, &s, k)
	if w.Raised == nil && !turning && w.det.Calm(p.Prior, p.Alternative, c.base, &s) {
		c.calm()
		return true
	}
	usual := v.usual
	if m.stale {
		usual = c.base.Usually(p.Prior)
	}
	x, newest := m.mixOf(at, ci)
	shift := x.ratio(newest) - usual
	if w.Raised == nil && !turning && s.K == 0 {
		if score, needed, ok := w.det.Wane(p.Prior, p.Alternative, shift, c.base, &s); ok {
			if w.Score, w.Needed = score, needed; score == 0 {
				c.calm()
			}
			return true
		}
	}
	p.Young = ts.young(m, c)
	if p.Shift = shift; p.Young {
		p.Shift = 0
	}
	if p.PerMinute, p.Witness = 0, nil; c.who(step.Start, alive) == nil {
		p.PerMinute = m.perMinute(r, c, v, x.n[1]/m.scale[1])
		if m.trail != nil {
			m.witness = witness{m, ci, ts.o.YoungFor.Milliseconds()}
			p.Witness = &m.witness
		}
	}
	moved := s
	w.det.Next(p, c.base, &moved, d)
	m.lasts(r, ci, w, s, d, ts.acceptedBy(m, spot{r, c, w}, s.End))
	if w.turn != nil {
		*d = detect.Either(*d, j.lately, w.Firing)
	}
	w.follow(d, s.End)
	if d.Onset == 0 {
		c.calm()
	}
	m.stirs(w, d.Changed)
	ts.decided(j, ci, w)
	return w.Raised == nil && !w.Firing && !d.Changed && !d.Forgiven
}

// decided follows what a stream's detector has decided.
func (ts *tenantState) decided(j *judgement, ci int, w *watch) {
	m, d, end := j.m, &j.d, j.step.End
	c := m.cells[ci]
	if d.Forgiven && !w.trial {
		m.touched(ci, func(b *detect.Baseline) { b.Retract(d.Onset, end) })
	}
	if d.Changed && d.Firing && !w.trial {
		m.touched(ci, func(b *detect.Baseline) { b.Retract(d.Onset, end) })
	} else if d.Changed && !w.trial && d.Onset > 0 && !w.forgiven {
		c.healed = end
	}
	if j.live && (w.Firing || w.Raised != nil) {
		ts.say(m, spot{j.r, c, w}, *d, j.step)
	}
}
