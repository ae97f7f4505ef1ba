// Package red turns the calls that package tracing counted into ordinary cumulative
// series: rate, errors, duration, as a program that counts its own calls has them.
//
// It knows batches of calls and makes batches of samples. It must not know where
// those are written or who asks for them.
package red

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
)

// Names of the series that are made of calls, besides sli.SpanCalls and the
// histogram sli.SpanDuration.
const (
	// EstimatedCalls adds up the calls that sampled spans stand for; it is there for
	// streams that were sampled.
	EstimatedCalls = "traces_spanmetrics_estimated_calls_total"
)

const (
	mostTotals = 200_000          // streams of all tenants
	redWait    = 30 * time.Second // a step's value is written so long after its end
	redAlive   = 2 * time.Minute  // a value that does not change is written again after this
	redIdle    = time.Hour        // and ended after this
	// redIDs sets the ids of these series apart from those of other doors.
	redIDs = 1 << 63
)

// Counters make ordinary cumulative series of batches: what a program that counts
// its own calls would be scraped for, every ten seconds. A series begins with a
// zero, so that its first calls are seen.
//
// A call counts at the end of the step it ended in, or, when it came later than
// 30 s after that, at the end of the first step that was not written when it
// came; both follow from the record alone, so that a replay writes the same.
//
// It is for one goroutine at a time.
type Counters struct {
	tenantLabel string
	totals      map[uint64][]*total
	written     int64 // ms: every step up to here is written
	restored    int64 // ms: up to here it was before a restart
	ids         uint64
	size        int // totals
	most        int
	dropped     int // calls of streams beyond most
}

// total is one stream's counters.
type total struct {
	tenant  tenant.ID
	labels  labels.Labels // of the calls
	series  []labels.Labels
	first   uint64 // id of the first of series
	now     counts // as of wrote
	open    []openStep
	wrote   int64 // ms: the newest sample; 0: none
	changed int64 // ms: the newest sample that differed
	start   int64 // ms: when it was zero
	sampled bool  // its spans stood for more than themselves
}

type counts struct {
	calls, weight, seconds float64
	buckets                [tracing.Buckets]float64
}

type openStep struct {
	end int64
	counts
}

// New makes counters that begin at zero.
func New(tenantLabel string) *Counters {
	return &Counters{tenantLabel: tenantLabel, totals: map[uint64][]*total{}, most: mostTotals}
}

// Take adds a batch.
func (r *Counters) Take(b *tracing.Batch) {
	step := tracing.Step.Milliseconds()
	earliest := (b.ReceivedAt.Add(-redWait).UnixMilli()/step + 1) * step
	for i := range b.Calls {
		c := &b.Calls[i]
		end := max(c.Step+step, earliest)
		if end <= r.restored {
			continue // it is in what was read back
		}
		if t := r.find(c.Tenant, c.Labels); t != nil {
			t.add(max(end, r.written+step), c)
		} else {
			r.dropped += c.N
		}
	}
}

// Dropped is how many calls made no series since it was asked last, because there
// are too many streams.
func (r *Counters) Dropped() (n int) {
	n, r.dropped = r.dropped, 0
	return n
}

// find finds a stream's counters or makes them; nil when there are too many.
func (r *Counters) find(id tenant.ID, ls labels.Labels) *total {
	h := ls.Hash()
	for _, t := range r.totals[h] {
		if labels.Equal(t.labels, ls) {
			return t
		}
	}
	if r.size >= r.most {
		return nil
	}
	r.size++
	t := &total{tenant: id, labels: ls, first: redIDs | r.ids}
	t.name()
	r.ids += uint64(len(t.series))
	r.totals[h] = append(r.totals[h], t)
	return t
}

// Places of the series of a total; the buckets follow.
const (
	seriesCalls = iota
	seriesWeight
	seriesSum
	seriesCount
	seriesBuckets
)

func (t *total) name() {
	b := labels.NewBuilder(t.labels)
	for _, name := range []string{sli.SpanCalls, EstimatedCalls, sli.SpanDuration + "_sum", sli.SpanDuration + "_count"} {
		t.series = append(t.series, b.Set(labels.MetricName, name).Labels())
	}
	t.series = append(t.series, Buckets(t.labels)...)
}

// Buckets are the labels of the duration's buckets for the labels of a call, in
// the order of Les.
func Buckets(call labels.Labels) []labels.Labels {
	b := labels.NewBuilder(call).Set(labels.MetricName, sli.Buckets(sli.SpanDuration))
	out := make([]labels.Labels, 0, tracing.Buckets)
	for _, le := range Les() {
		out = append(out, b.Set(labels.BucketLabel, le).Labels())
	}
	return out
}

// Les are the values of le, the last of them +Inf.
func Les() []string {
	out := make([]string, 0, tracing.Buckets)
	for _, e := range tracing.Edges() {
		out = append(out, strconv.FormatFloat(e, 'g', -1, 64))
	}
	return append(out, "+Inf")
}

func (t *total) add(end int64, c *tracing.Call) {
	i, found := slices.BinarySearchFunc(t.open, end, func(o openStep, end int64) int { return int(o.end - end) })
	if !found {
		t.open = slices.Insert(t.open, i, openStep{end: end})
	}
	o := &t.open[i]
	o.calls, o.weight, o.seconds = o.calls+float64(c.N), o.weight+c.Weight, o.seconds+c.Seconds
	for i, n := range c.Buckets {
		o.buckets[i] += float64(n)
	}
	t.sampled = t.sampled || c.Weight != float64(c.N)
}

// Forget drops a tenant's counters; what comes later begins anew.
func (r *Counters) Forget(id tenant.ID) {
	for h, list := range r.totals {
		r.keep(h, list, slices.DeleteFunc(list, func(t *total) bool { return t.tenant == id }))
	}
}

func (r *Counters) keep(h uint64, before, after []*total) {
	r.size -= len(before) - len(after)
	if r.totals[h] = after; len(after) == 0 {
		delete(r.totals, h)
	}
}

// Due gives the samples of the steps that ended 30 s before now and were not
// given before; nil when there are none.
func (r *Counters) Due(now time.Time) *samples.Batch {
	step := tracing.Step.Milliseconds()
	upTo := now.Add(-redWait).UnixMilli() / step * step
	if upTo <= r.written {
		return nil
	}
	r.written = upTo
	b := &samples.Batch{ReceivedAt: now}
	for h, list := range r.totals {
		r.keep(h, list, slices.DeleteFunc(list, func(t *total) bool { return t.write(b, upTo) }))
	}
	if b.Samples == 0 {
		return nil
	}
	return b
}

// write gives the total's samples up to a time; gone when it has been idle for
// long.
func (t *total) write(b *samples.Batch, upTo int64) (gone bool) {
	step := tracing.Step.Milliseconds()
	points := make([][]samples.Sample, len(t.series))
	put := func(at int64) {
		for i := range t.series {
			if i == seriesWeight && !t.sampled {
				continue
			}
			points[i] = append(points[i], samples.Sample{T: at, V: t.now.value(i), Start: t.start})
		}
		t.wrote = at
	}
	for len(t.open) > 0 && t.open[0].end <= upTo {
		o := &t.open[0]
		if t.wrote == 0 {
			t.start = o.end - step
		}
		if t.wrote < o.end-step { // where it grew from
			put(o.end - step)
		}
		t.now.add(&o.counts)
		put(o.end)
		t.changed = o.end
		t.open = t.open[1:]
	}
	if len(t.open) == 0 && t.wrote > 0 && upTo-t.wrote >= redAlive.Milliseconds() {
		if gone = upTo-t.changed >= redIdle.Milliseconds(); gone {
			for i := range t.series {
				points[i] = append(points[i], samples.Sample{T: upTo, V: math.Float64frombits(value.StaleNaN)})
			}
		} else {
			put(upTo)
		}
	}
	for i, list := range points {
		if len(list) > 0 {
			b.Series = append(b.Series, samples.Series{ID: t.first + uint64(i), Tenant: t.tenant, Labels: t.series[i], Samples: list})
			b.Samples += len(list)
		}
	}
	return gone
}

func (c *counts) add(o *counts) {
	c.calls, c.weight, c.seconds = c.calls+o.calls, c.weight+o.weight, c.seconds+o.seconds
	for i, n := range o.buckets {
		c.buckets[i] += n
	}
}

// value is what the series at place i says; buckets are cumulative.
func (c *counts) value(i int) float64 {
	switch i {
	case seriesCalls, seriesCount:
		return c.calls
	case seriesWeight:
		return c.weight
	case seriesSum:
		return c.seconds
	}
	sum := 0.0
	for _, n := range c.buckets[:i-seriesBuckets+1] {
		sum += n
	}
	return sum
}

// Last is the newest sample of a series that was written before.
type Last struct {
	Labels labels.Labels
	T      int64 // unix ms
	V      float64
}

// Restore goes on from what was written before a restart: the newest samples since
// a time of the series that carry tracing.LabelCollector. Calls that are in them, or
// that are older, are left out by Take. It comes before the first Take.
func (r *Counters) Restore(last []Last, since time.Time) {
	r.restored = since.UnixMilli() / tracing.Step.Milliseconds() * tracing.Step.Milliseconds()
	for _, l := range last {
		if l.Labels.Get(tracing.LabelCollector) != tracing.Collector || value.IsStaleNaN(l.V) {
			continue
		}
		if l.T%tracing.Step.Milliseconds() == 0 { // else it is none of ours
			r.restored = max(r.restored, l.T)
		}
		name := l.Labels.Get(labels.MetricName)
		b := labels.NewBuilder(l.Labels).Set(labels.MetricName, sli.SpanCalls).Del(labels.BucketLabel)
		t := r.find(tenant.ID(l.Labels.Get(r.tenantLabel)), b.Labels())
		if t == nil {
			continue
		}
		t.wrote, t.changed = max(t.wrote, l.T), max(t.changed, l.T)
		switch name {
		case sli.SpanCalls:
			t.now.calls = l.V
		case EstimatedCalls:
			t.now.weight, t.sampled = l.V, true
		case sli.SpanDuration + "_sum":
			t.now.seconds = l.V
		case sli.SpanDuration + "_bucket":
			if i := slices.Index(Les(), l.Labels.Get(labels.BucketLabel)); i >= 0 {
				t.now.buckets[i] = l.V
			}
		}
	}
	r.written = r.restored
	for _, list := range r.totals {
		for _, t := range list {
			for i := len(t.now.buckets) - 1; i > 0; i-- {
				t.now.buckets[i] -= t.now.buckets[i-1]
			}
			if !t.sampled {
				t.now.weight = t.now.calls
			}
		}
	}
}
