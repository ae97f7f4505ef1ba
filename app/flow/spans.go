package flow

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
	"github.com/tocsin-alerting/tocsin/tracing/red"
)

const (
	tracesBefore = 2 * time.Minute // an onset, from which traces illustrate an alert
	tracesShown  = 3               // per reason
	tenantsAsked = 5               // of those a pooled alert names
	knownBuckets = 5_000           // kinds of calls whose buckets' labels are kept
)

// IngestSpans takes one journaled batch's part of this partition: the calls of its
// tenants, and in which steps the source was heard. at is where the batch ends in
// the journal.
func (h *Handler) IngestSpans(tx *partition.Tx, b *tracing.Batch, calls []tracing.Call, at journal.Position) error {
	err := h.evaluated(tx, h.engine.Advance(b.ReceivedAt))
	h.engine.Heard(b.ReceivedAt, b.Source, b.Steps)
	for i := range calls {
		c := &calls[i]
		if stands, ok := h.at[c.Tenant]; ok && stands.Before(at) && h.newCalls(c.Tenant, b.ReceivedAt) {
			h.addCall(b, c)
		}
	}
	return err
}

// newCalls says whether calls received at a time can be missing in a state that
// another process wrote. Events have no last time that would tell them apart, as a
// series has: what was received before the state was written is taken to be in it.
func (h *Handler) newCalls(id tenant.ID, received time.Time) bool {
	since, ok := h.since[id]
	return !ok || received.After(since.Add(edge))
}

func (h *Handler) addCall(b *tracing.Batch, c *tracing.Call) {
	event := func(ls labels.Labels, n float64) {
		h.events[0] = evaluate.Event{T: c.Step, N: n, Weight: n * c.Weight / float64(max(c.N, 1)), Named: float64(c.Named), Customers: &c.Customers}
		h.engine.AddEvents(b.ReceivedAt, c.Tenant, b.Source, ls, h.events[:])
	}
	event(c.Labels, float64(c.N))
	if !h.engine.Counts(c.Tenant, sli.Buckets(sli.SpanDuration)) {
		return
	}
	sum := 0.0
	for i, ls := range h.bucketLabels(c.Labels) {
		sum += float64(c.Buckets[i])
		event(ls, sum)
	}
}

func (h *Handler) bucketLabels(call labels.Labels) []labels.Labels {
	key := call.Hash()
	if known, ok := h.buckets[key]; ok && labels.Equal(known.call, call) {
		return known.les
	}
	if h.buckets == nil || len(h.buckets) >= knownBuckets {
		h.buckets = map[uint64]buckets{}
	}
	known := buckets{call, red.Buckets(call)}
	h.buckets[key] = known
	return known.les
}

type buckets struct {
	call labels.Labels
	les  []labels.Labels
}

// SpanSources are the sources of the tenants' spans; to be used before the owner
// runs, or inside it.
func (h *Handler) SpanSources() []string { return h.engine.Sources() }

// illustrate puts traces worth looking at and the failing hop to an alert that
// fires. Once a hop is known both stay: somebody may have seen them.
func (h *Handler) illustrate(a *alert.Alert, old alert.Alert) {
	if old.State == alert.Firing && old.StartsAt.Equal(a.StartsAt) {
		a.Traces, a.Hop = old.Traces, old.Hop
	}
	if h.s.Traces != nil && a.State == alert.Firing && a.Hop == nil {
		h.lookAtTraces(a)
	}
	if a.Hop != nil {
		a.Reason += fmt.Sprintf("; %.0f%% of the failing traces fail at %s %s", 100*a.Hop.Share, a.Hop.Kind, a.Hop.Service)
	}
}

func (h *Handler) lookAtTraces(a *alert.Alert) {
	whose := []tenant.ID{a.Tenant}
	if a.Tenant == tenant.Product {
		whose = a.Evidence.Tenants[:min(tenantsAsked, len(a.Evidence.Tenants))]
	}
	var answers []hops.Answer
	for _, id := range whose {
		answers = append(answers, h.s.Traces(hops.Question{Environment: a.Environment, Tenant: id, Service: a.Service, Slice: a.Slice,
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
