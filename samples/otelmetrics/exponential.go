package otelmetrics

import (
	"math"

	"github.com/VictoriaMetrics/easyproto"
	model "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

const (
	finest   = 8  // schema of Prometheus; finer scales are made coarser
	coarsest = -4 // and this is the coarsest it has
	zeroEdge = 1e-128
	mostGap  = 2 // empty buckets within a span, rather than a new span
)

// side is the positive or the negative buckets of an exponential histogram.
type side struct {
	offset int32
	counts []uint64
}

func (s *side) read(msg []byte) error {
	return fields(msg, "set of buckets", func(fc *easyproto.FieldContext) error {
		ok := true
		switch fc.FieldNum {
		case 1:
			s.offset, ok = fc.Sint32()
		case 2:
			s.counts, ok = fc.UnpackUint64s(s.counts)
		}
		if !ok {
			return wireType()
		}
		return nil
	})
}

// exponential reads an ExponentialHistogramDataPoint.
func (r *Request) exponential(msg []byte) error {
	p := &r.point
	err := p.read(msg, 1, 10, 11, func(fc *easyproto.FieldContext) (ok bool, err error) {
		switch fc.FieldNum {
		case 4:
			p.count, ok = fc.Fixed64()
		case 5:
			p.sum, ok = fc.Double()
		case 6:
			p.scale, ok = fc.Sint32()
		case 7:
			p.zero, ok = fc.Fixed64()
		case 8:
			return true, message(fc, p.sides[0].read)
		case 9:
			return true, message(fc, p.sides[1].read)
		case 14:
			p.threshold, ok = fc.Double()
		default:
			ok = true
		}
		return ok, nil
	})
	if err != nil {
		return err
	}
	n := len(p.sides[0].counts) + len(p.sides[1].counts)
	if p.time == 0 || p.scale < coarsest || n > r.lim.Buckets {
		r.Invalid++
		return nil
	}
	if r.buckets += n; r.buckets > 4*r.lim.Samples {
		return tooLarge("histogram buckets", 4*r.lim.Samples)
	}
	h := p.histogram()
	if h.Validate() != nil {
		r.Invalid++
		return nil //nolint:nilerr // counted, and the rest kept
	}
	s, _, err := r.add(p.attributes)
	if err != nil {
		return err
	}
	x := p.sample(0)
	s.Histograms = []remotewrite.Histogram{{T: x.T, Start: x.Start, Int: h}}
	s.Exemplars = p.exemplars
	return nil
}

func (p *point) histogram() *model.Histogram {
	if p.ended() {
		return &model.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	}
	h := &model.Histogram{Schema: min(p.scale, finest), ZeroThreshold: zeroEdge, ZeroCount: p.zero, Count: p.count, Sum: p.sum}
	if p.threshold > 0 {
		h.ZeroThreshold = p.threshold
	}
	coarser := max(p.scale-finest, 0)
	h.PositiveSpans, h.PositiveBuckets = p.sides[0].layout(coarser)
	h.NegativeSpans, h.NegativeBuckets = p.sides[1].layout(coarser)
	return h
}

// layout gives the buckets as Prometheus counts them: bucket i of OTLP is bucket
// i+1 there, and coarser is how many times two buckets become one.
func (s *side) layout(coarser int32) (spans []model.Span, deltas []int64) {
	next, last := int64(0), int64(0) // index after the last bucket written, and its count
	write := func(n int64) {
		deltas = append(deltas, n-last)
		last = n
		spans[len(spans)-1].Length++
		next++
	}
	shift := min(int(coarser), 62)
	for i := 0; i < len(s.counts); {
		index := (int64(s.offset)+int64(i))>>shift + 1
		n := int64(0)
		for ; i < len(s.counts) && (int64(s.offset)+int64(i))>>shift+1 == index; i++ {
			n += int64(s.counts[i])
		}
		if n == 0 {
			continue
		}
		if gap := index - next; spans == nil || gap > mostGap {
			spans = append(spans, model.Span{Offset: int32(gap)})
			next = index
		}
		for next < index {
			write(0)
		}
		write(n)
	}
	return spans, deltas
}
