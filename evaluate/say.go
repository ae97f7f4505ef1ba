package evaluate

import (
	"math"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

// spot is where an alert stands: a rule's view of a cell.
type spot struct {
	r *ruleState
	c *cell
	w *watch
}

func (ts *tenantState) resolveGone(m *meter, gone []spot, now int64, why string) {
	for _, g := range gone {
		ts.end(m, g, max(now, m.lastClose+1), why)
	}
}

func (ts *tenantState) resolveAll(now int64, why string) {
	ts.endings(now, why, ts.tell)
	for _, m := range ts.meters {
		for _, c := range m.cells {
			for _, w := range c.watches {
				if w != nil {
					w.Raised = nil
				}
			}
		}
	}
	ts.absences = nil
}

// endings tells how all that stands ends for a reason that no step gave, and changes nothing.
func (ts *tenantState) endings(now int64, why string, tell func(*ruleState, alert.Alert)) {
	for _, m := range ts.meters {
		for _, c := range m.cells {
			for i, w := range c.watches {
				if w != nil && w.Raised != nil {
					when := max(now, m.lastClose+1)
					tell(m.rules[i], standing.Dropped(ts.alert(m, spot{m.rules[i], c, w}, when), when, why))
				}
			}
		}
	}
	for _, a := range ts.absences {
		if a.raised != nil {
			tell(ts.absenceEnd(a, now, why))
		}
	}
}

// end resolves what stands for a reason that no step gave.
func (ts *tenantState) end(m *meter, g spot, when int64, why string) {
	a := standing.Dropped(ts.alert(m, g, when), when, why)
	g.w.Raised = nil
	ts.tell(g.r, a)
}

// say raises, renews or resolves the alert of a watch after a live step.
func (ts *tenantState) say(m *meter, g spot, d detect.Decision, step detect.Step) {
	w := g.w
	switch {
	case w.Firing && w.Raised == nil:
		long := w.Onset < ts.firstReceived-ts.o.Backlog.Milliseconds()
		w.Raised = &standing.Alert{Onset: w.Onset, Starts: step.End, Backlog: !m.liveSeen && long}
	case w.Raised == nil:
		return
	}
	if w.Firing {
		ev := ts.evidence(m, g, d)
		severity, why := w.grade(g.r, len(g.c.slice) > 0, ev)
		if !w.Raised.Renew(step.End, ev, d.Mending, severity, why) {
			return
		}
	}
	a := ts.alert(m, g, step.End)
	if !w.Firing {
		a = w.Over(a)
	}
	ts.tell(g.r, a)
}

// grade is how severe what w sees is, by its evidence since the onset, and why that is
// not the rule's own severity.
func (w *watch) grade(r *ruleState, slice bool, ev alert.Evidence) (rule.Severity, string) {
	switch r.Kind {
	case rule.Declines:
		late := standing.Lately{}
		if w.late != nil {
			late = *w.late
		}
		return late.Severity(&r.Rule, ev)
	case rule.Traffic:
		return w.gradeTraffic(r, slice, ev)
	}
	return r.Severity, ""
}

func (ts *tenantState) evidence(m *meter, g spot, d detect.Decision) alert.Evidence {
	ev := alert.Evidence{
		N: d.N, K: d.K, Usual: d.Usual, Score: d.Score, Needed: d.Needed,
		Share: 1, RatePerMinute: g.c.base.Rate() * m.standFor(), Test: standing.Test(d.Test), Hard: d.Hard,
	}
	if ev.Expected = d.Expected; g.r.Kind == rule.Traffic {
		ev.RatePerMinute, ev.Expecting = g.w.rate, g.w.tide
	}
	if x := g.c.who(m.lastClose-m.length, ts.o.LiveFor.Milliseconds()); x != nil && g.r.Kind.Ratio() {
		n := math.Min(x.total-x.before, math.Max(d.K, 1)) // some of them failed in the step before the onset
		ev.Customers, ev.Nameless, ev.Estimated = &n, x.anonymous-x.unnamed, x.estimated()
	}
	if g.r.Kind == rule.Latency {
		ev.Over = g.c.latency.edge()
	}
	if m.settle(); len(g.c.slice) > 0 && m.cells[0].volume > 0 {
		ev.Share = math.Min(1, g.c.volume/m.cells[0].volume)
	}
	if minutes := float64(m.lastClose-d.Onset) / 60_000; ev.RatePerMinute == 0 && minutes > 0 {
		ev.RatePerMinute = d.N / minutes * m.standFor()
	}
	return ev
}

func (ts *tenantState) alert(m *meter, g spot, asOf int64) alert.Alert {
	a := g.w.Raised.Say(alert.Key{Environment: m.env, Tenant: ts.id, Service: g.r.Service, Rule: g.r.Name, Slice: g.c.slice}, m.id, &g.r.Rule, asOf)
	a.Evidence.ToPage = g.r.ToPage(a.Evidence.Needed) // it follows from the rule, and is not kept: a restart must not forget it
	return a
}

// drain hands out the alerts, and those of the shadow.
func (ts *tenantState) drain(out *Output) {
	out.Alerts, out.Shadow = append(out.Alerts, standing.Order(ts.alerts)...), append(out.Shadow, standing.Order(ts.shadow)...)
	out.Thinned += ts.thinned
	ts.alerts, ts.shadow, ts.thinned = nil, nil, 0
}
