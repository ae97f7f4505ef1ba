package evaluate

import (
	"encoding/binary"
	"math"

	"github.com/tocsin-alerting/tocsin/problem"
)

// coder writes fields, or reads the same fields in the same order: one
// description serves both, so that the two cannot drift apart.
type coder struct {
	data    []byte
	reading bool
	version byte // of the record; what later versions added is coded from there on
	err     error
}

func (c *coder) fail() {
	if c.err == nil {
		c.err = problem.New(problem.Malformed, "the checkpoint is damaged")
	}
	c.data = nil
}

func (c *coder) int(v *int64) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, *v)
		return
	}
	n, size := binary.Varint(c.data)
	if size <= 0 {
		c.fail()
		return
	}
	*v, c.data = n, c.data[size:]
}

func (c *coder) ints(vs ...*int64) {
	for _, v := range vs {
		c.int(v)
	}
}

func (c *coder) small(v *int) {
	n := int64(*v)
	c.int(&n)
	*v = int(n)
}

func (c *coder) bools(vs ...*bool) {
	for _, v := range vs {
		n := int64(0)
		if *v {
			n = 1
		}
		c.int(&n)
		*v = n != 0
	}
}

func (c *coder) floats(vs ...*float64) {
	for _, v := range vs {
		if !c.reading {
			c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(*v))
			continue
		}
		if len(c.data) < 8 {
			c.fail()
			return
		}
		*v, c.data = math.Float64frombits(binary.LittleEndian.Uint64(c.data)), c.data[8:]
	}
}

func (c *coder) bytes(v *[]byte) {
	n := len(*v)
	c.small(&n)
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	if n < 0 || n > len(c.data) {
		c.fail()
		return
	}
	*v, c.data = c.data[:n], c.data[n:]
}

func (c *coder) text(v *string) {
	b := []byte(*v)
	c.bytes(&b)
	if c.reading {
		*v = string(b)
	}
}

// list codes the length of a list and then each element; element gets the index.
func list[T any](c *coder, v *[]T, element func(*T)) {
	n := len(*v)
	c.small(&n)
	if c.reading {
		if n < 0 || n > len(c.data) { // every element takes a byte at least
			c.fail()
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

// optional codes a state that may not be there.
func optional[T any, P interface {
	*T
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}](c *coder, v *P) {
	some := *v != nil
	if c.bools(&some); !some {
		return
	}
	if c.reading {
		*v = new(T)
	}
	c.state(*v)
}

// state codes what detect keeps in its own format.
func (c *coder) state(v interface {
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}) {
	var b []byte
	if !c.reading {
		var err error
		if b, err = v.MarshalBinary(); err != nil {
			c.err = problem.Wrap(err, problem.Internal, "a detector's state cannot be written")
		}
	}
	if c.bytes(&b); c.reading && c.err == nil {
		if err := v.UnmarshalBinary(b); err != nil {
			c.err = problem.Wrap(err, problem.Malformed, "the checkpoint is damaged")
		}
	}
}
