package tracing

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/door"
)

// Why spans are refused: values of the reason label, and words of the answer.
type reason int

const (
	refusedTenant reason = iota
	refusedInvalid
	refusedAhead
	refusedOld
	refusedTimes
	refusedIDs
	reasons
)

// said is the reasons in the words of the answer.
var said = [reasons]struct{ label, text string }{
	refusedTenant:  {"other_tenant", "of a tenant the token or X-Scope-OrgID does not cover"},
	refusedInvalid: {"invalid_tenant", "whose tenant.id is not usable"},
	refusedAhead:   {"too_far_ahead", "that end too far ahead of now (check the sender's clock)"},
	refusedOld:     {"too_old", "that ended too long ago"},
	refusedTimes:   {"no_end", "without an end time"},
	refusedIDs:     {"invalid_ids", "without a trace id of 16 and a span id of 8 bytes"},
}

type metrics struct {
	requests *prometheus.CounterVec
	spans    prometheus.Counter
	refused  *prometheus.CounterVec
	overflow prometheus.Counter
	journal  prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_tracing_requests_total",
			Help: "Trace requests by what became of them."}, []string{"outcome"}),
		spans: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_tracing_accepted_spans_total",
			Help: "Spans taken."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_tracing_refused_spans_total",
			Help: "Spans refused."}, []string{"reason"}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_tracing_overflow_spans_total",
			Help: "Spans counted without their details, because their tenant has too many kinds of calls."}),
		journal: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_tracing_journal_duration_seconds",
			Help:    "Time until a request was durable.",
			Buckets: door.Seconds}),
	}
	for _, s := range said {
		m.refused.WithLabelValues(s.label)
	}
	for _, o := range []string{door.Stored, door.Partly, door.Empty, door.Refused, door.Malformed, door.Failed} {
		m.requests.WithLabelValues(o)
	}
	if r != nil {
		r.MustRegister(m.requests, m.spans, m.refused, m.overflow, m.journal)
	}
	return m
}
