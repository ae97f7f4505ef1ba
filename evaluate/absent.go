package evaluate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A rule of kind absent asks whether an SLI's series of a tenant still arrive. That
// they do not is the tenant's fault (its integration, its label) only when whoever
// carried them goes on sending others: other SLIs of the tenant, or other tenants of
// the source. Silence counts only while that was so without interruption: after an
// outage not everything is back at once.

const (
	absentAfter = 10 * time.Minute // of silence
	neverAfter  = time.Hour        // after onboarding (and of watching), of a tenant that was promised to trade
	neverEvents = 30               // that were promised by then
)

// absence is what one absent rule says in one environment.
type absence struct {
	service, rule, env string
	trial              bool // of a rule that is in shadow only
	raised             *standing.Alert
}

// of says whether a rule is the one that said it.
func (a *absence) of(r *absentRule) bool {
	return a.service == r.Service && a.rule == r.Name && a.trial == (r.place == inShadow)
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

// absentRule is a rule with what its SLI is known by: that hash is not made every step.
type absentRule struct {
	ruleState
	id, beside sli.ID // beside: of the SLI's other source; empty: none
}

// counts says whether m counts the rule's SLI, by either source.
func (r *absentRule) counts(m *meter) bool { return m.id == r.id || r.beside != "" && m.id == r.beside }

func absentRules(all []placed) (out []*absentRule) {
	for _, r := range all {
		same := func(a *absentRule) bool {
			return a.Name == r.Name && a.Service == r.Service && (a.place == inShadow) == (r.place == inShadow)
		}
		if r.Kind == rule.Absent && !slices.ContainsFunc(out, same) { // not once more for the other source
			a := &absentRule{ruleState: ruleState{Rule: r.Rule, place: r.place}, id: r.SLI.ID()}
			if r.SLI.Beside != nil {
				a.beside = r.SLI.Beside.ID()
			}
			out = append(out, a)
		}
	}
	return out
}

// lookAbsent raises and resolves what the absent rules say by now (ms).
func (ts *tenantState) lookAbsent(now int64) {
	for _, r := range ts.absents {
		sent := false
		for i, m := range ts.meters { // by environment
			if !r.counts(m) {
				continue
			}
			newest, richest := m.received, m
			for _, o := range ts.meters[i+1:] {
				if o.env == m.env && r.counts(o) {
					newest = max(newest, o.received)
					if o.busier(richest) {
						richest = o
					}
				}
			}
			if sent && slices.ContainsFunc(ts.meters[:i], func(o *meter) bool { return o.env == m.env && r.counts(o) }) {
				continue // it was looked at with the other source
			}
			sent = true
			ts.sayAbsent(r, m.env, ts.silence(r, richest, newest, m.lulls.usual()), newest)
		}
		if !sent {
			ts.sayAbsent(r, ts.o.Environment, ts.neverSent(r, now), 0)
		}
	}
}

// sayAbsent raises or resolves one rule's alert in an environment. newest is when the
// newest of the series was received.
func (ts *tenantState) sayAbsent(r *absentRule, env string, gone *finding, newest int64) {
	i := slices.IndexFunc(ts.absences, func(a *absence) bool { return a.of(r) && a.env == env })
	switch {
	case i < 0 && gone == nil:
		return
	case i < 0:
		i = len(ts.absences)
		ts.absences = append(ts.absences, &absence{service: r.Service, rule: r.Name, env: env, trial: r.place == inShadow})
	}
	a := ts.absences[i]
	switch {
	case gone != nil && a.raised == nil:
		a.raised = &standing.Alert{Onset: gone.onset, Starts: gone.starts, Said: gone.starts, Why: gone.why,
			Evidence: alert.Evidence{Share: 1, Source: gone.source, Test: "silence", RatePerMinute: ts.promised}}
		ts.tell(&r.ruleState, ts.absentAlert(&r.ruleState, a, gone.starts))
	case gone == nil && a.raised != nil && newest > a.raised.Onset:
		over := ts.absentAlert(&r.ruleState, a, max(newest, a.raised.Starts+1))
		ends := over.AsOf
		over.State, over.EndsAt = alert.Resolved, &ends
		over.Reason = fmt.Sprintf("they arrive again since %s; before, %s", alert.Clock(at(newest), ends), over.Reason)
		a.raised = nil
		ts.tell(&r.ruleState, over)
	}
}

// silence says since when the series of m are missing, of which the newest was received
// at newest and that are usually silent for a lull (ms); nil: they are not missing, or
// nobody could know.
func (ts *tenantState) silence(r *absentRule, m *meter, newest, lull int64) *finding {
	least, beyond := absenceAfter(lull), ""
	if least > absentAfter.Milliseconds() {
		beyond = "; silences of " + alert.Lasting(time.Duration(lull)*time.Millisecond) + " are usual for it"
	}
	lasts := func(from, heard int64) (after int64, enough bool) {
		if heard < from+least {
			return least, false
		}
		after = max(least, ts.mayBeChance(m, r, from))
		return after, heard >= from+after
	}
	from, source, others := max(newest, ts.heardSince), "", "others of the tenant do"
	after, enough := lasts(from, ts.lastReceived)
	if !enough {
		from, source = max(newest, ts.alive.since), ts.alive.source
		if after, enough = lasts(from, ts.alive.heard); !enough {
			return nil
		}
		others = "source " + source + " sends others"
	}
	return &finding{onset: newest, starts: from + after, source: source, why: fmt.Sprintf("no sample of %s arrived since %s, although %s%s",
		r.SLI.Metric, alert.Clock(at(newest), at(from+after)), others, beyond)}
}

// neverSent says that nothing ever came of a tenant that was promised to trade.
func (ts *tenantState) neverSent(r *absentRule, now int64) *finding {
	if !ts.live || !(ts.promised > 0) || ts.onboarded == 0 {
		return nil
	}
	if ts.looked == 0 {
		ts.looked = now
	}
	// Who is onboarded with a date in the past has not been missed since then; nor was
	// it while this process did not run.
	due := max(ts.onboarded, ts.looked) + int64(math.Max(float64(neverAfter.Milliseconds()), neverEvents/ts.promised*60_000))
	if now < due {
		ts.due = min(ts.due, due)
		return nil
	}
	return &finding{onset: ts.onboarded, starts: due, why: fmt.Sprintf("no sample of %s ever arrived since the tenant was onboarded at %s, although %g events a minute were promised",
		r.SLI.Metric, alert.Clock(at(ts.onboarded), at(due)), ts.promised)}
}

func (ts *tenantState) absentAlert(r *ruleState, a *absence, asOf int64) alert.Alert {
	return a.raised.Say(alert.Key{Environment: a.env, Tenant: ts.id, Service: r.Service, Rule: r.Name}, r.SLI.ID(), &r.Rule, asOf)
}

// dropAbsences ends what absent rules said that are gone.
func (ts *tenantState) dropAbsences(now int64, why string) {
	ts.absences = slices.DeleteFunc(ts.absences, func(a *absence) bool {
		if slices.ContainsFunc(ts.absents, a.of) {
			return false
		}
		if a.raised != nil {
			ts.tell(ts.absenceEnd(a, now, why))
		}
		return true
	})
}

// absenceEnd is what an absent rule said, as it ends for a reason that no step gave.
func (ts *tenantState) absenceEnd(a *absence, now int64, why string) (*ruleState, alert.Alert) {
	r := &ruleState{Rule: rule.Rule{Name: a.rule, Service: a.service, Kind: rule.Absent, Severity: rule.Warning}}
	if a.trial {
		r.place = inShadow
	}
	if i := slices.IndexFunc(ts.absents, a.of); i >= 0 {
		r = &ts.absents[i].ruleState
	}
	when := max(now, a.raised.Starts+1)
	return r, standing.Dropped(ts.absentAlert(r, a, when), when, why)
}

// absences codes them, behind the rest of a tenant's state, without those in shadow: what
// these say follows from the rest, and is said again with the same times.
func (c *coder) absences(ts *tenantState) {
	c.Text(&ts.alive.source)
	c.Ints(&ts.alive.since, &ts.alive.heard, &ts.heardSince)
	said := ts.absences
	if !c.Reading() {
		said = slices.DeleteFunc(slices.Clone(said), func(a *absence) bool { return a.trial })
	}
	checkpoint.List(c.Coder, &said, func(a **absence) {
		if c.Reading() {
			*a = &absence{}
		}
		v := *a
		for _, s := range []*string{&v.service, &v.rule, &v.env} {
			c.Text(s)
		}
		checkpoint.Maybe(c.Coder, &v.raised, func(a *standing.Alert) { a.Code(c.Coder) })
	})
	if c.Reading() {
		ts.absences = said
	}
}
