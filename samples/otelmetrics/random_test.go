package otelmetrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

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
