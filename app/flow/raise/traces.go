package raise

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
)

const (
	tracesBefore = 2 * time.Minute // an onset, from which traces illustrate an alert
	tracesShown  = 3               // per reason
	tenantsAsked = 5               // of those a pooled alert names
)

// illustrate puts traces worth looking at and the failing hop to an alert that
// fires. Once a hop is known both stay: somebody may have seen them.
func (q *Queue) illustrate(a *alert.Alert, old alert.Alert) {
	if old.State == alert.Firing && old.StartsAt.Equal(a.StartsAt) {
		a.Traces, a.Hop = old.Traces, old.Hop
	}
	if q.o.Traces != nil && a.State == alert.Firing && a.Hop == nil {
		q.look(a)
	}
	if a.Hop != nil {
		a.Reason += fmt.Sprintf("; %.0f%% of the failing traces fail at %s %s", 100*a.Hop.Share, a.Hop.Kind, a.Hop.Service)
	}
}

func (q *Queue) look(a *alert.Alert) {
	whose := []tenant.ID{a.Tenant}
	if a.Tenant == tenant.Product {
		whose = a.Evidence.Tenants[:min(tenantsAsked, len(a.Evidence.Tenants))]
	}
	var answers []hops.Answer
	for _, id := range whose {
		answers = append(answers, q.o.Traces(hops.Question{Environment: a.Environment, Tenant: id, Service: a.Service, Slice: a.Slice,
			Since: a.OnsetAt.Add(-tracesBefore), Limit: tracesShown}))
	}
	found := hops.Merge(answers...)
	if len(found.Traces) == 0 {
		return
	}
	a.Traces = nil
	for _, t := range found.Traces[:min(3*tracesShown, len(found.Traces))] {
		a.Traces = append(a.Traces, alert.Trace{ID: t.TraceID, Why: t.Why, Operation: t.Operation, EndedAt: t.EndedAt, DurationSeconds: t.DurationSeconds})
	}
	if found.Hop != nil {
		hop := alert.Hop(*found.Hop)
		a.Hop = &hop
	}
}
