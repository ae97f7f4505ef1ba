package embedded

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/store"
)

type metrics struct {
	commit  prometheus.Histogram
	offers  *prometheus.CounterVec
	refused *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_store_commit_seconds", Help: "Time of a commit until it was durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13),
		}),
		offers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_store_offers_total", Help: "Inputs offered, new or already known.",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_store_refused_writes_total", Help: "Commits and offers that failed, by reason.",
		}, []string{"reason"}),
	}
	for _, result := range []string{"new", "known"} {
		m.offers.WithLabelValues(result)
	}
	for _, reason := range []string{"lease_lost", "no_space", "closed", "other"} {
		m.refused.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.commit), r.Register(m.offers), r.Register(m.refused))
}

// outcome counts err when it is one and gives it back.
func (m *metrics) outcome(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, store.ErrLeaseLost):
		m.refused.WithLabelValues("lease_lost").Inc()
	case errors.Is(err, store.ErrNoSpace):
		m.refused.WithLabelValues("no_space").Inc()
	case errors.Is(err, store.ErrClosed):
		m.refused.WithLabelValues("closed").Inc()
	default:
		m.refused.WithLabelValues("other").Inc()
	}
	return err
}
