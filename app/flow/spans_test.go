package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
)

// A replica that takes over reads its own journal from before the state was written:
// calls that the state holds must not count twice.
func TestCallsCountOnceAfterATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.only, w.journal = []string{tenant.ID("acme").Subject()}, "a"
		l := w.begin(t)
		s := &shop{life: l, id: "acme"}
		_, _, err := s.put(t, tenant.Tenant{ID: "acme"}, 0)
		require.NoError(t, err)
		var kept []*tracing.Batch
		for range 12 {
			after(10 * time.Second)
			now := time.Now()
			b := &tracing.Batch{ReceivedAt: now, Source: "otel", Steps: []int64{now.UnixMilli() / 10_000 * 10_000}, Calls: []tracing.Call{{Tenant: "acme", N: 100, Weight: 100,
				Step:   now.UnixMilli() / 10_000 * 10_000,
				Labels: labels.FromStrings("__name__", sli.SpanCalls, "collector", "tocsin", "environment", env, "service", "payments", "span_kind", "server", "status", "ok", "tenant", "acme")}}}
			kept = append(kept, b)
			l.spans(t, "acme", b, journal.Position{Segment: 1, Offset: int64(len(kept))})
		}
		before := s.status(t)
		require.Zero(t, before.LateEvents)
		require.NotEmpty(t, before.SLIs)
		l.shared.HandlerOf(tenant.ID("acme").Subject()).Until(journal.Position{Segment: 1, Offset: int64(len(kept))})
		l.end()

		w.journal = "b"
		s.life = w.begin(t)
		for n, b := range kept { // each replica journals every batch
			s.spans(t, "acme", b, journal.Position{Segment: 7, Offset: int64(n + 1)})
		}
		require.Zero(t, s.status(t).LateEvents, "counted again behind their steps")
		s.life.end()
	})
}

// spans hands a batch's calls on as the journal's reader does.
func (l *life) spans(t *testing.T, id tenant.ID, b *tracing.Batch, at journal.Position) {
	t.Helper()
	subject := id.Subject()
	require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		return l.shared.HandlerOf(subject).IngestSpans(tx, b, b.Calls, at)
	}))
}
