package native_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples/native"
)

// observed is a histogram that client_golang made of the values.
func observed(t testing.TB, factor float64, values []float64) *histogram.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: factor, NativeHistogramZeroThreshold: 1e-9})
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	require.NoError(t, h.Write(&m))
	d := m.Histogram
	spans := func(in []*dto.BucketSpan) (out []histogram.Span) {
		for _, s := range in {
			out = append(out, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
		}
		return out
	}
	return &histogram.Histogram{Schema: d.GetSchema(), ZeroThreshold: d.GetZeroThreshold(), ZeroCount: d.GetZeroCount(), Count: d.GetSampleCount(), Sum: d.GetSampleSum(),
		PositiveSpans: spans(d.PositiveSpan), PositiveBuckets: d.PositiveDelta, NegativeSpans: spans(d.NegativeSpan), NegativeBuckets: d.NegativeDelta}
}

// TestExpansionCountsAsAClassicHistogramDoes: the counts are those that a
// classic histogram with the same edges would have had.
func TestExpansionCountsAsAClassicHistogramDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, factor := range []float64{1.005, 1.1, 1.5, 2, 4, 16, 256} {
		values := []float64{0, -1, -0.25, 1, 0.5, 2, 128, 0.0009765625, 1e-6, 1000, math.Inf(1)}
		for range 2000 {
			values = append(values, math.Exp(r.NormFloat64()*3-2))
		}
		h := observed(t, factor, values)
		require.NoError(t, h.Validate())
		got := native.Expand(nil, "h_seconds", h, nil)
		require.Equal(t, got, native.Expand(nil, "h_seconds", nil, h.ToFloat(nil)), "both kinds alike")
		if h.Schema >= 0 {
			require.Len(t, got, 19)
			require.Equal(t, []float64{1.0 / 1024, 128}, []float64{got[0].Le, got[17].Le})
		}
		require.Equal(t, native.Bucket{Le: math.Inf(1), Count: float64(len(values))}, got[len(got)-1])
		require.Greater(t, len(got), 1, "schema %d", h.Schema)
		for _, b := range got {
			n := 0
			for _, v := range values {
				if v <= b.Le {
					n++
				}
			}
			require.Equal(t, float64(n), b.Count, "schema %d, up to %g", h.Schema, b.Le)
		}
	}
}

func TestMillisecondsHaveTheirOwnEdges(t *testing.T) {
	got := native.Expand(nil, "http_server_duration_milliseconds", observed(t, 1.1, []float64{0.5, 3, 4, 100_000, 200_000}), nil)
	require.Equal(t, native.Bucket{Le: 1, Count: 1}, got[0])
	require.Equal(t, native.Bucket{Le: 4, Count: 3}, got[2])
	require.Equal(t, native.Bucket{Le: 131072, Count: 4}, got[17])
	require.Equal(t, native.Bucket{Le: math.Inf(1), Count: 5}, got[18])
}

func TestCustomBoundsAreKept(t *testing.T) {
	h := &histogram.Histogram{Schema: histogram.CustomBucketsSchema, CustomValues: []float64{0.1, 0.5, 3}, Count: 10, Sum: 9,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}, {Offset: 1, Length: 2}}, PositiveBuckets: []int64{2, 1, 2}}
	require.NoError(t, h.Validate())
	require.Equal(t, []native.Bucket{{0.1, 2}, {0.5, 2}, {3, 5}, {math.Inf(1), 10}}, native.Expand(nil, "h_seconds", h, nil))
}

func TestGaugesCountNothingAndTheEndIsPassedOn(t *testing.T) {
	h := observed(t, 1.1, []float64{1, 2})
	h.CounterResetHint = histogram.GaugeType
	require.Empty(t, native.Expand(nil, "h_seconds", h, nil))
	stale := native.Expand(nil, "h_seconds", &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}, nil)
	require.Len(t, stale, 19)
	for _, b := range stale {
		require.True(t, value.IsStaleNaN(b.Count))
	}
}

func TestAWideZeroBucketHidesTheEdgesInIt(t *testing.T) {
	h := &histogram.FloatHistogram{Schema: 0, ZeroThreshold: 0.3, ZeroCount: 5, Count: 8, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []float64{2, 1}}
	got := native.Expand(nil, "h_seconds", nil, h)
	require.Equal(t, native.Bucket{Le: 0.5, Count: 5}, got[0])
	require.Equal(t, native.Bucket{Le: 1, Count: 7}, got[1])
}

func BenchmarkExpand(b *testing.B) {
	values := []float64{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		values = append(values, math.Exp(r.NormFloat64()-2))
	}
	h := observed(b, 1.1, values)
	var buf []native.Bucket
	b.ReportAllocs()
	for b.Loop() {
		buf = native.Expand(buf[:0], "h_seconds", h, nil)
	}
}
