package journal

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/problem"
)

type metrics struct {
	records, bytes, truncated prometheus.Counter
	refused                   *prometheus.CounterVec
	sync                      prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, j *Journal) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		records:   counter("tocsin_journal_appended_records_total", "Records made durable."),
		bytes:     counter("tocsin_journal_appended_bytes_total", "Bytes made durable."),
		truncated: counter("tocsin_journal_truncated_bytes_total", "Bytes cut off at opening: a write that a crash had left unfinished."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_journal_refused_appends_total", Help: "Appends that failed, by reason.",
		}, []string{"reason"}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_journal_sync_seconds", Help: "Time of an fsync.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13),
		}),
	}
	for _, reason := range []string{"full", "no_space", "other"} {
		m.refused.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_journal_size_bytes", Help: "Bytes that the journal holds."},
		func() float64 { return float64(j.Size()) })
	return m, errors.Join(r.Register(m.records), r.Register(m.bytes), r.Register(m.truncated), r.Register(m.refused), r.Register(m.sync), r.Register(size))
}

// outcome counts err when it is one and gives it back.
func (m *metrics) outcome(err error) error {
	switch {
	case err == nil:
	case problem.Is(err, problem.TooMany):
		m.refused.WithLabelValues("full").Inc()
	case problem.Is(err, problem.NoSpace):
		m.refused.WithLabelValues("no_space").Inc()
	default:
		m.refused.WithLabelValues("other").Inc()
	}
	return err
}
