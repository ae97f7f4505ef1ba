package otelmetrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/problem"
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

const noon = pcommon.Timestamp(1_800_000_000_000_000_000)

func randomAttributes(r *rand.Rand, m pcommon.Map) {
	for range r.IntN(5) {
		k := []string{"tenant.id", "tenant", "payment.method", "payment_method", "le", "0x", "__name__", "ä.x", "environment", "acquirer"}[r.IntN(10)]
		switch r.IntN(5) {
		case 0:
			m.PutInt(k, int64(r.IntN(9)))
		case 1:
			m.PutDouble(k, r.Float64())
		case 2:
			m.PutEmptySlice(k).AppendEmpty().SetBool(true)
		default:
			m.PutStr(k, fmt.Sprint("v", r.IntN(4)))
		}
	}
}

// random is a request with all kinds of metrics, sound and not.
func random(r *rand.Rand) pmetric.Metrics {
	m := pmetric.NewMetrics()
	for range r.IntN(3) + 1 {
		rm := m.ResourceMetrics().AppendEmpty()
		for _, k := range []string{"service.name", "service.namespace", "service.instance.id", "deployment.environment.name", "deployment.environment", "tenant.id", "process.pid"} {
			if r.IntN(2) == 0 {
				rm.Resource().Attributes().PutStr(k, fmt.Sprint("r", r.IntN(3)))
			}
		}
		sm := rm.ScopeMetrics().AppendEmpty()
		for range r.IntN(4) {
			x := sm.Metrics().AppendEmpty()
			x.SetName([]string{"http.server.duration", "a", "payments", "99", "ratio_total"}[r.IntN(5)])
			x.SetUnit([]string{"", "s", "ms", "1", "{payment}", "By/s"}[r.IntN(6)])
			temporality := pmetric.AggregationTemporality(min(2, r.IntN(6)))
			switch r.IntN(5) {
			case 0:
				randomNumbers(r, x.SetEmptyGauge().DataPoints())
			case 1:
				s := x.SetEmptySum()
				s.SetIsMonotonic(r.IntN(2) == 0)
				s.SetAggregationTemporality(temporality)
				randomNumbers(r, s.DataPoints())
			case 2:
				h := x.SetEmptyHistogram()
				h.SetAggregationTemporality(temporality)
				randomClassic(r, h.DataPoints())
			case 3:
				h := x.SetEmptyExponentialHistogram()
				h.SetAggregationTemporality(temporality)
				randomExponential(r, h.DataPoints())
			case 4:
				p := x.SetEmptySummary().DataPoints().AppendEmpty()
				randomAttributes(r, p.Attributes())
				p.SetTimestamp(noon)
				p.SetCount(3)
				p.SetSum(r.Float64())
				q := p.QuantileValues().AppendEmpty()
				q.SetQuantile(0.5)
				q.SetValue(r.Float64())
			}
		}
	}
	return m
}

func randomTimes(r *rand.Rand) (t, start pcommon.Timestamp, f pmetric.DataPointFlags) {
	t, start = noon, []pcommon.Timestamp{0, noon, noon - 5e9, noon + 5e9}[r.IntN(4)]
	if r.IntN(8) == 0 {
		t = 0
	}
	return t, start, f.WithNoRecordedValue(r.IntN(8) == 0)
}

func randomExemplar(r *rand.Rand, in pmetric.ExemplarSlice) {
	if r.IntN(3) > 0 {
		return
	}
	x := in.AppendEmpty()
	x.SetTimestamp(noon)
	x.SetIntValue(int64(r.IntN(9)))
	x.FilteredAttributes().PutStr("card", "secret")
	if r.IntN(3) > 0 {
		x.SetTraceID(pcommon.TraceID{1, 2, byte(r.IntN(200))})
	}
	if r.IntN(2) == 0 {
		x.SetSpanID(pcommon.SpanID{9})
	}
}

func randomNumbers(r *rand.Rand, points pmetric.NumberDataPointSlice) {
	for range r.IntN(4) {
		p := points.AppendEmpty()
		randomAttributes(r, p.Attributes())
		t, s, f := randomTimes(r)
		p.SetTimestamp(t)
		p.SetStartTimestamp(s)
		p.SetFlags(f)
		switch r.IntN(4) {
		case 0:
		case 1:
			p.SetIntValue(int64(r.IntN(100)) - 50)
		default:
			p.SetDoubleValue([]float64{1.5, math.NaN(), math.Inf(1), -3}[r.IntN(4)])
		}
		randomExemplar(r, p.Exemplars())
	}
}

func randomClassic(r *rand.Rand, points pmetric.HistogramDataPointSlice) {
	for range r.IntN(3) {
		p := points.AppendEmpty()
		randomAttributes(r, p.Attributes())
		t, s, f := randomTimes(r)
		p.SetTimestamp(t)
		p.SetStartTimestamp(s)
		p.SetFlags(f)
		bounds := [][]float64{nil, {0.1, 0.5, 1}, {1, 0.5}, {1, math.Inf(1)}, {0, math.NaN()}}[r.IntN(5)]
		p.ExplicitBounds().FromRaw(bounds)
		n := len(bounds) + 1 - r.IntN(5)/4
		for range n {
			c := uint64(r.IntN(10))
			p.BucketCounts().Append(c)
			p.SetCount(p.Count() + c)
		}
		if r.IntN(3) > 0 {
			p.SetSum(r.Float64())
		}
		randomExemplar(r, p.Exemplars())
	}
}

func randomExponential(r *rand.Rand, points pmetric.ExponentialHistogramDataPointSlice) {
	for range r.IntN(3) {
		p := points.AppendEmpty()
		randomAttributes(r, p.Attributes())
		t, s, f := randomTimes(r)
		p.SetTimestamp(t)
		p.SetStartTimestamp(s)
		p.SetFlags(f)
		p.SetScale(r.Int32N(18) - 5)
		p.SetZeroCount(r.Uint64N(3))
		p.SetSum(r.Float64())
		total := p.ZeroCount()
		for _, b := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
			b.SetOffset(r.Int32N(100) - 50)
			for range r.IntN(40) {
				n := uint64(max(0, r.IntN(9)-5))
				total += n
				b.BucketCounts().Append(n)
			}
		}
		p.SetCount(total + r.Uint64N(8)/7)
		if r.IntN(3) == 0 {
			p.SetZeroThreshold(1e-9)
		}
		randomExemplar(r, p.Exemplars())
	}
}

func TestDecodeAgreesWithTheCollectorsTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var req Request // used again and again, as the door does
	values := 0
	for range 1500 {
		m := random(r)
		e := pmetricotlp.NewExportRequestFromMetrics(m)
		raw, err := e.MarshalProto()
		require.NoError(t, err)
		require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
		got, err := ours(&req)
		require.NoError(t, err)
		want := theirs(m)
		require.Equal(t, want, got)
		doc, err := e.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, req.DecodeJSON(doc, Names{}, remotewrite.Limits{}))
		got, err = ours(&req)
		require.NoError(t, err)
		require.Equal(t, want, got, "in JSON")
		values += len(want.values)
	}
	require.Greater(t, values, 5_000)
}

// reversed writes the fields of every message in the opposite order, as senders
// may; it knows which fields are messages by reading them so.
func reversed(msg []byte, path string) []byte {
	var parts [][]byte
	for len(msg) > 0 {
		n := fieldLen(msg)
		f := msg[:n]
		if msg = msg[n:]; f[0]&7 == 2 {
			if sub := path + "." + strconv.Itoa(int(f[0]>>3)); nested[sub] {
				_, size := uvarint(f[1:])
				f = appendField(nil, f[0]>>3, reversed(f[1+size:], sub))
			}
		}
		parts = append(parts, f)
	}
	slices.Reverse(parts)
	return slices.Concat(parts...)
}

// nested are the paths of field numbers below a request that are messages. Points
// stay in their order: .1 of a request, .2 of a resource and so on are repeated,
// and the lines compared are sorted.
var nested = map[string]bool{".1": true, ".1.1": true, ".1.2": true, ".1.2.2": true, ".1.2.2.5": true, ".1.2.2.5.1": true, ".1.2.2.7": true, ".1.2.2.7.1": true,
	".1.2.2.9": true, ".1.2.2.10": true, ".1.2.2.11": true}

func uvarint(b []byte) (v uint64, n int) {
	for shift := uint(0); ; shift += 7 {
		v |= uint64(b[n]&0x7f) << shift
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
}

func fieldLen(b []byte) int {
	switch b[0] & 7 {
	case 0:
		_, n := uvarint(b[1:])
		return 1 + n
	case 1:
		return 9
	case 2:
		l, n := uvarint(b[1:])
		return 1 + n + int(l)
	case 5:
		return 5
	}
	panic("another wire type")
}

func TestFieldsInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		raw, err := pmetricotlp.NewExportRequestFromMetrics(random(r)).MarshalProto()
		require.NoError(t, err)
		var a, b Request
		require.NoError(t, a.Decode(raw, Names{}, remotewrite.Limits{}))
		require.NoError(t, b.Decode(reversed(raw, ""), Names{}, remotewrite.Limits{}))
		want, err := ours(&a)
		require.NoError(t, err)
		got, err := ours(&b)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestNamesAreThoseOfPrometheus holds the names that the documents promise.
func TestNamesAreThoseOfPrometheus(t *testing.T) {
	m := pmetric.NewMetrics()
	rm := m.ResourceMetrics().AppendEmpty()
	res := rm.Resource().Attributes()
	res.PutStr("service.name", "payments")
	res.PutStr("service.namespace", "shop")
	res.PutStr("service.instance.id", "i-1")
	res.PutStr("deployment.environment.name", "staging")
	res.PutStr("tenant.id", "acme")
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(name, unit string) pmetric.NumberDataPoint {
		x := metrics.AppendEmpty()
		x.SetName(name)
		x.SetUnit(unit)
		s := x.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(noon)
		p.SetIntValue(1)
		return p
	}
	add("payment.transactions", "{transaction}").Attributes().PutStr("payment.method", "card")
	other := add("bytes.sent", "By").Attributes()
	other.PutStr("tenant.id", "bolt")
	other.PutStr("service", "refunds")
	other.PutStr("a.b", "1")
	other.PutStr("a_b", "2")
	raw, err := pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
	require.NoError(t, err)
	var req Request
	require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
	got, err := ours(&req)
	require.NoError(t, err)
	require.Equal(t, []string{
		`bytes_sent_total{a_b="1;2",environment="staging",instance="i-1",job="shop/payments",service="refunds",tenant="bolt"}  1800000000000 0 3ff0000000000000`,
		`payment_transactions_total{environment="staging",instance="i-1",job="shop/payments",payment_method="card",service="payments",tenant="acme"}  1800000000000 0 3ff0000000000000`,
	}, got.values)
}

func TestMetadataIsSaidOnceARequest(t *testing.T) {
	m := gateway(3, 2)
	for i := range 3 {
		x := m.ResourceMetrics().At(i).ScopeMetrics().At(0).Metrics().At(0)
		x.SetDescription("Payments.")
		x.SetUnit("By")
	}
	raw, err := pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
	require.NoError(t, err)
	var req Request
	for range 2 {
		require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
		require.Equal(t, []remotewrite.Metadata{{Family: "payment_transactions_bytes_total", Type: "counter", Help: "Payments.", Unit: "bytes"}}, req.Metadata)
	}
}

func TestBadBodies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var big pmetric.Metrics
	for big = random(r); big.DataPointCount() < 4; big = random(r) {
	}
	raw, err := pmetricotlp.NewExportRequestFromMetrics(big).MarshalProto()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		body []byte
		lim  remotewrite.Limits
		want problem.Kind
	}{
		{"text", []byte("hello, this is no protobuf"), remotewrite.Limits{}, problem.Malformed},
		{"cut short", raw[:len(raw)-3], remotewrite.Limits{}, problem.Malformed},
		{"wrong wire type", []byte{1 << 3, 1}, remotewrite.Limits{}, problem.Malformed},
		{"field 0", []byte{2, 0}, remotewrite.Limits{}, problem.Malformed},
		{"many points", raw, remotewrite.Limits{Samples: 3}, problem.TooLarge},
		{"large", raw, remotewrite.Limits{Decompressed: 10}, problem.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var req Request
			err := req.Decode(c.body, Names{}, c.lim)
			require.True(t, problem.Is(err, c.want), "%v", err)
		})
	}
	var req Request
	require.True(t, problem.Is(req.DecodeJSON([]byte(`{"resourceMetrics": 3}`), Names{}, remotewrite.Limits{}), problem.Malformed))
	_, err = Labels([]byte{keyMark, 0, 200}, Names{})
	require.Error(t, err)
}

// FuzzDecode holds the decoder to the collector's own types: what both read must
// be equal, and what they write must be read.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 30 {
		raw, err := pmetricotlp.NewExportRequestFromMetrics(random(r)).MarshalProto()
		require.NoError(f, err)
		f.Add(raw)
		f.Add(reversed(raw, ""))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := pmetricotlp.NewExportRequest()
		peerErr := e.UnmarshalProto(raw)
		var req Request
		if err := req.Decode(raw, Names{}, remotewrite.Limits{}); err == nil {
			_, _ = ours(&req) // must not panic
		}
		if peerErr != nil {
			return
		}
		again, err := e.MarshalProto()
		require.NoError(t, err)
		if err := req.Decode(again, Names{}, remotewrite.Limits{}); problem.Is(err, problem.TooLarge) {
			return
		} else {
			require.NoError(t, err)
		}
		got, err := ours(&req)
		if err != nil {
			return // a name that cannot be translated
		}
		require.Equal(t, theirs(e.Metrics()), got)
	})
}
