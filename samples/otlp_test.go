package samples

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// batch is an OTLP request under construction.
type batch struct {
	pmetric.Metrics
	at time.Time
}

func newBatch(at time.Time) batch { return batch{pmetric.NewMetrics(), at} }

func (b batch) metric(name, tenantID string) pmetric.Metric {
	rm := b.ResourceMetrics().AppendEmpty()
	if tenantID != "" {
		rm.Resource().Attributes().PutStr("tenant.id", tenantID)
	}
	x := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	x.SetName(name)
	return x
}

func (b batch) counter(name, tenantID string, v int64) pmetric.NumberDataPoint {
	s := b.metric(name, tenantID).SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := s.DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(b.at))
	p.SetIntValue(v)
	return p
}

func (f *fixture) otlp(scope door.Scope, b batch) (int64, string) {
	f.t.Helper()
	raw, err := pmetricotlp.NewExportRequestFromMetrics(b.Metrics).MarshalProto()
	require.NoError(f.t, err)
	n, text, err := f.WriteOTLP(f.t.Context(), scope, raw, false)
	require.NoError(f.t, err)
	return n, text
}

// TestTheTenantsTableForOTLP is row by row what a credential, the header and the
// attribute make of a data point.
func TestTheTenantsTableForOTLP(t *testing.T) {
	one, list, any := door.Scope{Tenants: []tenant.ID{"acme"}}, door.Scope{Tenants: []tenant.ID{"acme", "bolt"}}, door.Scope{Any: true}
	with := func(s door.Scope, org string) door.Scope { s.OrgID = org; return s }
	for _, c := range []struct {
		scope door.Scope
		attr  string
		want  tenant.ID // empty: refused
	}{
		{one, "", "acme"}, {one, "acme", "acme"}, {with(one, "acme"), "", "acme"}, {with(one, "acme"), "acme", "acme"},
		{one, "bolt", ""}, {with(one, "acme"), "bolt", ""},
		{list, "bolt", "bolt"}, {list, "coyote", ""}, {any, "coyote", "coyote"},
		{with(list, "bolt"), "", "bolt"}, {with(list, "bolt"), "bolt", "bolt"}, {with(list, "bolt"), "acme", ""}, {with(any, "bolt"), "acme", ""},
		{list, "", "_product"}, {any, "", "_product"},
		{any, "not an id!", ""},
	} {
		t.Run(fmt.Sprint(c.scope, c.attr), func(t *testing.T) {
			f := newFixture(t)
			b := newBatch(noon)
			b.counter("payments", c.attr, 3)
			b.counter("beside", "", 1)
			n, text := f.otlp(c.scope, b)
			require.Len(t, f.batches, 1, "the good one beside it is kept")
			if c.want == "" {
				require.EqualValues(t, 1, n)
				require.Contains(t, text, "1 samples stored; refused: 1 ")
				require.NotContains(t, text, c.attr, "a rejected value is not said again")
				return
			}
			require.Zero(t, n, text)
			require.Equal(t, fmt.Sprintf(`%s {__name__="payments_total", environment="production", tenant="%s"} 1`, c.want, c.want), f.stored()[0])
		})
	}
	f := newFixture(t)
	for org, kind := range map[string]problem.Kind{"bolt": problem.Forbidden, "a|b": problem.Malformed} {
		_, _, err := f.WriteOTLP(t.Context(), with(one, org), nil, false)
		require.True(t, problem.Is(err, kind), "%s: %v", org, err)
	}
	require.Empty(t, f.records)
}

func TestWhatOTLPRefusesAndWhy(t *testing.T) {
	f := newFixture(t)
	b := newBatch(noon)
	b.counter("good", "acme", 1)
	b.counter("delta", "acme", 1)
	b.ResourceMetrics().At(1).ScopeMetrics().At(0).Metrics().At(0).Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	b.counter("tomorrow", "acme", 1).SetTimestamp(pcommon.NewTimestampFromTime(noon.Add(24 * time.Hour)))
	b.counter("yesterday", "acme", 1).SetTimestamp(pcommon.NewTimestampFromTime(noon.Add(-24 * time.Hour)))
	b.counter("timeless", "acme", 1).SetTimestamp(0)
	b.counter("unborn", "acme", 1).SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(time.Hour)))
	b.counter("born", "acme", 1).SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(-time.Hour)))
	b.counter("nan", "acme", 1).SetDoubleValue(math.NaN())
	b.counter("ended", "acme", 1).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	long := b.counter("long", "acme", 1)
	long.Attributes().PutStr("x", strings.Repeat("y", 5000))
	n, text := f.otlp(door.Scope{Any: true}, b)
	require.EqualValues(t, 4, n)
	require.Equal(t, "6 samples stored; refused: 1 samples too far ahead of now (check the sender's clock); 1 samples of series with too many or too long labels; "+
		"1 data points of delta temporality (send cumulative ones: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative, or the collector's deltatocumulative processor); "+
		"1 data points without a value, a time or a temporality, or that contradict themselves", text)
	got := map[string]Sample{}
	for _, s := range f.batches[0].Series {
		got[s.Labels.Get("__name__")] = s.Samples[0]
	}
	require.Len(t, got, 6)
	require.Zero(t, got["unborn_total"].Start, "a start in the future is not believed")
	require.Equal(t, 1.0, testutil.ToFloat64(f.metrics.starts))
	require.Equal(t, noon.Add(-time.Hour).UnixMilli(), got["born_total"].Start)
	require.True(t, math.IsNaN(got["nan_total"].V) && !value.IsStaleNaN(got["nan_total"].V))
	require.True(t, value.IsStaleNaN(got["ended_total"].V))
	for reason, want := range map[string]float64{refusedAhead: 1, refusedDelta: 1, refusedPoint: 1, refusedLabels: 1} {
		require.Equal(t, want, testutil.ToFloat64(f.metrics.refused.WithLabelValues(reason)), reason)
	}
	_, _, err := f.WriteOTLP(t.Context(), door.Scope{Any: true}, []byte("no protobuf"), false)
	require.True(t, problem.Is(err, problem.Malformed))
	_, _, err = f.WriteOTLP(t.Context(), door.Scope{Any: true}, []byte("no JSON"), true)
	require.True(t, problem.Is(err, problem.Malformed))
	f.refuse = problem.New(problem.TooMany, "the journal is full")
	raw, err := pmetricotlp.NewExportRequestFromMetrics(b.Metrics).MarshalProto()
	require.NoError(t, err)
	_, _, err = f.WriteOTLP(t.Context(), door.Scope{Any: true}, raw, false)
	require.True(t, problem.Is(err, problem.TooMany), "what is not durable is not accepted")
}

// kinds is a request with one of each kind of histogram, an exemplar in each.
func kinds(at time.Time) batch {
	b := newBatch(at)
	example := func(in pmetric.ExemplarSlice, v float64) {
		x := in.AppendEmpty()
		x.SetTimestamp(pcommon.NewTimestampFromTime(at))
		x.SetDoubleValue(v)
		x.SetTraceID(pcommon.TraceID{7})
	}
	h := b.metric("classic", "acme").SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := h.DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(-time.Minute)))
	p.ExplicitBounds().FromRaw([]float64{0.5, 1})
	p.BucketCounts().FromRaw([]uint64{3, 2, 1})
	p.SetCount(6)
	p.SetSum(4.5)
	example(p.Exemplars(), 0.75)
	e := b.metric("exponential", "acme").SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	q := e.DataPoints().AppendEmpty()
	q.SetTimestamp(pcommon.NewTimestampFromTime(at))
	q.SetScale(1)
	q.Positive().SetOffset(-2) // (0.5, 0.707], (0.707, 1], (1, 1.414]
	q.Positive().BucketCounts().FromRaw([]uint64{4, 5, 6})
	q.SetZeroCount(1)
	q.SetCount(16)
	q.SetSum(12)
	example(q.Exemplars(), 0.75)
	s := b.metric("summary", "acme").SetEmptySummary().DataPoints().AppendEmpty()
	s.SetTimestamp(pcommon.NewTimestampFromTime(at))
	s.SetCount(9)
	s.SetSum(3)
	v := s.QuantileValues().AppendEmpty()
	v.SetQuantile(0.99)
	v.SetValue(2)
	return b
}

// flat is every sample of a batch by what names its series.
func flat(b *Batch, derived bool) map[string]float64 {
	out := map[string]float64{}
	for _, s := range b.Series {
		for _, x := range s.Samples {
			if s.Derived == derived {
				key := s.Labels.Get("__name__")
				for _, l := range []string{"le", "quantile"} {
					if v := s.Labels.Get(l); v != "" {
						key += " " + v
					}
				}
				out[key] = x.V
			}
		}
	}
	return out
}

func TestHistogramsAndSummariesBecomeSeries(t *testing.T) {
	f := newFixture(t)
	n, text := f.otlp(door.Scope{Any: true}, kinds(noon))
	require.Zero(t, n, text)
	b := f.batches[0]
	require.Equal(t, map[string]float64{
		"classic_bucket 0.5": 3, "classic_bucket 1": 5, "classic_bucket +Inf": 6, "classic_count": 6, "classic_sum": 4.5,
		"summary 0.99": 2, "summary_count": 9, "summary_sum": 3,
	}, flat(b, false))
	require.Equal(t, 8, b.Samples)
	require.Equal(t, 1, b.Histograms)
	require.Equal(t, 2, b.Exemplars)
	derived := flat(b, true)
	require.Len(t, derived, 18+1+2)
	for key, want := range map[string]float64{"exponential_bucket 0.25": 1, "exponential_bucket 0.5": 1, "exponential_bucket 1.0": 10, "exponential_bucket 2.0": 16,
		"exponential_bucket +Inf": 16, "exponential_count": 16, "exponential_sum": 12, "exponential_bucket 0.0009765625": 1, "exponential_bucket 128.0": 16} {
		require.Equal(t, want, derived[key], key)
	}
	for _, s := range b.Series {
		switch s.Labels.Get("__name__") + s.Labels.Get("le") {
		case "classic_bucket1":
			require.Len(t, s.Exemplars, 1, "in the bucket of its value")
			require.Equal(t, noon.Add(-time.Minute).UnixMilli(), s.Samples[0].Start)
		case "exponential":
			require.Len(t, s.Histograms, 1)
			require.Len(t, s.Exemplars, 1)
			require.Equal(t, `{trace_id="07000000000000000000000000000000"}`, s.Exemplars[0].Labels.String())
		default:
			require.Empty(t, s.Exemplars)
		}
	}
	f.now = noon.Add(15 * time.Second)
	f.otlp(door.Scope{Any: true}, kinds(f.now))
	for i, s := range f.batches[1].Series {
		require.Equal(t, b.Series[i].ID, s.ID, "the same series")
	}
	f.strange["acme"] = true
	f.otlp(door.Scope{Any: true}, kinds(f.now))
	require.Empty(t, flat(f.batches[2], true), "nobody evaluates a tenant that nobody onboarded")
}

func TestReplayOfOTLPMakesTheSameBatch(t *testing.T) {
	f := newFixture(t)
	f.strange["bolt"] = true
	b := kinds(noon)
	b.counter("a", "bolt", 1)
	b.counter("a", "coyote", 1)
	b.counter("b", "", 1).SetTimestamp(pcommon.NewTimestampFromTime(noon.Add(time.Hour)))
	scope := door.Scope{Tenants: []tenant.ID{"acme", "bolt"}}
	f.otlp(scope, b)
	doc, err := pmetricotlp.NewExportRequestFromMetrics(b.Metrics).MarshalJSON()
	require.NoError(t, err)
	n, _, err := f.WriteOTLP(t.Context(), scope, doc, true)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	raw, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{nativeSeries(noon)}}).Marshal()
	require.NoError(t, err)
	require.Equal(t, 204, f.post(scope, "application/x-protobuf", snappy.Encode(nil, raw)).Code)
	g := newFixture(t) // after a restart: everybody onboarded, another clock
	g.now = noon.Add(48 * time.Hour)
	for i, r := range f.records {
		require.Equal(t, []string{OTLPKind, OTLPKind, RecordKind}[i], r.Kind)
		b, err := g.Decode(r)
		require.NoError(t, err)
		for j := range b.Series {
			b.Series[j].ID = f.batches[i].Series[j].ID
		}
		require.Equal(t, f.batches[i], b)
	}
	old := f.records[2]
	old.Version = 1
	got, err := g.Decode(old)
	require.NoError(t, err)
	require.Empty(t, got.Series, "what was refused when it came is not taken later")
	_, err = g.Decode(Record{Kind: OTLPKind, Header: []byte("{}")})
	require.Error(t, err)
}

func nativeSeries(at time.Time) prompb.TimeSeries {
	h := &histogram.Histogram{Schema: 3, Count: 7, Sum: 4, PositiveSpans: []histogram.Span{{Offset: -7, Length: 2}, {Offset: 10, Length: 1}}, PositiveBuckets: []int64{2, 1, -1}}
	return prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "payment_duration_seconds"}, {Name: "tenant", Value: "acme"}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(at.UnixMilli(), h)},
		Exemplars:  []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "abc"}}, Value: 0.6, Timestamp: at.UnixMilli()}}}
}

func TestNativeHistogramsOverRemoteWrite(t *testing.T) {
	f := newFixture(t)
	gauge := nativeSeries(noon)
	gauge.Labels[0].Value = "queue_seconds"
	gauge.Histograms[0].ResetHint = prompb.Histogram_GAUGE
	ahead := nativeSeries(noon.Add(time.Hour))
	w := f.send(door.Scope{Any: true}, nativeSeries(noon), gauge, ahead)
	require.Equal(t, 400, w.Code)
	require.Equal(t, "0 samples and 2 histograms stored; refused: 1 samples too far ahead of now (check the sender's clock)\n", w.Body.String())
	b := f.batches[0]
	require.Equal(t, 2, b.Histograms)
	require.Equal(t, 2, b.Exemplars)
	derived := flat(b, true)
	require.Len(t, derived, 21, "a gauge counts nothing")
	require.Equal(t, 0.0, derived["payment_duration_seconds_bucket 0.5"])
	require.Equal(t, 5.0, derived["payment_duration_seconds_bucket 1.0"])
	require.Equal(t, 7.0, derived["payment_duration_seconds_bucket 2.0"])
	require.Equal(t, 7.0, derived["payment_duration_seconds_count"])
	require.Equal(t, 4.0, derived["payment_duration_seconds_sum"])
}

func TestASenderThatChangesItsBoundsIsBounded(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxSeries = 10_000 })
	for i := range 3000 {
		b := newBatch(noon)
		h := b.metric("h", "acme").SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := h.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(noon))
		p.ExplicitBounds().FromRaw([]float64{float64(i), float64(i) + 0.5})
		p.BucketCounts().FromRaw([]uint64{1, 1, 1})
		f.otlp(door.Scope{Any: true}, b)
		require.LessOrEqual(t, f.cache.size, 10_000)
	}
	n := 0
	for _, m := range f.cache.byFallback {
		for _, in := range m {
			n += 1 + len(in.kids)
			require.LessOrEqual(t, len(in.kids), maxKids)
		}
	}
	require.Equal(t, n, f.cache.size)
}
