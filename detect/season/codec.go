package season

import (
	"encoding/binary"
	"errors"
	"math"
)

// Records start with (kind, version); numbers follow in a fixed order, sums as 32-bit
// floats: a season takes 2 KB.
const (
	kindSeason = 'S'
	kindShare  = 'H'
	version    = 1
	withAside  = 2 // of a record that keeps something aside
)

var errDamaged = errors.New("season: the record is damaged")

// coder writes fields, or reads the same fields in the same order.
type coder struct {
	data    []byte
	reading bool
	version byte
	bad     bool
}

// aside codes what is kept aside, in the version that has it.
func (c *coder) aside(a *aside) {
	if !c.reading && len(*a) > 0 {
		c.data[1] = withAside
	}
	if c.reading && c.version >= withAside || len(*a) > 0 {
		a.fields(c)
	}
}

func (c *coder) small(vs ...*float32) {
	for _, v := range vs {
		if !c.reading {
			c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(*v))
			continue
		}
		if c.take(4, func(b []byte) { *v = math.Float32frombits(binary.LittleEndian.Uint32(b)) }); !(*v >= 0) || *v > math.MaxFloat32 {
			c.bad = true
		}
	}
}

func (c *coder) floats(vs ...*float64) {
	for _, v := range vs {
		if !c.reading {
			c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(*v))
			continue
		}
		if c.take(8, func(b []byte) { *v = math.Float64frombits(binary.LittleEndian.Uint64(b)) }); !(*v >= 0) || math.IsInf(*v, 0) {
			c.bad = true
		}
	}
}

func (c *coder) hours(v *int64) {
	if !c.reading {
		c.data = binary.LittleEndian.AppendUint64(c.data, uint64(*v))
		return
	}
	if c.take(8, func(b []byte) { *v = int64(binary.LittleEndian.Uint64(b)) }); *v < 0 || *v > 1e9 {
		c.bad = true
	}
}

func (c *coder) slot(v *int) {
	if !c.reading {
		c.data = append(c.data, byte(*v))
		return
	}
	if c.take(1, func(b []byte) { *v = int(b[0]) }); *v >= Slots {
		c.bad, *v = true, 0
	}
}

func (c *coder) take(n int, f func([]byte)) {
	if len(c.data) < n {
		c.bad = true
		return
	}
	f(c.data[:n])
	c.data = c.data[n:]
}

func (s *Season) fields(c *coder) {
	for i := range s.week {
		c.small(&s.week[i].n, &s.week[i].minutes)
	}
	for i := range s.day {
		c.small(&s.day[i].n, &s.day[i].minutes)
	}
	c.floats(&s.all.n, &s.all.minutes)
	for i := range s.ring {
		p := &s.ring[i]
		c.small(&p.n, &p.minutes, &p.expected)
		c.slot(&p.slot)
	}
	c.floats(&s.now.n, &s.now.minutes, &s.now.expected)
	c.slot(&s.now.slot)
	c.hours(&s.newest)
	c.floats(&s.spread, &s.heard)
	c.aside(&s.aside)
}

func (s *Share) fields(c *coder) {
	for i := range s.day {
		c.small(&s.day[i].n, &s.day[i].of)
	}
	for _, p := range []*part{&s.all, &s.now[0], &s.now[1]} {
		c.floats(&p.n, &p.of)
	}
	c.hours(&s.newest)
	c.slot(&s.slot[0])
	c.slot(&s.slot[1])
	c.aside(&s.aside)
}

type fielded interface{ fields(c *coder) }

func write(kind byte, v fielded) []byte {
	c := &coder{data: []byte{kind, version}}
	v.fields(c)
	return c.data
}

func read(kind byte, data []byte, v fielded) error {
	if len(data) < 2 || data[0] != kind || data[1] < version || data[1] > withAside {
		return errDamaged
	}
	c := &coder{data: data[2:], reading: true, version: data[1]}
	if v.fields(c); c.bad || len(c.data) > 0 {
		return errDamaged
	}
	return nil
}

// MarshalBinary returns what was learned.
func (s *Season) MarshalBinary() ([]byte, error) {
	return write(kindSeason, s), nil
}

// UnmarshalBinary takes what MarshalBinary gave. On an error the season is as it was.
func (s *Season) UnmarshalBinary(data []byte) error {
	var out Season
	if err := read(kindSeason, data, &out); err != nil {
		return err
	}
	*s = out
	return nil
}

// MarshalBinary returns what was learned.
func (s *Share) MarshalBinary() ([]byte, error) {
	return write(kindShare, s), nil
}

// UnmarshalBinary takes what MarshalBinary gave. On an error the share is as it was.
func (s *Share) UnmarshalBinary(data []byte) error {
	var out Share
	if err := read(kindShare, data, &out); err != nil {
		return err
	}
	*s = out
	return nil
}
