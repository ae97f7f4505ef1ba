package pool

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// say raises, renews or resolves the alert of a stream after a live step.
func (p *Pool) say(r *rule.Rule, s *stream, d detect.Decision, step detect.Step) {
	x := &s.says
	switch {
	case x.Firing && x.Raised == nil:
		x.Raised = &standing.Alert{Onset: x.Onset, Starts: step.End}
	case x.Raised == nil:
		return
	}
	if x.Firing {
		ev := p.evidence(s, d)
		severity, why := p.grade(r, s, ev)
		if !x.Raised.Renew(step.End, ev, d.Mending, severity, why) {
			return
		}
	}
	a := p.alert(r, s, step.End)
	if !x.Firing {
		a = x.Over(a)
	}
	p.alerts = append(p.alerts, a)
}

// grade is how severe what a stream sees is, by its evidence since the onset, and why that
// is not the rule's own severity.
func (p *Pool) grade(r *rule.Rule, s *stream, ev alert.Evidence) (rule.Severity, string) {
	switch r.Kind {
	case rule.Declines:
		return s.late.Severity(r, ev)
	case rule.Traffic:
		return p.gradeFlow(r, s)
	}
	return r.Severity, ""
}

func (p *Pool) evidence(s *stream, d detect.Decision) alert.Evidence {
	ev := alert.Evidence{Usual: d.Usual, Score: d.Score, Needed: d.Needed, Share: 1, RatePerMinute: s.rate,
		Test: standing.Test(d.Test), Hard: d.Hard}
	ev.Over = math.Max(0, s.over)
	ids := slices.Sorted(maps.Keys(s.given))
	for _, id := range ids {
		ev.N, ev.K = ev.N+s.given[id].n, ev.K+s.given[id].k
	}
	slices.SortStableFunc(ids, func(a, b tenant.ID) int { return cmp.Compare(s.given[b].excess, s.given[a].excess) })
	ids = slices.DeleteFunc(ids, func(id tenant.ID) bool { return s.given[id].k == 0 || s.vol != nil && s.given[id].excess <= 0 })
	if s.vol != nil {
		ev.Expected, ev.K, ev.Expecting = ev.K, 0, s.tide
	}
	ev.Tenants = ids[:min(len(ids), namedTenants)]
	all := 0.0
	for _, o := range p.streams {
		if o.rule == s.rule && o.slice[0].Label == s.slice[0].Label {
			all += o.volume
		}
	}
	if all > 0 {
		ev.Share = math.Min(1, s.volume/all)
	}
	return ev
}

func (p *Pool) alert(r *rule.Rule, s *stream, asOf int64) alert.Alert {
	return s.says.Raised.Say(alert.Key{Environment: p.environment, Tenant: tenant.Product, Service: p.service, Rule: s.rule, Slice: s.slice}, r.SLI.ID(), r, asOf)
}
