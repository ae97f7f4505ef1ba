package evaluate

import (
	"fmt"
	"math"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// raised is an alert that stands.
type raised struct {
	onset, starts, said int64
	backlog             bool
	ev                  alert.Evidence
	severity            rule.Severity // the worst so far; empty: the rule's
	why                 string        // it is not the rule's
}

// standing is an alert that stands, with where it comes from.
type standing struct {
	r *ruleState
	c *cell
	w *watch
}

func (ts *tenantState) resolveGone(m *meter, gone []standing, now int64, why string) {
	for _, g := range gone {
		ts.end(m, g, max(now, m.lastClose+1), why)
	}
}

func (ts *tenantState) resolveAll(now int64, why string) {
	for _, m := range ts.meters {
		for _, c := range m.cells {
			for i, w := range c.watches {
				if w != nil && w.raised != nil {
					ts.end(m, standing{m.rules[i], c, w}, max(now, m.lastClose+1), why)
				}
			}
		}
	}
	ts.dropAbsences(now, true, why)
}

// end resolves what stands for a reason that no step gave.
func (ts *tenantState) end(m *meter, g standing, when int64, why string) {
	a := ts.alert(m, g, when)
	ends := at(when)
	a.State, a.EndsAt, a.Reason = alert.Resolved, &ends, "no longer evaluated: "+why
	g.w.raised = nil
	ts.tell(g.r, a)
}

// say raises, renews or resolves the alert of a watch after a live step.
func (ts *tenantState) say(m *meter, g standing, d detect.Decision, step detect.Step) {
	w := g.w
	switch {
	case w.firing && w.raised == nil:
		long := w.onset < ts.firstReceived-ts.o.Backlog.Milliseconds()
		w.raised = &raised{onset: w.onset, starts: step.End, backlog: !m.liveSeen && long}
	case w.raised == nil:
		return
	}
	if w.firing {
		ev := ts.evidence(m, g, d)
		worse := w.raised.worsen(w.grade(g.r, len(g.c.slice) > 0, ev))
		if step.End-w.raised.said < sayAgainAfter && !worse {
			return
		}
		w.raised.tell(step.End, ev, d.Mending)
	}
	a := ts.alert(m, g, step.End)
	if !w.firing {
		a = over(a, w)
	}
	ts.tell(g.r, a)
}

// grade is how severe what w sees is, by its evidence since the onset, and why that is
// not the rule's own severity.
func (w *watch) grade(r *ruleState, slice bool, ev alert.Evidence) (rule.Severity, string) {
	switch r.Kind {
	case rule.Declines:
		return w.gradeDeclines(r, ev)
	case rule.Traffic:
		return w.gradeTraffic(r, slice, ev)
	}
	return r.Severity, ""
}

// worsen keeps the worst severity, and says whether s is worse than that so far.
func (r *raised) worsen(s rule.Severity, why string) bool {
	if s.Rank() <= r.severity.Rank() {
		return false
	}
	r.severity, r.why = s, why
	return true
}

// tell keeps evidence for what is said at a time (ms). While it mends, what was said last
// stands: who reads of a fault that is over wants to know how bad it was, not how much
// went well until that was sure.
func (r *raised) tell(at int64, ev alert.Evidence, mending bool) {
	if r.said == 0 || !mending {
		r.ev = ev
	}
	r.said = at
}

// over resolves the alert of w.
func over(a alert.Alert, w *watch) alert.Alert {
	ends := at(max(w.cleared, w.raised.starts))
	a.State, a.EndsAt = alert.Resolved, &ends
	a.Reason = fmt.Sprintf("over since %s; before, %s", clock(ends, ends), a.Reason)
	w.raised = nil
	return a
}

func (ts *tenantState) evidence(m *meter, g standing, d detect.Decision) alert.Evidence {
	ev := alert.Evidence{
		N: d.N, K: d.K, Usual: d.Usual, Score: d.Score, Needed: d.Needed, ToPage: g.r.ToPage(d.Needed),
		Share: 1, RatePerMinute: g.c.base.Rate() * m.standFor(), Test: testName(d.Test), Hard: d.Hard,
	}
	if ev.Expected = d.Expected; g.r.Kind == rule.Traffic {
		ev.RatePerMinute, ev.Expecting = g.w.rate, g.w.tide
	}
	if x := g.c.who(m.lastClose-m.length, ts.o.LiveFor.Milliseconds()); x != nil && g.r.Kind.Ratio() {
		n := x.total - x.before
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

func (ts *tenantState) alert(m *meter, g standing, asOf int64) alert.Alert {
	return newAlert(alert.Key{Environment: m.env, Tenant: ts.id, Service: g.r.Service, Rule: g.r.Name, Slice: g.c.slice},
		m.id, g.r, g.w.raised, asOf)
}

func newAlert(key alert.Key, id sli.ID, r *ruleState, said *raised, asOf int64) alert.Alert {
	if key.Slice == nil {
		key.Slice = sli.Slice{}
	}
	severity := r.Severity
	if said.severity != "" {
		severity = said.severity
	}
	a := alert.Alert{
		Key: key, ID: key.ID(), Kind: r.Kind, SLI: id, Severity: severity, Summary: r.Summary, RunbookURL: r.RunbookURL,
		State: alert.Firing, OnsetAt: at(said.onset), StartsAt: at(said.starts), Evidence: said.ev,
		AsOf: at(asOf), Backlog: said.backlog,
	}
	a.Reason = reason(a)
	switch {
	case r.Kind == rule.Absent:
		a.Reason = said.why // nothing was counted
	case said.why != "":
		a.Reason += "; " + said.why
	}
	return a
}
