package flow

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/delivery"
)

// waiting counts the deliveries that are asked for and not over, by what they do.
// Partitions' owners write to it, a scrape reads it.
type waiting struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[*Handler]map[string]waits // by key

	count, oldest *prometheus.Desc
}

type waits struct {
	verb  string
	since time.Time // when it was to begin
}

func newWaiting(now func() time.Time) *waiting {
	return &waiting{now: now, by: map[*Handler]map[string]waits{},
		count:  prometheus.NewDesc("tocsin_flow_waiting_deliveries", "Tickets, pictures and pages that are asked for and not over.", []string{"verb"}, nil),
		oldest: prometheus.NewDesc("tocsin_flow_oldest_delivery_seconds", "How long ago the oldest delivery that is not over was due; 0: none.", []string{"verb"}, nil)}
}

// add counts a delivery once, however often it is told.
func (w *waiting) add(h *Handler, d delivery.Delivery) {
	since := d.CreatedAt
	if d.NotBefore.After(since) {
		since = d.NotBefore
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[h] == nil {
		w.by[h] = map[string]waits{}
	}
	w.by[h][d.Key] = waits{d.Verb, since}
}

func (w *waiting) remove(h *Handler, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by[h], key)
}

// leave forgets what a handler counted, which is another's to count now.
func (w *waiting) leave(h *Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, h)
}

// Describe implements prometheus.Collector.
func (w *waiting) Describe(out chan<- *prometheus.Desc) { out <- w.count; out <- w.oldest }

// Collect implements prometheus.Collector.
func (w *waiting) Collect(out chan<- prometheus.Metric) {
	now := w.now()
	n, age := map[string]float64{}, map[string]float64{}
	w.mu.Lock()
	for _, all := range w.by {
		for _, d := range all {
			n[d.verb]++
			age[d.verb] = max(age[d.verb], now.Sub(d.since).Seconds())
		}
	}
	w.mu.Unlock()
	for _, v := range []string{VerbTicket, VerbPicture, VerbPage} {
		out <- prometheus.MustNewConstMetric(w.count, prometheus.GaugeValue, n[v], v)
		out <- prometheus.MustNewConstMetric(w.oldest, prometheus.GaugeValue, age[v], v)
	}
}
