package history

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Why samples are not in the history.
const (
	dropAhead      = "too_far_ahead"
	dropTooOld     = "too_old"
	dropOutOfOrder = "out_of_order"
	dropDuplicate  = "duplicate"
	dropConflict   = "conflicting_value"
	dropQueue      = "queue_full"
	dropFailed     = "failed"
	dropExemplar   = "exemplar"
)

type metrics struct {
	written prometheus.Counter
	late    prometheus.Counter
	dropped *prometheus.CounterVec
	queued  prometheus.Gauge
	commit  prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_history_written_total",
			Help: "Samples and native histograms written to the metrics history."}),
		late: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_samples_history_late_total",
			Help: "Samples older than the latest of their series, handed to the metrics history all the same."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_samples_history_dropped_total",
			Help: "Samples, native histograms and exemplars that did not get into the metrics history."}, []string{"reason"}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_samples_history_queued_samples",
			Help: "Samples waiting to be written to the metrics history."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_samples_history_commit_duration_seconds",
			Help: "Time of a commit to the metrics history.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 9)}),
	}
	for _, reason := range []string{dropAhead, dropTooOld, dropOutOfOrder, dropDuplicate, dropConflict, dropQueue, dropFailed, dropExemplar} {
		m.dropped.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(m.written, m.late, m.dropped, m.queued, m.commit)
	}
	return m
}

func (m *metrics) count(reason string, n int) {
	if n > 0 {
		m.dropped.WithLabelValues(reason).Add(float64(n))
	}
}

// dropCounts is what the TSDB says of samples, histograms included.
type dropCounts struct{ appended, tooOld, outOfOrder, outOfBounds float64 }

func (c dropCounts) rejected() float64 { return c.tooOld + c.outOfOrder + c.outOfBounds }

// dropTap is the registerer the TSDB gets. It keeps the few counters that are read
// after each commit, so that this costs no gathering of all the others.
type dropTap struct {
	*prometheus.Registry
	mu   sync.Mutex
	kept map[string]*prometheus.CounterVec
}

func newDropTap() *dropTap {
	return &dropTap{Registry: prometheus.NewRegistry(), kept: map[string]*prometheus.CounterVec{}}
}

// The TSDB's counters, each with a label type.
const (
	tsdbAppended    = "prometheus_tsdb_head_samples_appended_total"
	tsdbTooOld      = "prometheus_tsdb_too_old_samples_total"
	tsdbOutOfOrder  = "prometheus_tsdb_out_of_order_samples_total"
	tsdbOutOfBounds = "prometheus_tsdb_out_of_bound_samples_total"
)

// Register notes the counters of interest and registers c.
func (t *dropTap) Register(c prometheus.Collector) error {
	if vec, ok := c.(*prometheus.CounterVec); ok {
		t.note(vec)
	}
	return t.Registry.Register(c)
}

// MustRegister is Register that panics.
func (t *dropTap) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := t.Register(c); err != nil {
			panic(err)
		}
	}
}

// note keeps the vector when it is one of ours. A vector without series can be
// told only by its description.
func (t *dropTap) note(vec *prometheus.CounterVec) {
	ch := make(chan *prometheus.Desc, 1)
	vec.Describe(ch)
	desc := (<-ch).String()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range []string{tsdbAppended, tsdbTooOld, tsdbOutOfOrder, tsdbOutOfBounds} {
		if strings.Contains(desc, `"`+name+`"`) {
			t.kept[name] = vec
		}
	}
}

// read gives the counters as they are now.
func (t *dropTap) read() dropCounts {
	return dropCounts{
		appended: t.value(tsdbAppended), tooOld: t.value(tsdbTooOld),
		outOfOrder: t.value(tsdbOutOfOrder), outOfBounds: t.value(tsdbOutOfBounds),
	}
}

func (t *dropTap) value(name string) float64 {
	t.mu.Lock()
	vec := t.kept[name]
	t.mu.Unlock()
	if vec == nil {
		return 0
	}
	sum := 0.0
	for _, kind := range []string{"float", "histogram"} {
		c, err := vec.GetMetricWithLabelValues(kind)
		var m dto.Metric
		if err != nil || c.Write(&m) != nil {
			return 0
		}
		sum += m.GetCounter().GetValue()
	}
	return sum
}
