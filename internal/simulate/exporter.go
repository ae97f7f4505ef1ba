package simulate

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/model/labels"
)

// Exporter serves the gateway's counters as of now() for a Prometheus to
// scrape, as text or, when asked, as OpenMetrics with start timestamps.
func (g *Gateway) Exporter(now func() time.Time) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{g: g, now: now})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true, ErrorHandling: promhttp.HTTPErrorOnError,
	})
}

type collector struct {
	g   *Gateway
	now func() time.Time
}

var dimensions = []string{"environment", "tenant", "service", "method", "country", "acquirer", "result"}

func (c collector) desc() *prometheus.Desc {
	return prometheus.NewDesc(Metric, "Payments by result.", dimensions, nil)
}

// Describe and Collect implement prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc() }

// Collect sends every series that can be read now.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	desc := c.desc()
	for _, s := range c.g.Snapshot(c.now()) {
		ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, s.Value, s.Start, values(s.Labels)...)
	}
}

func values(ls labels.Labels) []string {
	out := make([]string, len(dimensions))
	for i, d := range dimensions {
		out[i] = ls.Get(d)
	}
	return out
}
