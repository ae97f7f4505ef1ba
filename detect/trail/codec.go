package trail

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

// MarshalBinary returns the trail: blocks, and sums of before.
func (t *Trail) MarshalBinary() ([]byte, error) {
	var w []byte
	number := func(v float64) { // small whole numbers are short
		w = binary.AppendUvarint(w, bits.ReverseBytes64(math.Float64bits(v)))
	}
	w = binary.AppendUvarint(w, uint64(len(t.of)))
	for i, ci := range t.of {
		w = binary.AppendUvarint(w, uint64(ci)) //nolint:gosec // an index
		number(t.old[i])
	}
	number(t.minutes)
	w = binary.AppendUvarint(w, uint64(len(t.blocks)))
	for _, b := range t.blocks {
		w = binary.AppendVarint(w, b.start)
		w = binary.AppendVarint(w, b.end-b.start)
		number(b.minutes)
		w = binary.AppendUvarint(w, uint64(len(b.at)))
		for _, v := range b.at {
			number(float64(v.n))
			number(float64(v.k))
		}
	}
	return w, nil
}

// UnmarshalBinary takes what MarshalBinary gave.
func (t *Trail) UnmarshalBinary(data []byte) error {
	bad := false
	whole := func(most uint64) int {
		v, n := binary.Uvarint(data)
		if n <= 0 || v > most {
			bad = true
			return 0
		}
		data = data[n:]
		return int(v) //nolint:gosec // at most most
	}
	signed := func() int64 {
		v, n := binary.Varint(data)
		if n <= 0 {
			bad = true
			return 0
		}
		data = data[n:]
		return v
	}
	number := func() float64 {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			bad = true
			return 0
		}
		data = data[n:]
		f := math.Float64frombits(bits.ReverseBytes64(v))
		bad = bad || !(f >= 0) || math.IsInf(f, 0)
		return f
	}
	out := Trail{}
	for range whole(Most) {
		out.of, out.old = append(out.of, whole(1<<16)), append(out.old, number())
	}
	out.minutes = number()
	for range whole(mostBlocks) {
		b := block{start: signed()}
		b.end, b.minutes = b.start+signed(), number()
		for range whole(uint64(len(out.of))) {
			v := tally{float32(number()), float32(number())}
			b.failed = b.failed || v.k > 0
			b.at = append(b.at, v)
		}
		out.blocks = append(out.blocks, b)
	}
	if bad || len(data) > 0 {
		return errors.New("trail: cut short or damaged")
	}
	*t = out
	return nil
}
