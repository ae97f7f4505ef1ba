// Package checkpoint writes what judges samples keeps between two starts, and reads it
// again. It knows how fields become bytes, and which version of the record they belong to;
// it does not know what they mean.
//
// A record starts with its kind and its version, a byte each; the fields follow without
// names, in the order in which they are coded: integers as varints, floats as eight bytes,
// lists and texts behind their length. Readers take every version so far.
package checkpoint

import (
	"encoding/binary"
	"math"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Version is what is written, of tenants' records and of pools': they grow together.
// Version 2 added the severity of what stands and the evidence of the kinds of rules that
// are not about failures, and what is kept of events that carry their own time. Version 3
// added which rules are in shadow, and the volume of the last day, version 4 the
// windows of burn rates, version 5 the combinations of slices and what they make one
// expect, version 6 why another volume is expected and the volume that is judged over
// all tenants, version 7 who fails, version 8 the level of what lasts, version 9 how
// long a tenant is silent as usual, version 10 the last hour over all tenants, version
// 11 the customers that failures name, version 12 of how few a day's failures are,
// version 13 the last hour of large tenants, version 14 what spans say
// of failures that metrics count, version 15 what came to each combination of late,
// version 16 when a backlog came to what is judged over all tenants, version 17 the
// successes beside failures that are capped.
const Version = 17

const oldest = 1 // version that is read

// Coder writes fields, or reads the same fields in the same order: one description serves
// both, so that the two cannot drift apart. After an error it does nothing that is of use;
// who reads may go on and ask for the error at the end. It is not safe for concurrent use.
type Coder struct {
	data    []byte
	reading bool
	version byte
	err     error
}

// Write starts a record of a kind in a version, which is [Version] but where somebody wants
// what an older program wrote.
func Write(kind, version byte) *Coder {
	return &Coder{data: []byte{kind, version}, version: version}
}

// Read starts to read a record. Texts are copied; data is not changed. A record of
// another kind is malformed, one of a version that is not known invalid.
func Read(data []byte, kind byte) (*Coder, error) {
	if len(data) < 2 || data[0] != kind {
		return nil, problem.New(problem.Malformed, "this is no checkpoint of the kind that was expected")
	}
	if v := data[1]; v < oldest || v > Version {
		return nil, problem.New(problem.Invalid, "the checkpoint has version %d", v).
			WithHint("this program reads versions %d to %d", oldest, Version)
	}
	return &Coder{data: data[2:], reading: true, version: data[1]}, nil
}

// Written is the whole record, or what went wrong.
func (c *Coder) Written() ([]byte, error) { return c.data, c.err }

// End says what went wrong while a record was read: that something is left of it, too.
func (c *Coder) End() error {
	if c.err == nil && len(c.data) > 0 {
		c.Fail()
	}
	return c.err
}

// Err is the first error so far.
func (c *Coder) Err() error { return c.err }

// Reading says whether fields are read; else they are written.
func (c *Coder) Reading() bool { return c.reading }

// Since says whether the record has what a version added.
func (c *Coder) Since(version byte) bool { return c.version >= version }

// Fail says that what was read cannot be.
func (c *Coder) Fail() {
	if c.err == nil {
		c.err = problem.New(problem.Malformed, "the checkpoint is damaged")
	}
	c.data = nil
}

// Int codes a number.
func (c *Coder) Int(v *int64) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, *v)
		return
	}
	n, size := binary.Varint(c.data)
	if size <= 0 {
		c.Fail()
		return
	}
	*v, c.data = n, c.data[size:]
}

// Ints codes numbers.
func (c *Coder) Ints(vs ...*int64) {
	for _, v := range vs {
		c.Int(v)
	}
}

// Small codes a number that is an int.
func (c *Coder) Small(v *int) {
	n := int64(*v)
	c.Int(&n)
	*v = int(n)
}

// Bools codes what is true or false.
func (c *Coder) Bools(vs ...*bool) {
	for _, v := range vs {
		n := int64(0)
		if *v {
			n = 1
		}
		c.Int(&n)
		*v = n != 0
	}
}

// Floats codes numbers to the last bit.
func (c *Coder) Floats(vs ...*float64) {
	for _, v := range vs {
		if !c.reading {
			c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(*v))
			continue
		}
		if len(c.data) < 8 {
			c.Fail()
			return
		}
		*v, c.data = math.Float64frombits(binary.LittleEndian.Uint64(c.data)), c.data[8:]
	}
}

func (c *Coder) bytes(v *[]byte) {
	n := len(*v)
	c.Small(&n)
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	if n < 0 || n > len(c.data) {
		c.Fail()
		return
	}
	*v, c.data = c.data[:n], c.data[n:]
}

// Text codes a text.
func (c *Coder) Text(v *string) {
	b := []byte(*v)
	c.bytes(&b)
	if c.reading {
		*v = string(b)
	}
}

// Slice codes a slice.
func (c *Coder) Slice(s *sli.Slice) {
	dims := []sli.Dim(*s)
	List(c, &dims, func(d *sli.Dim) {
		c.Text(&d.Label)
		c.Text(&d.Value)
	})
	if len(dims) > 0 {
		*s = dims
	}
}

// State codes what has its own format.
func (c *Coder) State(v interface {
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}) {
	var b []byte
	if !c.reading {
		var err error
		if b, err = v.MarshalBinary(); err != nil {
			c.err = problem.Wrap(err, problem.Internal, "a state cannot be written")
		}
	}
	if c.bytes(&b); c.reading && c.err == nil {
		if err := v.UnmarshalBinary(b); err != nil {
			c.err = problem.Wrap(err, problem.Malformed, "the checkpoint is damaged")
		}
	}
}

// List codes the length of a list and then each element. What is read is a new list.
func List[T any](c *Coder, v *[]T, element func(*T)) {
	n := len(*v)
	c.Small(&n)
	if c.reading {
		if n < 0 || n > len(c.data) { // every element takes a byte at least
			c.Fail()
			return
		}
		if *v = nil; n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		if c.err != nil {
			return
		}
		element(&(*v)[i])
	}
}

// Maybe codes what may not be there: whether it is, and then what it is made of. What is
// read is new.
func Maybe[T any](c *Coder, v **T, code func(*T)) {
	some := *v != nil
	if c.Bools(&some); !some {
		return
	}
	if c.reading {
		*v = new(T)
	}
	code(*v)
}

// Optional codes a state that may not be there.
func Optional[T any, P interface {
	*T
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}](c *Coder, v *P) {
	x := (*T)(*v)
	Maybe(c, &x, func(x *T) { c.State(P(x)) })
	*v = x
}
