package remotewrite

import (
	"encoding/binary"
	"math"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/klauspost/compress/snappy"

	"github.com/tocsin-alerting/tocsin/problem"
)

// maxRatio bounds what a byte of a snappy block can become: its densest element
// makes 64 bytes of 3.
const maxRatio = 22

// Decode reads a snappy-compressed body of the version into r, replacing what r
// held. On an error (problem.Malformed, problem.TooLarge) r holds nothing of use.
func (r *Request) Decode(v Version, body []byte, lim Limits) error {
	lim = lim.WithDefaults()
	raw, err := r.decompress(body, lim)
	if err != nil {
		return err
	}
	r.Series, r.spans, r.keys = r.Series[:0], r.spans[:0], r.keys[:0]
	r.Histograms, r.Exemplars, r.Metadata, r.buckets, r.version = 0, 0, nil, 0, v
	r.arena = make([]Sample, 0, min(len(raw)/48+1, lim.Samples))
	switch v {
	case V1:
		err = r.readV1(raw, lim)
	case V2:
		err = r.readV2(raw, lim)
	default:
		err = malformed(nil, "the remote write version is not known")
	}
	if err != nil {
		return err
	}
	for i, s := range r.spans {
		from := raw
		if s.own {
			from = r.keys
		}
		r.Series[i].Key = from[s.key:s.end:s.end]
		r.Series[i].Samples = r.arena[s.from:s.to:s.to]
	}
	r.Samples = len(r.arena)
	r.arena = nil
	return nil
}

// decompress refuses a block before it reserves what the block claims to hold.
func (r *Request) decompress(body []byte, lim Limits) ([]byte, error) {
	if len(body) > lim.Body {
		return nil, tooLarge("bytes", lim.Body)
	}
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, malformed(err, "the body is not a snappy block")
	}
	if n > lim.Decompressed {
		return nil, tooLarge("bytes after decompression", lim.Decompressed)
	}
	if n > maxRatio*len(body)+64 {
		return nil, malformed(nil, "the body is not a snappy block: it claims more than it can hold")
	}
	if cap(r.raw) < n {
		r.raw = make([]byte, n)
	}
	raw, err := snappy.Decode(r.raw[:cap(r.raw)], body)
	if err != nil {
		return nil, malformed(err, "the body is not a snappy block")
	}
	return raw, nil
}

// readV1 reads prometheus.WriteRequest.
func (r *Request) readV1(raw []byte, lim Limits) error {
	var fc easyproto.FieldContext
	for rest := raw; len(rest) > 0; {
		next, err := nextField(&fc, rest)
		if err != nil {
			return malformed(err, "the write request cannot be read")
		}
		if fc.FieldNum == 1 {
			msg, ok := fc.MessageData()
			if !ok {
				return malformed(nil, "a series has a wrong wire type")
			}
			if err := r.seriesV1(msg, len(raw)-len(next)-len(msg), lim); err != nil {
				return err
			}
		}
		if fc.FieldNum == 3 {
			msg, ok := fc.MessageData()
			if !ok {
				return malformed(nil, "the metadata of a metric has a wrong wire type")
			}
			if err := r.metadataV1(msg); err != nil {
				return err
			}
		}
		rest = next
	}
	return nil
}

// seriesV1 reads one series; base is where msg begins in the request.
func (r *Request) seriesV1(msg []byte, base int, lim Limits) error {
	if len(r.spans) >= lim.Series {
		return tooLarge("series", lim.Series)
	}
	var fc easyproto.FieldContext
	s := Series{}
	sp := span{from: len(r.arena)}
	r.key.reset()
	for rest := msg; len(rest) > 0; {
		at := len(msg) - len(rest)
		next, err := nextField(&fc, rest)
		if err != nil {
			return malformed(err, "a series cannot be read")
		}
		end := len(msg) - len(next)
		switch fc.FieldNum {
		case 1:
			if _, ok := fc.MessageData(); !ok {
				return malformed(nil, "a label has a wrong wire type")
			}
			r.key.take(msg, at, end)
		case 2:
			err = r.sample(&fc, lim)
		case 3:
			err = r.exemplar(&fc, &s)
		case 4:
			err = r.histogram(&fc, &s, lim)
		}
		if err != nil {
			return err
		}
		rest = next
	}
	sp.to = len(r.arena)
	sp.own, sp.key, sp.end = r.key.place(&r.keys, base)
	r.add(s, sp)
	return nil
}

// readV2 reads io.prometheus.write.v2.Request. The table of symbols may follow
// the series that refer to it, hence two passes.
func (r *Request) readV2(raw []byte, lim Limits) error {
	var fc easyproto.FieldContext
	r.symbols = r.symbols[:0]
	for rest := raw; len(rest) > 0; {
		next, err := nextField(&fc, rest)
		if err != nil {
			return malformed(err, "the write request cannot be read")
		}
		if fc.FieldNum == 4 {
			sym, ok := fc.Bytes()
			if !ok {
				return malformed(nil, "a symbol has a wrong wire type")
			}
			r.symbols = append(r.symbols, sym)
		}
		rest = next
	}
	for rest := raw; len(rest) > 0; {
		next, err := nextField(&fc, rest)
		if err != nil {
			return malformed(err, "the write request cannot be read")
		}
		if fc.FieldNum == 5 {
			msg, ok := fc.MessageData()
			if !ok {
				return malformed(nil, "a series has a wrong wire type")
			}
			if err := r.seriesV2(msg, lim); err != nil {
				return err
			}
		}
		rest = next
	}
	return nil
}

// seriesV2 reads one series. Field 6 was created_timestamp in drafts of 2.0: it
// is the start of the samples that name none.
func (r *Request) seriesV2(msg []byte, lim Limits) error {
	if len(r.spans) >= lim.Series {
		return tooLarge("series", lim.Series)
	}
	var fc easyproto.FieldContext
	var created int64
	s := Series{}
	sp := span{own: true, from: len(r.arena)}
	r.refs = r.refs[:0]
	for rest := msg; len(rest) > 0; {
		next, err := nextField(&fc, rest)
		if err != nil {
			return malformed(err, "a series cannot be read")
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			r.refs, ok = fc.UnpackUint32s(r.refs)
		case 2:
			err = r.sample(&fc, lim)
		case 3:
			err = r.histogram(&fc, &s, lim)
		case 4:
			err = r.exemplar(&fc, &s)
		case 6:
			created, ok = fc.Int64()
		}
		if err != nil {
			return err
		}
		if !ok {
			return malformed(nil, "a field of a series has a wrong wire type")
		}
		rest = next
	}
	sp.to = len(r.arena)
	if created != 0 {
		for i := sp.from; i < sp.to; i++ {
			if r.arena[i].Start == 0 {
				r.arena[i].Start = created
			}
		}
		for i := range s.Histograms {
			if s.Histograms[i].Start == 0 {
				s.Histograms[i].Start = created
			}
		}
	}
	var err error
	sp.key, sp.end, err = r.symbolKey(lim)
	if problem.Is(err, problem.TooLarge) {
		s.Err, sp.end, err = err, sp.key, nil
	}
	r.add(s, sp)
	return err
}

func (r *Request) add(s Series, sp span) {
	r.Series = append(r.Series, s)
	r.spans = append(r.spans, sp)
}

// sample reads a Sample of either version: 1.0 has no field 3, one it holds is unknown and skipped.
func (r *Request) sample(fc *easyproto.FieldContext, lim Limits) error {
	msg, ok := fc.MessageData()
	if !ok {
		return malformed(nil, "a sample has a wrong wire type")
	}
	if len(r.arena)+r.Histograms >= lim.Samples {
		return tooLarge("samples", lim.Samples)
	}
	s, ok := plainSample(msg)
	if ok {
		r.arena = append(r.arena, s)
		return nil
	}
	s = Sample{}
	var f easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = nextField(&f, msg); err != nil {
			return malformed(err, "a sample cannot be read")
		}
		ok = true
		switch f.FieldNum {
		case 1:
			s.V, ok = f.Double()
		case 2:
			s.T, ok = f.Int64()
		case 3:
			if r.version == V2 {
				s.Start, ok = f.Int64()
			}
		}
		if !ok {
			return malformed(nil, "a field of a sample has a wrong wire type")
		}
	}
	r.arena = append(r.arena, s)
	return nil
}

// plainSample reads the form nearly every sample has: value, timestamp.
func plainSample(msg []byte) (Sample, bool) {
	if len(msg) < 11 || msg[0] != 1<<3|1 || msg[9] != 2<<3 {
		return Sample{}, false
	}
	t, n := binary.Uvarint(msg[10:])
	if n <= 0 || 10+n != len(msg) {
		return Sample{}, false
	}
	return Sample{T: int64(t), V: math.Float64frombits(binary.LittleEndian.Uint64(msg[1:9]))}, true
}

// nextField reads a field and refuses the number 0, which no message has.
func nextField(fc *easyproto.FieldContext, src []byte) ([]byte, error) {
	rest, err := fc.NextField(src)
	if err == nil && fc.FieldNum == 0 {
		err = problem.New(problem.Malformed, "field number 0")
	}
	return rest, err
}
