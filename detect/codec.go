package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Records start with (kind, version). Numbers follow as varints; floats with their
// bytes reversed, so that zero and small whole numbers take one to three bytes.
const (
	kindErrorRatio = 'E'
	kindBaseline   = 'B'
	kindTraffic    = 'V'
	kindBurn       = 'R'
	kindChange     = 'C'
	withAside      = 2 // version of a baseline that keeps something aside
	codecVersion   = 1
	changeVersion  = 2   // of Change: 1 knew nothing of the worst step
	ratioVersion   = 3   // of ErrorRatio: 1 knew nothing of the last hours, 2 nothing of who is held to be one customer
	mostStep       = 1e9 // events of one step: what is above is no count, and no evidence
)

var errShort = errors.New("detect: record ends too early")

// MarshalBinary returns the state: kind, version, fields. A quiet cell's takes
// some 60 bytes.
func (d *ErrorRatio) MarshalBinary() ([]byte, error) {
	w := writer{kindErrorRatio, ratioVersion}
	w.int(d.last)
	w.cusum(d.slow)
	w.cusum(d.hard)
	w.window(d.short)
	w.window(d.long)
	a := d.alarm
	w.int(int64(a.by))
	if a.by != none {
		w.flag(a.hard)
		w.int(a.onset)
		w.floats(a.nats, a.n, a.k)
		w.cusum(a.health)
	}
	l := d.recent
	w.int(l.at)
	w.int(l.until)
	w.floats(l.n, l.k, l.olderN, l.olderK)
	w.int(d.held)
	w.floats(d.worst)
	if c := d.calm; c.n > 0 {
		w.int(c.at)
		w.floats(c.n, c.k)
	}
	return w, nil
}

// UnmarshalBinary takes a state that MarshalBinary gave. On an error the detector
// is as it was.
func (d *ErrorRatio) UnmarshalBinary(data []byte) error {
	r, version, err := openUpTo(data, kindErrorRatio, ratioVersion)
	if err != nil {
		return err
	}
	var out ErrorRatio
	out.last = r.int()
	out.slow, out.hard = r.cusum(), r.cusum()
	out.short, out.long = r.window(), r.window()
	by := r.int()
	if by < 0 || by > int64(longWindow) {
		return fmt.Errorf("detect: no such test: %d", by)
	}
	if out.alarm.by = test(by); out.alarm.by != none {
		a := &out.alarm
		a.hard, a.onset = r.int() != 0, r.int()
		a.nats, a.n, a.k = r.float(), r.float(), r.float()
		a.health = r.cusum()
	}
	if version >= 2 {
		l := &out.recent
		l.at, l.until = r.int(), r.int()
		l.n, l.k, l.olderN, l.olderK = r.float(), r.float(), r.float(), r.float()
	}
	if version >= 3 {
		out.held = r.int()
		out.worst = r.float()
	}
	if c := &out.calm; len(r.data) > 0 {
		c.at, c.n, c.k = r.int(), r.float(), r.float()
		c.k = min(c.k, c.n)
	}
	if r.err != nil {
		return r.err
	}
	*d = out
	return nil
}

// MarshalBinary returns the state: kind, version, fields.
func (d *Traffic) MarshalBinary() ([]byte, error) {
	w := writer{kindTraffic, codecVersion}
	w.int(d.last)
	w.cusum(d.less)
	w.cusum(d.more)
	w.flag(d.ringing)
	if d.ringing {
		w.flag(d.surge)
		w.flag(d.gone)
		w.int(d.healthy)
		w.int(d.onset)
		w.floats(d.n, d.expected)
	}
	return w, nil
}

// UnmarshalBinary takes a state that MarshalBinary gave. On an error the detector
// is as it was.
func (d *Traffic) UnmarshalBinary(data []byte) error {
	r, err := open(data, kindTraffic)
	if err != nil {
		return err
	}
	out := Traffic{last: r.int(), less: r.cusum(), more: r.cusum()}
	if out.ringing = r.int() != 0; out.ringing {
		out.surge, out.gone = r.int() != 0, r.int() != 0
		out.healthy, out.onset = r.int(), r.int()
		out.n, out.expected = r.float(), r.float()
	}
	if r.err != nil {
		return r.err
	}
	*d = out
	return nil
}

// MarshalBinary returns what was learned: kind, version, fields.
func (b *Baseline) MarshalBinary() ([]byte, error) {
	w := writer{kindBaseline, codecVersion}
	if b.aside != nil {
		w[1] = withAside
	}
	w.int(b.newest)
	w.floats(b.n, b.k, b.seconds)
	o := b.older
	w.floats(o.n, o.k, o.seconds, o.hours, o.squares, o.sizes)
	for _, h := range b.ring {
		w.floats(float64(h.n), float64(h.k), float64(h.seconds))
	}
	if b.aside != nil {
		w.aside(b.aside)
	}
	return w, nil
}

// UnmarshalBinary takes what MarshalBinary gave. On an error the baseline is as it was.
func (b *Baseline) UnmarshalBinary(data []byte) error {
	r, version, err := openUpTo(data, kindBaseline, withAside)
	if err != nil {
		return err
	}
	var out Baseline
	out.newest = r.int()
	out.n, out.k, out.seconds = r.float(), r.float(), r.float()
	o := &out.older
	for _, f := range []*float64{&o.n, &o.k, &o.seconds, &o.hours, &o.squares, &o.sizes} {
		*f = r.float()
	}
	for i := range out.ring {
		h := hourSum{float32(r.float()), float32(r.float()), float32(r.float())}
		h.k = min(h.k, h.n)
		out.ring[i] = h
	}
	if version >= withAside {
		out.aside = r.aside()
	}
	if r.err != nil {
		return r.err
	}
	if out.newest < 0 {
		return errors.New("detect: a baseline from before 1970")
	}
	if out.k > out.n || o.k > o.n*(1+1e-6) {
		return errors.New("detect: a baseline of more failures than events")
	}
	out.version = b.version + 1
	*b = out
	return nil
}

type writer []byte

func (w *writer) int(v int64) { *w = binary.AppendVarint(*w, v) }

func (w *writer) flag(v bool) {
	if v {
		w.int(1)
		return
	}
	w.int(0)
}

func (w *writer) floats(values ...float64) {
	for _, v := range values {
		*w = binary.AppendUvarint(*w, bits.ReverseBytes64(math.Float64bits(v)))
	}
}

// cusum writes a test as its score alone while that is zero.
func (w *writer) cusum(c cusum) {
	w.floats(c.score)
	if c.score > 0 {
		w.int(c.onset)
		w.int(c.span())
		w.floats(c.n, c.k)
	}
}

func (w *writer) window(v window) {
	w.int(int64(v.at))
	for _, b := range v.block {
		w.floats(float64(b.n), float64(b.k))
	}
}

// reader keeps its first error and gives zeros from there on.
type reader struct {
	data []byte
	err  error
}

func open(data []byte, kind byte) (*reader, error) {
	r, _, err := openUpTo(data, kind, codecVersion)
	return r, err
}

// openUpTo is open of a kind that has more than one version.
func openUpTo(data []byte, kind, newest byte) (*reader, byte, error) {
	switch {
	case len(data) < 2:
		return nil, 0, errShort
	case data[0] != kind:
		return nil, 0, fmt.Errorf("detect: record of kind %q, not %q", data[0], kind)
	case data[1] < codecVersion || data[1] > newest:
		return nil, 0, fmt.Errorf("detect: record of version %d, this program reads up to %d", data[1], newest)
	}
	return &reader{data: data[2:]}, data[1], nil
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.data)
	r.skip(n)
	return v
}

func (r *reader) float() float64 {
	v, n := binary.Uvarint(r.data)
	r.skip(n)
	f := math.Float64frombits(bits.ReverseBytes64(v))
	if r.err != nil {
		return 0
	}
	if math.IsNaN(f) || f < 0 || math.IsInf(f, 0) { // sums of squares may be as large as they like
		r.err = errors.New("detect: a count that is not one")
		return 0
	}
	return f
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.data = nil
		if r.err == nil {
			r.err = errShort
		}
		return
	}
	r.data = r.data[n:]
}

func (r *reader) cusum() cusum {
	c := cusum{score: r.float()}
	if c.score > 0 {
		c.onset = r.int()
		c.lastBad = c.onset + r.int()
		c.n, c.k = r.float(), r.float()
	}
	return c
}

func (r *reader) window() window {
	w := window{at: int32(min(max(r.int(), 0), math.MaxInt32))} //nolint:gosec // bounded
	for i := range w.block {
		w.block[i] = struct{ n, k float32 }{float32(r.float()), float32(r.float())}
	}
	return w
}
