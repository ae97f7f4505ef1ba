package samples

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/door"
)

// Why items are refused: values of the reason label, and words of the answer.
const (
	refusedTenant    = "other_tenant"
	refusedAhead     = "too_far_ahead"
	refusedLabels    = "labels_over_limit"
	refusedInvalid   = "invalid_labels"
	refusedHistogram = "invalid_histogram"
	refusedDelta     = "delta_temporality"
	refusedPoint     = "invalid_point"
	refusedSeries    = "series_over_limit"
	refusedRate      = "rate_over_limit"
)

// said is a refusal in the words of the answer.
var said = []struct{ reason, text string }{
	{refusedTenant, "samples of a tenant the token or X-Scope-OrgID does not cover"},
	{refusedAhead, "samples too far ahead of now (check the sender's clock)"},
	{refusedLabels, "samples of series with too many or too long labels"},
	{refusedInvalid, "samples of series with invalid labels"},
	{refusedHistogram, "native histograms that contradict themselves or have too many buckets"},
	{refusedDelta, "data points of delta temporality (send cumulative ones: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative, or the collector's deltatocumulative processor)"},
	{refusedPoint, "data points without a value, a time or a temporality, or that contradict themselves"},
	{refusedSeries, "samples of series beyond those a tenant may have (limits.series_per_tenant, limits.other_series)"},
	{refusedRate, "samples of tenants that send faster than limits.samples_per_second"},
}

type metrics struct {
	requests     *prometheus.CounterVec
	samples      prometheus.Counter
	series       prometheus.Counter
	refused      *prometheus.CounterVec
	deduplicated prometheus.Counter
	histograms   prometheus.Counter
	exemplars    prometheus.Counter
	starts       prometheus.Counter
	journal      prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_samples_requests_total",
			Help: "Remote write and OTLP requests by what became of them."}, []string{"outcome"}),
		samples: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_accepted_samples_total",
			Help: "Samples journaled."}),
		series: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_accepted_series_total",
			Help: "Series journaled, counted once a request."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_samples_refused_samples_total",
			Help: "Samples, native histograms and OTLP data points refused."}, []string{"reason"}),
		deduplicated: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_deduplicated_samples_total",
			Help: "Samples and native histograms of replicas that were not the elected one."}),
		histograms: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_accepted_histograms_total",
			Help: "Native histograms journaled."}),
		exemplars: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_accepted_exemplars_total",
			Help: "Exemplars journaled."}),
		starts: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_ignored_starts_total",
			Help: "Samples taken whose start is after themselves; the start was not believed."}),
		journal: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_samples_journal_duration_seconds",
			Help:    "Time until a request was durable.",
			Buckets: door.Seconds}),
	}
	for _, s := range said {
		m.refused.WithLabelValues(s.reason)
	}
	for _, o := range []string{door.Stored, door.Partly, door.Replica, door.Empty, door.Refused, door.Malformed, door.Failed} {
		m.requests.WithLabelValues(o)
	}
	if r != nil {
		r.MustRegister(m.requests, m.samples, m.series, m.refused, m.deduplicated, m.histograms, m.exemplars, m.starts, m.journal)
	}
	return m
}
