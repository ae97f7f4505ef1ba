// Package meter counts what a home of the store does, by the same names for
// every home.
package meter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/store"
)

// Meter is one home's metrics.
type Meter struct {
	Commit  prometheus.Histogram   // seconds until durable
	Offers  *prometheus.CounterVec // by result: new, known
	Refused *prometheus.CounterVec // commits and offers that failed, by reason
}

// New makes the metrics at zero and registers them; a nil r shows them nowhere.
func New(r prometheus.Registerer) (*Meter, error) {
	m := &Meter{
		Commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_store_commit_seconds", Help: "Time of a commit until it was durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13),
		}),
		Offers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_store_offers_total", Help: "Inputs offered, new or already known.",
		}, []string{"result"}),
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_store_refused_writes_total", Help: "Commits and offers that failed, by reason.",
		}, []string{"reason"}),
	}
	for _, result := range []string{"new", "known"} {
		m.Offers.WithLabelValues(result)
	}
	for _, reason := range []string{"lease_lost", "no_space", "closed", "other"} {
		m.Refused.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.Commit), r.Register(m.Offers), r.Register(m.Refused))
}

// Outcome counts err when it is one and gives it back.
func (m *Meter) Outcome(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, store.ErrLeaseLost):
		m.Refused.WithLabelValues("lease_lost").Inc()
	case errors.Is(err, store.ErrNoSpace):
		m.Refused.WithLabelValues("no_space").Inc()
	case errors.Is(err, store.ErrClosed):
		m.Refused.WithLabelValues("closed").Inc()
	default:
		m.Refused.WithLabelValues("other").Inc()
	}
	return err
}

// Offered counts one input that was offered.
func (m *Meter) Offered(known bool) {
	if known {
		m.Offers.WithLabelValues("known").Inc()
	} else {
		m.Offers.WithLabelValues("new").Inc()
	}
}
