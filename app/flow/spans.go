package flow

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
	"github.com/tocsin-alerting/tocsin/tracing/red"
)

const (
	knownBuckets = 5_000 // kinds of calls whose buckets' labels are kept
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
