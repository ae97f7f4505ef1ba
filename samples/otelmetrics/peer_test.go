package otelmetrics

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// lines is a request as sorted text: a line for every value of every series.
type lines struct {
	values         []string
	delta, invalid int
}

func (l *lines) add(labels map[string]string, suffix, extra string, t, start int64, v string) {
	keys := []string{}
	for k, v := range labels {
		if k != "__name__" {
			keys = append(keys, k+"="+strconv.Quote(v))
		}
	}
	slices.Sort(keys)
	l.values = append(l.values, fmt.Sprint(labels["__name__"], suffix, "{", strings.Join(keys, ","), "} ", extra, " ", t, " ", start, " ", v))
}

func bits(v float64) string { return strconv.FormatUint(math.Float64bits(v), 16) }

// ours is what the decoder under test makes of a body.
func ours(r *Request) (lines, error) {
	out := lines{delta: r.Delta, invalid: r.Invalid}
	for _, s := range r.Series {
		ls, err := Labels(s.Key, r.names)
		if err != nil {
			return out, err
		}
		m := map[string]string{}
		for _, l := range ls {
			if _, twice := m[l.Name]; twice {
				return out, fmt.Errorf("the label %s twice", l.Name)
			}
			m[l.Name] = l.Value
		}
		for _, x := range s.Samples {
			out.add(m, "", "", x.T, x.Start, bits(x.V))
		}
		for _, p := range s.Parts {
			suffix := map[remotewrite.PartKind]string{remotewrite.PartBucket: "_bucket", remotewrite.PartCount: "_count", remotewrite.PartSum: "_sum"}[p.Kind]
			extra := ""
			if p.Kind == remotewrite.PartBucket || p.Kind == remotewrite.PartQuantile {
				extra = bits(p.Edge)
			}
			out.add(m, suffix, extra, s.At.T, s.At.Start, bits(p.V))
		}
		for _, h := range s.Histograms {
			out.add(m, "", "native", h.T, h.Start, fmt.Sprint(h.Int.Schema, h.Int.ZeroCount, bits(h.Int.ZeroThreshold), h.Int.Count, bits(h.Int.Sum), buckets(h)))
		}
		for _, x := range s.Exemplars {
			out.values = append(out.values, fmt.Sprint("exemplar ", x.Labels, x.Ts, bits(x.Value)))
		}
	}
	slices.Sort(out.values)
	return out, nil
}

// buckets is the non-empty buckets of a native histogram, by index.
func buckets(h remotewrite.Histogram) string {
	out := []string{}
	it := h.Int.PositiveBucketIterator()
	for it.Next() {
		if b := it.At(); b.Count > 0 {
			out = append(out, fmt.Sprint("+", b.Index, ":", b.Count))
		}
	}
	it = h.Int.NegativeBucketIterator()
	for it.Next() {
		if b := it.At(); b.Count > 0 {
			out = append(out, fmt.Sprint("-", b.Index, ":", b.Count))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

const staleBits = "7ff0000000000002"

// theirs makes the same of what the collector's own types read: written from the
// specification, with nothing of the decoder in it.
func theirs(m pmetric.Metrics) lines {
	var out lines
	for _, rm := range m.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, x := range sm.Metrics().All() {
				out.metric(rm.Resource().Attributes(), x)
			}
		}
	}
	slices.Sort(out.values)
	return out
}

func named(res pcommon.Map, m pmetric.Metric, attrs pcommon.Map) map[string]string {
	var t otlptranslator.MetricType = otlptranslator.MetricTypeGauge
	switch m.Type() {
	case pmetric.MetricTypeSum:
		t = otlptranslator.MetricTypeNonMonotonicCounter
		if m.Sum().IsMonotonic() {
			t = otlptranslator.MetricTypeMonotonicCounter
		}
	case pmetric.MetricTypeHistogram:
		t = otlptranslator.MetricTypeHistogram
	case pmetric.MetricTypeExponentialHistogram:
		t = otlptranslator.MetricTypeExponentialHistogram
	case pmetric.MetricTypeSummary:
		t = otlptranslator.MetricTypeSummary
	}
	n := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	name, err := n.Build(otlptranslator.Metric{Name: m.Name(), Unit: m.Unit(), Type: t})
	if err != nil {
		return nil
	}
	ls := map[string]string{}
	keys := []string{}
	first := map[string]string{}
	for k, v := range attrs.All() {
		if _, ok := first[k]; !ok {
			first[k] = v.AsString()
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if k == "tenant.id" || k == "__name__" {
			continue
		}
		l, err := (&otlptranslator.LabelNamer{}).Build(k)
		if err != nil {
			return nil
		}
		if had, ok := ls[l]; ok {
			ls[l] = had + ";" + first[k]
		} else {
			ls[l] = first[k]
		}
	}
	text := func(k string) string {
		v, ok := res.Get(k)
		if !ok {
			return ""
		}
		return v.AsString()
	}
	def := func(k, v string) {
		if _, ok := ls[k]; !ok && v != "" {
			ls[k] = v
		}
	}
	job := text("service.name")
	if ns := text("service.namespace"); ns != "" && job != "" {
		job = ns + "/" + job
	}
	def("job", job)
	def("instance", text("service.instance.id"))
	def("service", text("service.name"))
	def("environment", text("deployment.environment.name"))
	def("environment", text("deployment.environment"))
	if v := first["tenant.id"]; v != "" {
		ls["tenant"] = v
	}
	def("tenant", text("tenant.id"))
	ls["__name__"] = name
	return ls
}

func times(ts, start pcommon.Timestamp, flags pmetric.DataPointFlags) (t, s int64) {
	t, s = int64(ts/1e6), int64(start/1e6)
	if s == t || flags.NoRecordedValue() {
		s = 0
	}
	return t, s
}

func (l *lines) exemplars(in pmetric.ExemplarSlice) {
	for _, x := range in.All() {
		if x.TraceID().IsEmpty() {
			continue
		}
		v := x.DoubleValue()
		if x.ValueType() == pmetric.ExemplarValueTypeInt {
			v = float64(x.IntValue())
		}
		pairs := `trace_id="` + x.TraceID().String() + `"}`
		if !x.SpanID().IsEmpty() {
			pairs = `span_id="` + x.SpanID().String() + `", ` + pairs
		}
		l.values = append(l.values, fmt.Sprint("exemplar {", pairs, " ", int64(x.Timestamp()/1e6), bits(v)))
	}
}

func (l *lines) metric(res pcommon.Map, m pmetric.Metric) {
	temporality := pmetric.AggregationTemporalityCumulative
	n := 0
	switch m.Type() {
	case pmetric.MetricTypeSum:
		temporality, n = m.Sum().AggregationTemporality(), m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		temporality, n = m.Histogram().AggregationTemporality(), m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		temporality, n = m.ExponentialHistogram().AggregationTemporality(), m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeGauge:
		n = m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		n = m.Summary().DataPoints().Len()
	}
	switch {
	case temporality == pmetric.AggregationTemporalityDelta:
		l.delta += n
		return
	case temporality != pmetric.AggregationTemporalityCumulative, m.Name() == "":
		l.invalid += n
		return
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		l.numbers(res, m, m.Gauge().DataPoints(), false)
	case pmetric.MetricTypeSum:
		l.numbers(res, m, m.Sum().DataPoints(), m.Sum().IsMonotonic())
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			l.classic(named(res, m, p.Attributes()), p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			l.exponential(named(res, m, p.Attributes()), p)
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			if p.Timestamp() == 0 {
				l.invalid++
				continue
			}
			ls := named(res, m, p.Attributes())
			t, s := times(p.Timestamp(), p.StartTimestamp(), p.Flags())
			or := stale(p.Flags())
			for _, q := range p.QuantileValues().All() {
				l.add(ls, "", bits(q.Quantile()), t, s, or(q.Value()))
			}
			l.add(ls, "_count", "", t, s, or(float64(p.Count())))
			l.add(ls, "_sum", "", t, s, or(p.Sum()))
		}
	}
}

func stale(f pmetric.DataPointFlags) func(float64) string {
	return func(v float64) string {
		if f.NoRecordedValue() {
			return staleBits
		}
		return bits(v)
	}
}

func (l *lines) numbers(res pcommon.Map, m pmetric.Metric, points pmetric.NumberDataPointSlice, monotonic bool) {
	for _, p := range points.All() {
		if p.Timestamp() == 0 || p.ValueType() == pmetric.NumberDataPointValueTypeEmpty && !p.Flags().NoRecordedValue() {
			l.invalid++
			continue
		}
		v := p.DoubleValue()
		if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(p.IntValue())
		}
		t, s := times(p.Timestamp(), p.StartTimestamp(), p.Flags())
		if !monotonic {
			s = 0
		}
		l.add(named(res, m, p.Attributes()), "", "", t, s, stale(p.Flags())(v))
		l.exemplars(p.Exemplars())
	}
}

func (l *lines) classic(ls map[string]string, p pmetric.HistogramDataPoint) {
	bounds, counts := p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw()
	sound := p.Timestamp() != 0 && (p.Flags().NoRecordedValue() || len(bounds) == 0 && len(counts) == 0 || len(counts) == len(bounds)+1)
	for i, b := range bounds {
		sound = sound && !math.IsNaN(b) && (i == 0 || b > bounds[i-1])
	}
	if !sound {
		l.invalid++
		return
	}
	t, s := times(p.Timestamp(), p.StartTimestamp(), p.Flags())
	or := stale(p.Flags())
	for i, b := range bounds {
		n := uint64(0)
		for _, c := range counts[:min(i+1, len(counts))] {
			n += c
		}
		if !math.IsInf(b, 1) {
			l.add(ls, "_bucket", bits(b), t, s, or(float64(n)))
		}
	}
	l.add(ls, "_bucket", bits(math.Inf(1)), t, s, or(float64(p.Count())))
	l.add(ls, "_count", "", t, s, or(float64(p.Count())))
	if p.HasSum() || p.Flags().NoRecordedValue() {
		l.add(ls, "_sum", "", t, s, or(p.Sum()))
	}
	l.exemplars(p.Exemplars())
}

func (l *lines) exponential(ls map[string]string, p pmetric.ExponentialHistogramDataPoint) {
	t, s := times(p.Timestamp(), p.StartTimestamp(), p.Flags())
	total := p.ZeroCount()
	sides := map[string]uint64{}
	for sign, b := range map[string]pmetric.ExponentialHistogramDataPointBuckets{"+": p.Positive(), "-": p.Negative()} {
		for i, n := range b.BucketCounts().AsRaw() {
			total += n
			// The upper bound of bucket i is 2^((i+1)*2^-scale).
			index := int64(b.Offset()) + int64(i) + 1
			for scale := p.Scale(); scale > 8 && scale < 40; scale-- {
				index = int64(math.Ceil(float64(index) / 2))
			}
			if p.Scale() >= 40 {
				index = int64(math.Ceil(float64(index) / 4294967296)) // far more than any index
				if index < 0 {
					index = 0
				}
			}
			if n > 0 {
				sides[fmt.Sprint(sign, index)] += n
			}
		}
	}
	n := p.Positive().BucketCounts().Len() + p.Negative().BucketCounts().Len()
	consistent := total == p.Count() || math.IsNaN(p.Sum()) && total < p.Count()
	if p.Timestamp() == 0 || p.Scale() < -4 || n > 4096 || !p.Flags().NoRecordedValue() && !consistent {
		l.invalid++
		return
	}
	if p.Flags().NoRecordedValue() {
		l.add(ls, "", "native", t, s, fmt.Sprint(0, 0, bits(0), 0, staleBits, ""))
		l.exemplars(p.Exemplars())
		return
	}
	text := []string{}
	for k, n := range sides {
		text = append(text, fmt.Sprint(k, ":", n))
	}
	slices.Sort(text)
	threshold := 1e-128
	if p.ZeroThreshold() > 0 {
		threshold = p.ZeroThreshold()
	}
	l.add(ls, "", "native", t, s, fmt.Sprint(min(p.Scale(), 8), p.ZeroCount(), bits(threshold), p.Count(), bits(p.Sum()), strings.Join(text, " ")))
	l.exemplars(p.Exemplars())
}
