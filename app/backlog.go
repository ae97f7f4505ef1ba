package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// backlog tells how much work waits for the partitions that are served here. Over
// all of them, not by partition: one that is stuck shows in the oldest.
type backlog struct {
	a             *App
	depth, oldest *prometheus.Desc
}

func newBacklog(a *App) *backlog {
	return &backlog{a: a,
		depth:  prometheus.NewDesc("tocsin_partition_queued_work", "Batches and requests that wait for their partition's decision.", nil, nil),
		oldest: prometheus.NewDesc("tocsin_partition_oldest_work_seconds", "How long the oldest of them waits; 0: none.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(out chan<- *prometheus.Desc) { out <- b.depth; out <- b.oldest }

// Collect implements prometheus.Collector.
func (b *backlog) Collect(out chan<- prometheus.Metric) {
	depth, wait, now := 0, 0.0, b.a.o.Now()
	for _, s := range b.a.seats.list() {
		n, oldest := s.owner.Pending()
		if depth += n; n > 0 {
			wait = max(wait, now.Sub(oldest).Seconds())
		}
	}
	out <- prometheus.MustNewConstMetric(b.depth, prometheus.GaugeValue, float64(depth))
	out <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, wait)
}
