package remotewrite

import (
	"encoding/binary"

	"github.com/VictoriaMetrics/easyproto"

	"github.com/tocsin-alerting/tocsin/problem"
)

// A key is written as the labels of a 1.0 series: per label the tag of field 1,
// a length, and a message of name (1) and value (2). For 1.0 it is a piece of
// the request itself.
const (
	tagOne byte = 1<<3 | 2
	tagTwo byte = 2<<3 | 2
)

// keyBuffer gathers the label fields of a 1.0 series. As long as they stand
// together the key is where they stand; else they are put together.
type keyBuffer struct {
	from, to int
	parts    []byte
	split    bool
}

func (k *keyBuffer) reset() { k.from, k.to, k.parts, k.split = 0, 0, k.parts[:0], false }

func (k *keyBuffer) take(msg []byte, at, end int) {
	switch {
	case k.split:
		k.parts = append(k.parts, msg[at:end]...)
	case k.to == 0:
		k.from, k.to = at, end
	case k.to == at:
		k.to = end
	default:
		k.split = true
		k.parts = append(append(k.parts, msg[k.from:k.to]...), msg[at:end]...)
	}
}

// place gives the key's position: in keys when own, else in the request, where
// the series begins at base.
func (k *keyBuffer) place(keys *[]byte, base int) (own bool, from, to int) {
	if !k.split {
		return false, base + k.from, base + k.to
	}
	from = len(*keys)
	*keys = append(*keys, k.parts...)
	return true, from, len(*keys)
}

// symbolKey writes the key of the 2.0 series whose references are in refs.
func (r *Request) symbolKey(lim Limits) (from, to int, err error) {
	if len(r.refs)%2 != 0 {
		return 0, 0, malformed(nil, "a series refers to an odd number of label symbols")
	}
	from = len(r.keys)
	if len(r.refs) > 2*lim.Labels {
		return from, from, labelsTooLarge("labels", lim.Labels)
	}
	for i := 0; i < len(r.refs); i += 2 {
		n, v := int(r.refs[i]), int(r.refs[i+1])
		if n >= len(r.symbols) || v >= len(r.symbols) {
			return 0, 0, malformed(nil, "a series refers to a symbol that is not in the table")
		}
		name, value := r.symbols[n], r.symbols[v]
		// Bounded here and not only in Labels: a few references to one long
		// symbol would otherwise write far more than was received.
		err = labelFits(name, value, lim)
		if len(r.keys) > lim.Decompressed {
			err = tooLarge("bytes of labels", lim.Decompressed)
		}
		if err != nil {
			r.keys = r.keys[:from]
			return from, from, err
		}
		size := 2 + uvarintLen(len(name)) + len(name) + uvarintLen(len(value)) + len(value)
		r.keys = binary.AppendUvarint(append(r.keys, tagOne), uint64(size))
		r.keys = append(binary.AppendUvarint(append(r.keys, tagOne), uint64(len(name))), name...)
		r.keys = append(binary.AppendUvarint(append(r.keys, tagTwo), uint64(len(value))), value...)
	}
	return from, len(r.keys), nil
}

func labelFits(name, value []byte, lim Limits) error {
	if len(name) > lim.LabelName {
		return labelsTooLarge("bytes in a label name", lim.LabelName)
	}
	if len(value) > lim.LabelValue {
		return labelsTooLarge("bytes in a label value", lim.LabelValue)
	}
	return nil
}

// Labels calls yield for every label of the key in the order sent. Names and
// values are bytes of the key. It stops at a label over the limits
// (problem.TooLarge) and at one that cannot be read (problem.Malformed).
func Labels(key []byte, lim Limits, yield func(name, value []byte)) error {
	lim = lim.WithDefaults()
	var outer easyproto.FieldContext
	for n := 1; len(key) > 0; n++ {
		var err error
		if key, err = nextField(&outer, key); err != nil {
			return malformed(err, "the labels of a series cannot be read")
		}
		if n > lim.Labels {
			return labelsTooLarge("labels", lim.Labels)
		}
		msg, ok := outer.MessageData()
		if !ok {
			return malformed(nil, "a label has a wrong wire type")
		}
		name, value, err := labelPair(msg)
		if err != nil {
			return err
		}
		if err := labelFits(name, value, lim); err != nil {
			return err
		}
		yield(name, value)
	}
	return nil
}

// labelPair reads a Label of 1.0.
func labelPair(msg []byte) (name, value []byte, err error) {
	var f easyproto.FieldContext
	for len(msg) > 0 {
		if msg, err = nextField(&f, msg); err != nil {
			return nil, nil, malformed(err, "a label cannot be read")
		}
		ok := true
		switch f.FieldNum {
		case 1:
			name, ok = f.Bytes()
		case 2:
			value, ok = f.Bytes()
		}
		if !ok {
			return nil, nil, malformed(nil, "a label has a wrong wire type")
		}
	}
	return name, value, nil
}

func labelsTooLarge(what string, limit int) error {
	return problem.New(problem.TooLarge, "a series has more %s than the limit of %d", what, limit).
		WithHint("drop the label in the sender's write_relabel_configs, or raise the limit")
}

func uvarintLen(n int) int {
	l := 1
	for ; n >= 0x80; n >>= 7 {
		l++
	}
	return l
}
