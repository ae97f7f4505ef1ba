package outbox

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/delivery"
)

// Metrics of deliveries. No series carries a tenant.
type Metrics struct {
	attempts *prometheus.CounterVec // by verb and result
	Waiting  *waiting               // deliveries that are not over
}

// NewMetrics registers the metrics, all series at zero. now tells how long deliveries
// wait.
func NewMetrics(r prometheus.Registerer, now func() time.Time) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_flow_deliveries_total", Help: "Attempts to deliver a ticket, picture or page."}, []string{"verb", "result"}),
		Waiting:  newWaiting(now),
	}
	r.MustRegister(m.attempts, m.Waiting)
	for _, v := range []string{Ticket, Picture, Page} {
		for _, o := range []string{"ok", "withdrawn", "retry", "refused"} {
			m.attempts.WithLabelValues(v, o)
		}
	}
	return m
}

// waiting counts the deliveries that are asked for and not over, by what they do.
// Partitions' owners write to it, a scrape reads it.
type waiting struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[*Box]map[string]waits // by key

	count, oldest *prometheus.Desc
}

type waits struct {
	verb  string
	since time.Time // when it was to begin
}

func newWaiting(now func() time.Time) *waiting {
	return &waiting{now: now, by: map[*Box]map[string]waits{},
		count:  prometheus.NewDesc("tocsin_flow_waiting_deliveries", "Tickets, pictures and pages that are asked for and not over.", []string{"verb"}, nil),
		oldest: prometheus.NewDesc("tocsin_flow_oldest_delivery_seconds", "How long ago the oldest delivery that is not over was due; 0: none.", []string{"verb"}, nil)}
}

// add counts a delivery once, however often it is told.
func (w *waiting) add(b *Box, d delivery.Delivery) {
	since := d.CreatedAt
	if d.NotBefore.After(since) {
		since = d.NotBefore
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[b] == nil {
		w.by[b] = map[string]waits{}
	}
	w.by[b][d.Key] = waits{d.Verb, since}
}

func (w *waiting) remove(b *Box, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by[b], key)
}

// leave forgets what a box counted, which is another's to count now.
func (w *waiting) leave(b *Box) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, b)
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
	for _, v := range []string{Ticket, Picture, Page} {
		out <- prometheus.MustNewConstMetric(w.count, prometheus.GaugeValue, n[v], v)
		out <- prometheus.MustNewConstMetric(w.oldest, prometheus.GaugeValue, age[v], v)
	}
}
