package flow

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
)

// Metrics of the flow. No series carries a tenant.
type Metrics struct {
	Alerts     *prometheus.CounterVec // by state
	Blind      prometheus.Gauge
	Awaited    prometheus.Gauge     // promotions that only a person can decide about
	Thinned    prometheus.Counter   // cells and hours in which customers are not told apart one by one
	Evaluation prometheus.Histogram // of one partition, real time
	Incidents  *response.Metrics
	Outbox     *outbox.Metrics
}

// NewMetrics registers the flow's metrics, all series at zero. now tells how long
// deliveries wait.
func NewMetrics(r prometheus.Registerer, now func() time.Time) *Metrics {
	m := &Metrics{
		Alerts:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_flow_alert_changes_total", Help: "Alerts that began or stopped firing."}, []string{"state"}),
		Blind:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_flow_blind_tenants", Help: "Tenants whose samples stopped arriving."}),
		Awaited: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_flow_promotions_awaited", Help: "Tenants whose proposed profile waits for a person."}),
		Thinned: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_flow_customers_estimated_total", Help: "Slices and hours in which more customers failed than are told apart one by one: their number is an estimate."}),
		Evaluation: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_flow_evaluation_duration_seconds", Help: "Closing the steps that are over in one partition, per batch and tick.",
			Buckets: []float64{.00001, .0001, .001, .01, .1, 1, 10}}),
		Incidents: response.NewMetrics(r),
		Outbox:    outbox.NewMetrics(r, now),
	}
	r.MustRegister(m.Alerts, m.Blind, m.Awaited, m.Thinned, m.Evaluation)
	for _, s := range []string{"firing", "resolved"} {
		m.Alerts.WithLabelValues(s)
	}
	return m
}
