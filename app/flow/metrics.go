package flow

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
)

// Metrics of the flow. No series carries a tenant.
type Metrics struct {
	Alerts      *prometheus.CounterVec // by state
	Incidents   prometheus.Counter
	Verdicts    *prometheus.CounterVec // by verdict
	PageSeconds prometheus.Histogram   // from onset to sent
	Blind       prometheus.Gauge
	Awaited     prometheus.Gauge     // promotions that only a person can decide about
	Thinned     prometheus.Counter   // cells and hours in which customers are not told apart one by one
	Evaluation  prometheus.Histogram // of one partition, real time
	Outbox      *outbox.Metrics
}

// NewMetrics registers the flow's metrics, all series at zero. now tells how long
// deliveries wait.
func NewMetrics(r prometheus.Registerer, now func() time.Time) *Metrics {
	m := &Metrics{
		Alerts:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_flow_alert_changes_total", Help: "Alerts that began or stopped firing."}, []string{"state"}),
		Incidents:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_flow_incidents_opened_total", Help: "Incidents opened."}),
		Verdicts:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_flow_verdicts_total", Help: "Verdicts that people gave on incidents."}, []string{"verdict"}),
		PageSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_flow_page_delay_seconds", Help: "From the fault's onset until the page was sent.", Buckets: []float64{15, 30, 45, 60, 90, 120, 300, 600, 1800, 3600}}),
		Blind:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_flow_blind_tenants", Help: "Tenants whose samples stopped arriving."}),
		Awaited:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_flow_promotions_awaited", Help: "Tenants whose proposed profile waits for a person."}),
		Thinned:     prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_flow_customers_estimated_total", Help: "Slices and hours in which more customers failed than are told apart one by one: their number is an estimate."}),
		Evaluation: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_flow_evaluation_duration_seconds", Help: "Closing the steps that are over in one partition, per batch and tick.",
			Buckets: []float64{.00001, .0001, .001, .01, .1, 1, 10}}),
		Outbox: outbox.NewMetrics(r, now),
	}
	r.MustRegister(m.Alerts, m.Incidents, m.Verdicts, m.PageSeconds, m.Blind, m.Awaited, m.Thinned, m.Evaluation)
	for _, s := range []string{"firing", "resolved"} {
		m.Alerts.WithLabelValues(s)
	}
	for _, v := range alert.Verdicts() {
		m.Verdicts.WithLabelValues(string(v))
	}
	return m
}
