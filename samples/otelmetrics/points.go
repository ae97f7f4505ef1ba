package otelmetrics

import (
	"encoding/hex"
	"math"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// noRecordedValue is the flag of a data point that says its series ended.
const noRecordedValue = 1

// point is what the kinds of data points have in common, and their values. Its
// slices are used again.
type point struct {
	attributes  []byte // as fields 7 of a NumberDataPoint, whatever they were
	start, time uint64 // nanoseconds since 1970
	flags       uint32
	exemplars   []exemplar.Exemplar

	value    float64
	hasValue bool
	count    uint64
	sum      float64
	hasSum   bool
	counts   []uint64
	bounds   []float64 // of a histogram; quantiles of a summary
	values   []float64 // of a summary's quantiles

	scale     int32
	zero      uint64
	threshold float64
	sides     [2]side
}

func (p *point) reset() {
	*p = point{attributes: p.attributes[:0], counts: p.counts[:0], bounds: p.bounds[:0], values: p.values[:0],
		sides: [2]side{{counts: p.sides[0].counts[:0]}, {counts: p.sides[1].counts[:0]}}}
}

func (p *point) ended() bool { return p.flags&noRecordedValue != 0 }

// sample is the point's time with v, or with the marker of the end.
func (p *point) sample(v float64) remotewrite.Sample {
	s := remotewrite.Sample{T: int64(p.time / 1e6), V: v, Start: int64(p.start / 1e6)}
	if s.Start == s.T {
		s.Start = 0 // OTLP says by this that the start is not known
	}
	if p.ended() {
		s.V, s.Start = math.Float64frombits(value.StaleNaN), 0
	}
	return s
}

// read reads the fields that all data points have, whose numbers the kinds give,
// and hands the others to rest.
func (p *point) read(msg []byte, attributes, flags, exemplars uint32, rest func(fc *easyproto.FieldContext) (ok bool, err error)) error {
	p.reset()
	return fields(msg, "data point", func(fc *easyproto.FieldContext) error {
		ok := true
		var err error
		switch fc.FieldNum {
		case attributes:
			var pair []byte
			if pair, ok = fc.MessageData(); ok {
				p.attributes = appendField(p.attributes, 7, pair)
			}
		case 2:
			p.start, ok = fc.Fixed64()
		case 3:
			p.time, ok = fc.Fixed64()
		case flags:
			p.flags, ok = fc.Uint32()
		case exemplars:
			err = message(fc, p.exemplar)
		default:
			ok, err = rest(fc)
		}
		if err == nil && !ok {
			err = wireType()
		}
		return err
	})
}

// number reads a NumberDataPoint.
func (r *Request) number(msg []byte) error {
	p := &r.point
	err := p.read(msg, 7, 8, 5, func(fc *easyproto.FieldContext) (ok bool, err error) {
		switch fc.FieldNum {
		case 4:
			p.value, ok = fc.Double()
			p.hasValue = true
		case 6:
			var n int64
			n, ok = fc.Sfixed64()
			p.value, p.hasValue = float64(n), true
		default:
			ok = true
		}
		return ok, nil
	})
	if err != nil {
		return err
	}
	if p.time == 0 || !p.hasValue && !p.ended() {
		r.Invalid++
		return nil
	}
	if len(r.parts)+len(r.arena) >= r.lim.Samples {
		return tooLarge("samples", r.lim.Samples)
	}
	s, sp, err := r.add(p.attributes)
	if err != nil {
		return err
	}
	x := p.sample(p.value)
	if r.metric.kind == gauge || r.metric.kind == upDown {
		x.Start = 0
	}
	r.arena = append(r.arena, x)
	sp.to = len(r.arena)
	s.Exemplars = p.exemplars
	return nil
}

// classic reads a HistogramDataPoint.
func (r *Request) classic(msg []byte) error {
	p := &r.point
	err := p.read(msg, 9, 10, 8, func(fc *easyproto.FieldContext) (ok bool, err error) {
		switch fc.FieldNum {
		case 4:
			p.count, ok = fc.Fixed64()
		case 5:
			p.sum, ok = fc.Double()
			p.hasSum = true
		case 6:
			p.counts, ok = fc.UnpackFixed64s(p.counts)
		case 7:
			p.bounds, ok = fc.UnpackDoubles(p.bounds)
		default:
			ok = true
		}
		return ok, nil
	})
	if err != nil {
		return err
	}
	if !p.sound() {
		r.Invalid++
		return nil
	}
	s, sp, err := r.add(p.attributes)
	if err != nil {
		return err
	}
	s.At, s.Exemplars = p.sample(0), p.exemplars
	cumulative := uint64(0)
	for i, bound := range p.bounds {
		if i < len(p.counts) {
			cumulative += p.counts[i]
		}
		if math.IsInf(bound, 1) {
			break // all are below it
		}
		if err := r.part(sp, remotewrite.PartBucket, bound, p.or(float64(cumulative))); err != nil {
			return err
		}
	}
	if err := r.part(sp, remotewrite.PartBucket, math.Inf(1), p.or(float64(p.count))); err != nil {
		return err
	}
	return r.totals(sp)
}

// totals adds the series _count and _sum.
func (r *Request) totals(sp *span) error {
	p := &r.point
	if err := r.part(sp, remotewrite.PartCount, 0, p.or(float64(p.count))); err != nil {
		return err
	}
	if !p.hasSum && !p.ended() {
		return nil
	}
	return r.part(sp, remotewrite.PartSum, 0, p.or(p.sum))
}

// or is v, or the marker of the end.
func (p *point) or(v float64) float64 {
	if p.ended() {
		return math.Float64frombits(value.StaleNaN)
	}
	return v
}

// sound says whether a classic histogram's buckets agree with its bounds.
func (p *point) sound() bool {
	if p.time == 0 {
		return false
	}
	for i, b := range p.bounds {
		if math.IsNaN(b) || i > 0 && b <= p.bounds[i-1] {
			return false
		}
	}
	return p.ended() || len(p.counts) == 0 && len(p.bounds) == 0 || len(p.counts) == len(p.bounds)+1
}

// summary reads a SummaryDataPoint.
func (r *Request) summary(msg []byte) error {
	p := &r.point
	p.hasSum = true
	err := p.read(msg, 7, 8, math.MaxUint32, func(fc *easyproto.FieldContext) (ok bool, err error) {
		switch fc.FieldNum {
		case 4:
			p.count, ok = fc.Fixed64()
		case 5:
			p.sum, ok = fc.Double()
		case 6:
			return true, message(fc, p.quantile)
		default:
			ok = true
		}
		return ok, nil
	})
	if err != nil {
		return err
	}
	if p.time == 0 {
		r.Invalid++
		return nil
	}
	s, sp, err := r.add(p.attributes)
	if err != nil {
		return err
	}
	s.At, p.hasSum = p.sample(0), true
	for i, q := range p.bounds {
		if err := r.part(sp, remotewrite.PartQuantile, q, p.or(p.values[i])); err != nil {
			return err
		}
	}
	return r.totals(sp)
}

func (p *point) quantile(msg []byte) error {
	var q, v float64
	err := fields(msg, "quantile", func(fc *easyproto.FieldContext) error {
		ok := true
		switch fc.FieldNum {
		case 1:
			q, ok = fc.Double()
		case 2:
			v, ok = fc.Double()
		}
		if !ok {
			return wireType()
		}
		return nil
	})
	p.bounds, p.values = append(p.bounds, q), append(p.values, v)
	return err
}

// exemplar keeps the ids of trace and span. The other attributes of an exemplar
// are those that the sender chose to leave out of its metrics.
func (p *point) exemplar(msg []byte) error {
	x := exemplar.Exemplar{HasTs: true}
	var trace, span []byte
	err := fields(msg, "exemplar", func(fc *easyproto.FieldContext) error {
		ok := true
		switch fc.FieldNum {
		case 2:
			var t uint64
			t, ok = fc.Fixed64()
			x.Ts = int64(t / 1e6)
		case 3:
			x.Value, ok = fc.Double()
		case 4:
			span, ok = fc.Bytes()
		case 5:
			trace, ok = fc.Bytes()
		case 6:
			var n int64
			n, ok = fc.Sfixed64()
			x.Value = float64(n)
		}
		if !ok {
			return wireType()
		}
		return nil
	})
	if err != nil || len(trace) != 16 {
		return err
	}
	pairs := []string{"trace_id", hex.EncodeToString(trace)}
	if len(span) == 8 {
		pairs = append(pairs, "span_id", hex.EncodeToString(span))
	}
	x.Labels = labels.FromStrings(pairs...)
	p.exemplars = append(p.exemplars, x)
	return nil
}
