package evaluate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// say raises, renews or resolves the alert of a stream after a live step.
func (p *Pool) say(r *ruleState, s *stream, d detect.Decision, step detect.Step) {
	w := &s.w
	switch {
	case w.firing && w.raised == nil:
		w.raised = &raised{onset: w.onset, starts: step.End}
	case w.raised == nil:
		return
	}
	if w.firing {
		ev := p.evidence(s, d)
		severity, why := w.grade(r, true, ev)
		if r.Kind == rule.Traffic {
			severity, why = p.gradeFlow(r, s)
		}
		worse := w.raised.worsen(severity, why)
		if step.End-w.raised.said < sayAgainAfter && !worse {
			return
		}
		w.raised.tell(step.End, ev, d.Mending)
	}
	a := p.alert(r, s, step.End)
	if !w.firing {
		a = over(a, w)
	}
	p.alerts = append(p.alerts, a)
}

func (p *Pool) evidence(s *stream, d detect.Decision) alert.Evidence {
	ev := alert.Evidence{Usual: d.Usual, Score: d.Score, Needed: d.Needed, Share: 1, RatePerMinute: s.rate,
		Test: testName(d.Test), Hard: d.Hard}
	ev.Over = math.Max(0, s.over)
	ids := slices.Sorted(maps.Keys(s.given))
	for _, id := range ids {
		ev.N, ev.K = ev.N+s.given[id].n, ev.K+s.given[id].k
	}
	slices.SortStableFunc(ids, func(a, b tenant.ID) int { return cmp.Compare(s.given[b].excess, s.given[a].excess) })
	ids = slices.DeleteFunc(ids, func(id tenant.ID) bool { return s.given[id].k == 0 || s.w.vol != nil && s.given[id].excess <= 0 })
	if s.w.vol != nil {
		ev.Expected, ev.K, ev.Expecting = ev.K, 0, s.w.tide
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

func (p *Pool) alert(r *ruleState, s *stream, asOf int64) alert.Alert {
	return newAlert(alert.Key{Environment: p.environment, Tenant: tenant.Product, Service: p.service, Rule: s.rule, Slice: s.slice},
		r.SLI.ID(), r, s.w.raised, asOf)
}

// testName is what alerts call the detector's tests.
func testName(test string) string {
	switch {
	case strings.HasPrefix(test, "window"):
		return "exact"
	case strings.HasPrefix(test, "burn"), test == alert.Change:
		return test
	}
	return "cusum"
}
