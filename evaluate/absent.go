package evaluate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A rule of kind absent asks whether an SLI's series of a tenant still arrive. That
// they do not is the tenant's fault (its integration, its label) only when whoever
// carried them goes on sending others: other SLIs of the tenant, or other tenants of
// the source. Silence counts only while that was so without interruption: after an
// outage not everything is back at once.

const (
	absentAfter = 10 * time.Minute // of silence
	neverAfter  = time.Hour        // after onboarding, of a tenant that was promised to trade
	neverEvents = 30               // that were promised by then
)

// absence is what one absent rule says in one environment.
type absence struct {
	service, rule, env string
	raised             *raised
}

// alive is what is known of the source that carried the tenant, while nothing of it comes.
type alive struct {
	source       string
	since, heard int64 // ms; sending others without interruption
}

// SourceAlive says that a source that carried the tenant sends others, without
// interruption since since, and was heard last at heard. It is said again and again
// while nothing of the tenant comes.
func (e *Engine) SourceAlive(id tenant.ID, source string, since, heard time.Time) {
	ts := e.tenants[id]
	if ts == nil || !ts.watched {
		return
	}
	if h := heard.UnixMilli(); h > ts.alive.heard {
		ts.alive = alive{source: source, since: since.UnixMilli(), heard: h}
		e.touch(ts)
	}
}

// finding is what an absent rule has to say.
type finding struct {
	onset, starts int64
	source, why   string
}

// lookAbsent raises and resolves what the absent rules say by now (ms).
func (ts *tenantState) lookAbsent(now int64) {
	for i := range ts.absents {
		r := &ruleState{Rule: ts.absents[i]}
		for _, env := range ts.environmentsOf(r) {
			a := ts.absence(r, env)
			gone, newest := ts.isMissing(r, env, now)
			switch {
			case gone != nil && a.raised == nil:
				a.raised = &raised{onset: gone.onset, starts: gone.starts, said: gone.starts, why: gone.why,
					ev: alert.Evidence{Share: 1, Source: gone.source, Test: "silence", RatePerMinute: ts.promised}}
				ts.alerts = append(ts.alerts, ts.absentAlert(r, a, gone.starts))
			case gone == nil && a.raised != nil && newest > a.raised.onset:
				over := ts.absentAlert(r, a, max(newest, a.raised.starts+1))
				ends := over.AsOf
				over.State, over.EndsAt = alert.Resolved, &ends
				over.Reason = fmt.Sprintf("they arrive again since %s; before, %s", clock(at(newest), ends), over.Reason)
				a.raised = nil
				ts.alerts = append(ts.alerts, over)
			}
		}
	}
}

// environmentsOf are those in which the rule's SLI was seen, and the usual one.
func (ts *tenantState) environmentsOf(r *ruleState) []string {
	out := []string{}
	for _, m := range ts.meters {
		if counts(r, m) && !slices.Contains(out, m.env) {
			out = append(out, m.env)
		}
	}
	if len(out) == 0 {
		out = append(out, ts.o.Environment)
	}
	return out
}

// counts says whether m counts the rule's SLI, by either source.
func counts(r *ruleState, m *meter) bool {
	return m.id == r.SLI.ID() || r.SLI.Beside != nil && m.id == r.SLI.Beside.ID()
}

func (ts *tenantState) absence(r *ruleState, env string) *absence {
	for _, a := range ts.absences {
		if a.service == r.Service && a.rule == r.Name && a.env == env {
			return a
		}
	}
	a := &absence{service: r.Service, rule: r.Name, env: env}
	ts.absences = append(ts.absences, a)
	return a
}

// isMissing says since when the SLI's series are missing, nil: they are not, or nobody
// could know; and when the newest of them was received.
func (ts *tenantState) isMissing(r *ruleState, env string, now int64) (*finding, int64) {
	var newest int64
	for _, m := range ts.meters {
		if counts(r, m) && m.env == env {
			newest = max(newest, m.received)
		}
	}
	what := "no sample of " + r.SLI.Metric
	if newest == 0 {
		if !ts.live || !(ts.promised > 0) || ts.onboarded == 0 || env != ts.o.Environment {
			return nil, 0
		}
		due := ts.onboarded + int64(math.Max(float64(neverAfter.Milliseconds()), neverEvents/ts.promised*60_000))
		if now < due {
			ts.due = min(ts.due, due)
			return nil, 0
		}
		return &finding{onset: ts.onboarded, starts: due, why: fmt.Sprintf("%s ever arrived since the tenant was onboarded at %s, although %g events a minute were promised",
			what, clock(at(ts.onboarded), at(due)), ts.promised)}, 0
	}
	after := absentAfter.Milliseconds()
	said := fmt.Sprintf("%s arrived since %s", what, clock(at(newest), at(newest+after)))
	if from := max(newest, ts.heardSince); ts.lastReceived >= from+after {
		return &finding{onset: newest, starts: from + after, why: said + ", although others of the tenant do"}, newest
	}
	if from := max(newest, ts.alive.since); ts.alive.heard >= from+after {
		return &finding{onset: newest, starts: from + after, source: ts.alive.source,
			why: said + ", although source " + ts.alive.source + " sends others"}, newest
	}
	return nil, newest
}

func (ts *tenantState) absentAlert(r *ruleState, a *absence, asOf int64) alert.Alert {
	return newAlert(alert.Key{Environment: a.env, Tenant: ts.id, Service: r.Service, Rule: r.Name}, r.SLI.ID(), r, a.raised, asOf)
}

// dropAbsences ends what absent rules said that are gone, or all of it.
func (ts *tenantState) dropAbsences(now int64, all bool, why string) {
	ts.absences = slices.DeleteFunc(ts.absences, func(a *absence) bool {
		i := slices.IndexFunc(ts.absents, func(r rule.Rule) bool { return r.Name == a.rule && r.Service == a.service })
		if i >= 0 && !all {
			return false
		}
		if a.raised != nil {
			r := &ruleState{Rule: rule.Rule{Name: a.rule, Service: a.service, Kind: rule.Absent, Severity: rule.Warning}}
			if i >= 0 {
				r.Rule = ts.absents[i]
			}
			over := ts.absentAlert(r, a, max(now, a.raised.starts+1))
			ends := over.AsOf
			over.State, over.EndsAt, over.Reason = alert.Resolved, &ends, "no longer evaluated: "+why
			ts.alerts = append(ts.alerts, over)
		}
		return true
	})
}

// absences codes them, behind the rest of a tenant's state.
func (c *coder) absences(ts *tenantState) {
	c.text(&ts.alive.source)
	c.ints(&ts.alive.since, &ts.alive.heard, &ts.heardSince)
	list(c, &ts.absences, func(a **absence) {
		if c.reading {
			*a = &absence{}
		}
		v := *a
		for _, s := range []*string{&v.service, &v.rule, &v.env} {
			c.text(s)
		}
		c.raised(&v.raised)
	})
}
