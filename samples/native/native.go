// Package native makes classic counters of native histograms: how many
// observations there were up to each of a few fixed edges. What counts events
// then needs to know one kind of histogram only.
//
// The edges are the powers of two from 2^-10 s (about 1 ms) to 2^7 s (128 s), and
// of what is counted in milliseconds from 1 ms to 2^17 ms (131 s). They are bucket
// boundaries of every schema from 0 on, so that the counts are
// exact; of coarser schemas those edges are left out that are no boundaries.
// Custom bounds are taken as they are.
//
// It knows histograms and nothing of series, tenants or storage.
package native

import (
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// edges is their number; the exponent of the lowest follows from the unit.
const (
	edges        = 18
	seconds      = -10
	milliseconds = 0
)

// lowestOf is the exponent of the lowest edge for a histogram of this name.
func lowestOf(name string) int {
	if strings.HasSuffix(name, "_milliseconds") {
		return milliseconds
	}
	return seconds
}

// Bucket is the cumulative count of observations up to an edge. The last one of
// an expansion has the edge +Inf and counts all.
type Bucket struct{ Le, Count float64 }

// Expand appends the buckets of the named histogram to dst, the lowest edge first.
// One of h and f is given; it is valid (its Validate returns nil). A stale marker gives
// buckets that are stale markers. Gauge histograms count nothing: they give none.
func Expand(dst []Bucket, name string, h *histogram.Histogram, f *histogram.FloatHistogram) []Bucket {
	if Gauge(h, f) {
		return dst
	}
	lowest := lowestOf(name)
	if Stale(h, f) {
		stale := math.Float64frombits(value.StaleNaN)
		for k := range edges {
			dst = append(dst, Bucket{math.Ldexp(1, lowest+k), stale})
		}
		return append(dst, Bucket{math.Inf(1), stale})
	}
	var s shape
	if h != nil {
		s = shape{schema: h.Schema, threshold: h.ZeroThreshold, below: float64(h.ZeroCount), spans: h.PositiveSpans, custom: h.CustomValues, total: float64(h.Count)}
		n := int64(0)
		for _, d := range h.NegativeBuckets {
			n += d
			s.below += float64(n)
		}
		n = 0
		s.next = func(i int) float64 { n += h.PositiveBuckets[i]; return float64(n) }
	} else {
		s = shape{schema: f.Schema, threshold: f.ZeroThreshold, below: f.ZeroCount, spans: f.PositiveSpans, custom: f.CustomValues, total: f.Count}
		for _, n := range f.NegativeBuckets {
			s.below += n
		}
		s.next = func(i int) float64 { return f.PositiveBuckets[i] }
	}
	if histogram.IsCustomBucketsSchema(s.schema) {
		return s.customBuckets(dst)
	}
	return s.buckets(dst, lowest)
}

// Gauge says whether the histogram is one whose counts may fall.
func Gauge(h *histogram.Histogram, f *histogram.FloatHistogram) bool {
	if h != nil {
		return h.CounterResetHint == histogram.GaugeType
	}
	return f.CounterResetHint == histogram.GaugeType
}

// Stale says whether the histogram is the marker that ends a series.
func Stale(h *histogram.Histogram, f *histogram.FloatHistogram) bool {
	return value.IsStaleNaN(Sum(h, f))
}

// Sum is the sum of all observations.
func Sum(h *histogram.Histogram, f *histogram.FloatHistogram) float64 {
	if h != nil {
		return h.Sum
	}
	return f.Sum
}

// shape is what both kinds of histogram have in common. next gives the count of
// the i-th bucket; it is called once for each, in order.
type shape struct {
	schema           int32
	threshold, below float64 // zero bucket's width; observations in it and less than it
	total            float64
	spans            []histogram.Span
	custom           []float64
	next             func(i int) float64
}

// each calls yield for every bucket with its index.
func (s *shape) each(yield func(index int64, count float64)) {
	index, n := int64(0), 0
	for _, sp := range s.spans {
		index += int64(sp.Offset)
		for range sp.Length {
			yield(index, s.next(n))
			index++
			n++
		}
	}
}

// buckets counts at the fixed edges. The upper bound of bucket i of schema s is
// 2^(i*2^-s).
func (s *shape) buckets(dst []Bucket, lowest int) []Bucket {
	var at [edges]float64
	s.each(func(index int64, count float64) {
		k := index << max(-s.schema, 0)
		if s.schema > 0 {
			k = (index-1)>>s.schema + 1
		}
		if slot := max(k-int64(lowest), 0); slot < edges {
			at[slot] += count
		}
	})
	sum := s.below
	for i := range at {
		sum += at[i]
		k := lowest + i
		edge := math.Ldexp(1, k)
		if s.schema < 0 && k%(1<<-s.schema) != 0 || edge < s.threshold {
			continue
		}
		dst = append(dst, Bucket{edge, sum})
	}
	return append(dst, Bucket{math.Inf(1), s.total})
}

func (s *shape) customBuckets(dst []Bucket) []Bucket {
	at := make([]float64, len(s.custom)+1)
	s.each(func(index int64, count float64) {
		if index >= 0 && index < int64(len(at)) {
			at[index] += count
		}
	})
	sum := 0.0
	for i, edge := range s.custom {
		sum += at[i]
		dst = append(dst, Bucket{edge, sum})
	}
	return append(dst, Bucket{math.Inf(1), s.total})
}
