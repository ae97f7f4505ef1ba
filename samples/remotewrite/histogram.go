package remotewrite

import (
	"github.com/VictoriaMetrics/easyproto"
	"github.com/prometheus/prometheus/model/histogram"
)

// Histogram is one observation of a native histogram; one of Int and Float is set,
// and it is valid. A stale marker has the marker's bits in its sum.
type Histogram struct {
	T     int64 // milliseconds since 1970
	Start int64 // when it started to count, in milliseconds; 0 when not said
	Int   *histogram.Histogram
	Float *histogram.FloatHistogram
}

// layout is the two kinds of a histogram before it is known which one it is.
type layout struct {
	h         Histogram
	float     bool
	hint      histogram.CounterResetHint
	schema    int32
	threshold float64
	sum       float64
	custom    []float64

	count, zero           uint64
	countFloat, zeroFloat float64
	spans                 [2][]histogram.Span // positive, negative
	deltas                [2][]int64
	counts                [2][]float64
}

// histogram reads a Histogram of either version. A histogram that contradicts
// itself is counted and left out.
func (r *Request) histogram(fc *easyproto.FieldContext, s *Series, lim Limits) error {
	msg, ok := fc.MessageData()
	if !ok {
		return malformed(nil, "a histogram has a wrong wire type")
	}
	if len(r.arena)+r.Histograms >= lim.Samples {
		return tooLarge("samples", lim.Samples)
	}
	r.Histograms++
	var l layout
	if err := l.read(msg); err != nil {
		return err
	}
	n := 0
	for i := range 2 {
		n += len(l.deltas[i]) + len(l.counts[i]) + len(l.spans[i])
	}
	if n += len(l.custom); n > lim.Buckets {
		s.Invalid++
		return nil
	}
	if r.buckets += n; r.buckets > 4*lim.Samples {
		return tooLarge("histogram buckets", 4*lim.Samples)
	}
	if h, ok := l.make(); ok {
		s.Histograms = append(s.Histograms, h)
	} else {
		s.Invalid++
	}
	return nil
}

func (l *layout) read(msg []byte) error {
	var f easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = nextField(&f, msg); err != nil {
			return malformed(err, "a histogram cannot be read")
		}
		ok := true
		switch f.FieldNum {
		case 1:
			l.count, ok = f.Uint64()
			l.float, l.countFloat = false, 0
		case 2:
			l.countFloat, ok = f.Double()
			l.float, l.count = true, 0
		case 3:
			l.sum, ok = f.Double()
		case 4:
			l.schema, ok = f.Sint32()
		case 5:
			l.threshold, ok = f.Double()
		case 6:
			l.zero, ok = f.Uint64()
			l.zeroFloat = 0
		case 7:
			l.zeroFloat, ok = f.Double()
			l.zero = 0
		case 8, 11:
			var sp histogram.Span
			if sp, ok, err = bucketSpan(&f); err != nil {
				return err
			}
			l.spans[sign(f.FieldNum)] = append(l.spans[sign(f.FieldNum)], sp)
		case 9, 12:
			l.deltas[sign(f.FieldNum)], ok = f.UnpackSint64s(l.deltas[sign(f.FieldNum)])
		case 10, 13:
			l.counts[sign(f.FieldNum)], ok = f.UnpackDoubles(l.counts[sign(f.FieldNum)])
		case 14:
			var hint int32
			hint, ok = f.Int32()
			l.hint = histogram.UnknownCounterReset
			if hint >= 0 && hint <= int32(histogram.GaugeType) {
				l.hint = histogram.CounterResetHint(hint)
			}
		case 15:
			l.h.T, ok = f.Int64()
		case 16:
			l.custom, ok = f.UnpackDoubles(l.custom)
		case 17:
			l.h.Start, ok = f.Int64()
		}
		if !ok {
			return malformed(nil, "a field of a histogram has a wrong wire type")
		}
	}
	return nil
}

// sign is 0 for the fields of positive buckets, 1 for those of negative ones.
func sign(field uint32) int {
	if field >= 11 {
		return 0
	}
	return 1
}

func bucketSpan(fc *easyproto.FieldContext) (sp histogram.Span, ok bool, err error) {
	msg, ok := fc.MessageData()
	if !ok {
		return sp, false, nil
	}
	var f easyproto.FieldContext
	for len(msg) > 0 {
		if msg, err = nextField(&f, msg); err != nil {
			return sp, false, malformed(err, "a span of buckets cannot be read")
		}
		switch f.FieldNum {
		case 1:
			sp.Offset, ok = f.Sint32()
		case 2:
			sp.Length, ok = f.Uint32()
		}
		if !ok {
			return sp, false, nil
		}
	}
	return sp, true, nil
}

// make gives the histogram when it is valid.
func (l *layout) make() (Histogram, bool) {
	h := l.h
	if l.float {
		h.Float = &histogram.FloatHistogram{CounterResetHint: l.hint, Schema: l.schema, ZeroThreshold: l.threshold, ZeroCount: l.zeroFloat, Count: l.countFloat, Sum: l.sum,
			PositiveSpans: l.spans[0], NegativeSpans: l.spans[1], PositiveBuckets: l.counts[0], NegativeBuckets: l.counts[1], CustomValues: l.custom}
		return h, h.Float.Validate() == nil
	}
	h.Int = &histogram.Histogram{CounterResetHint: l.hint, Schema: l.schema, ZeroThreshold: l.threshold, ZeroCount: l.zero, Count: l.count, Sum: l.sum,
		PositiveSpans: l.spans[0], NegativeSpans: l.spans[1], PositiveBuckets: l.deltas[0], NegativeBuckets: l.deltas[1], CustomValues: l.custom}
	return h, h.Int.Validate() == nil
}
