package remotewrite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"
)

// native is a histogram as a text that differs when anything of it does.
func native(h Histogram) string {
	if h.Int != nil {
		i := *h.Int
		return fmt.Sprint("int ", h.T, h.Start, i.CounterResetHint, i.Schema, math.Float64bits(i.ZeroThreshold), i.ZeroCount, i.Count, math.Float64bits(i.Sum),
			i.PositiveSpans, i.PositiveBuckets, i.NegativeSpans, i.NegativeBuckets, i.CustomValues)
	}
	f := *h.Float
	return fmt.Sprint("float ", h.T, h.Start, f.CounterResetHint, f.Schema, math.Float64bits(f.ZeroThreshold), math.Float64bits(f.ZeroCount), math.Float64bits(f.Count), math.Float64bits(f.Sum),
		f.PositiveSpans, f.PositiveBuckets, f.NegativeSpans, f.NegativeBuckets, f.CustomValues)
}

func known(i *histogram.Histogram, f *histogram.FloatHistogram, t, start int64) []string {
	h := Histogram{T: t, Start: start, Int: i, Float: f}
	if i != nil {
		if i.CounterResetHint > histogram.GaugeType {
			i.CounterResetHint = 0
		}
		if i.Validate() != nil {
			return nil
		}
	} else {
		if f.CounterResetHint > histogram.GaugeType {
			f.CounterResetHint = 0
		}
		if f.Validate() != nil {
			return nil
		}
	}
	return []string{native(h)}
}

func nativeV1(h prompb.Histogram) []string {
	if h.ResetHint < 0 || h.ResetHint > 3 {
		h.ResetHint = 0
	}
	if h.IsFloatHistogram() {
		return known(nil, h.ToFloatHistogram(), h.Timestamp, 0)
	}
	return known(h.ToIntHistogram(), nil, h.Timestamp, 0)
}

func nativeV2(h writev2.Histogram) []string {
	if h.ResetHint < 0 || h.ResetHint > 3 {
		h.ResetHint = 0
	}
	if h.IsFloatHistogram() {
		return known(nil, h.ToFloatHistogram(), h.Timestamp, h.StartTimestamp)
	}
	return known(h.ToIntHistogram(), nil, h.Timestamp, h.StartTimestamp)
}

func texts(pairs []label, v float64, ts int64) []string {
	runes := 0
	m := map[string]string{}
	for _, p := range pairs {
		if p.name == "" || !utf8.ValidString(p.name) || !utf8.ValidString(p.value) {
			return nil
		}
		if _, twice := m[p.name]; twice {
			return nil
		}
		m[p.name] = p.value
		runes += utf8.RuneCountInString(p.name) + utf8.RuneCountInString(p.value)
	}
	if runes > exemplar.ExemplarMaxLabelSetLength {
		return nil
	}
	b := labels.NewScratchBuilder(2)
	for _, p := range pairs {
		b.Add(p.name, p.value)
	}
	b.Sort()
	return []string{fmt.Sprint(b.Labels(), math.Float64bits(v), ts)}
}

func exemplarsV1(in []prompb.Exemplar) (out []string) {
	for _, x := range in {
		var pairs []label
		for _, l := range x.Labels {
			pairs = append(pairs, label{l.Name, l.Value})
		}
		out = append(out, texts(pairs, x.Value, x.Timestamp)...)
	}
	return out
}

func exemplarsV2(symbols []string, in []writev2.Exemplar) (out []string) {
	for _, x := range in {
		var pairs []label
		for i := 0; i+1 < len(x.LabelsRefs); i += 2 {
			if int(x.LabelsRefs[i]) < len(symbols) && int(x.LabelsRefs[i+1]) < len(symbols) {
				pairs = append(pairs, label{symbols[x.LabelsRefs[i]], symbols[x.LabelsRefs[i+1]]})
			}
		}
		out = append(out, texts(pairs, x.Value, x.Timestamp)...)
	}
	return out
}

// randomHistogram gives one as an integer and as a float histogram.
func randomHistogram(r *rand.Rand) (*histogram.Histogram, *histogram.FloatHistogram) {
	h := &histogram.Histogram{Schema: r.Int32N(13) - 4, ZeroThreshold: 1e-9, ZeroCount: r.Uint64N(5), Sum: r.Float64(), CounterResetHint: histogram.CounterResetHint(r.IntN(4))}
	h.Count = h.ZeroCount
	side := func() (spans []histogram.Span, deltas []int64) {
		last := int64(0)
		for i := range r.IntN(4) {
			s := histogram.Span{Offset: r.Int32N(10), Length: r.Uint32N(5) + 1}
			if i == 0 {
				s.Offset -= 5
			}
			spans = append(spans, s)
			for range s.Length {
				n := r.Int64N(9)
				h.Count += uint64(n)
				deltas = append(deltas, n-last)
				last = n
			}
		}
		return spans, deltas
	}
	h.PositiveSpans, h.PositiveBuckets = side()
	h.NegativeSpans, h.NegativeBuckets = side()
	return h, h.ToFloat(nil)
}

// TestHistogramsThatContradictThemselvesAreLeftOut: they cost neither the rest of
// their series nor more memory than a limit.
func TestHistogramsThatContradictThemselvesAreLeftOut(t *testing.T) {
	good, _ := randomHistogram(rand.New(rand.NewPCG(5, 6)))
	miscounted := good.Copy()
	miscounted.Count++
	wide := &histogram.Histogram{Schema: 3, Count: 5000, PositiveSpans: []histogram.Span{{Length: 5000}}, PositiveBuckets: append([]int64{1}, make([]int64, 4999)...)}
	require.NoError(t, wide.Validate())
	odd := prompb.FromIntHistogram(1, good)
	odd.Schema = 77
	var req Request
	w := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:     []prompb.Label{{Name: "__name__", Value: "h"}},
		Samples:    []prompb.Sample{{Value: 1, Timestamp: 1}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(1, good), prompb.FromIntHistogram(2, miscounted), prompb.FromIntHistogram(3, wide), odd},
		Exemplars: []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "1"}}, Value: 1, Timestamp: 1},
			{Labels: []prompb.Label{{Name: "trace_id", Value: strings.Repeat("x", 200)}}, Value: 1, Timestamp: 1}},
	}}}
	require.NoError(t, req.Decode(V1, packed(t, w), Limits{}))
	require.Len(t, req.Series[0].Samples, 1)
	require.Len(t, req.Series[0].Histograms, 1)
	require.Equal(t, 3, req.Series[0].Invalid)
	require.Len(t, req.Series[0].Exemplars, 1)
	require.Equal(t, 2, req.Exemplars)
	require.Error(t, req.Decode(V1, packed(t, w), Limits{Samples: 3}), "histograms count as samples do")
}
