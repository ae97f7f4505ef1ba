package tracing

import (
	"math"
	"time"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// The body of a record is a protobuf message; texts stand in it once:
//
//	1 source    2 text, repeated    3 steps, packed, in units of Step
//	4 call, repeated: 1 tenant (text)  2 unknown  3 labels (texts, packed: name, value, …)
//	  4 step  5 n  6 weight  7 seconds  8 buckets, packed
//	  9 customers' marks, fixed32, packed  10 their level  11 named
//	5 span, repeated: 1 tenant  3 labels  4 trace id  5 span id  6 parent id
//	  7 ended at (unix ns)  8 duration (ns)  9 why  10 customer (text)
//	6 received
var marshalers easyproto.MarshalerPool

// texts numbers the texts of a record.
type texts struct {
	list []string
	at   map[string]uint32
}

func (t *texts) number(s string) uint32 {
	n, ok := t.at[s]
	if !ok {
		n = uint32(len(t.list))
		t.at[s], t.list = n, append(t.list, s)
	}
	return n
}

// labels gives the numbers of the labels' names and values.
func (t *texts) labels(ls labels.Labels) []uint32 {
	out := make([]uint32, 0, 2*ls.Len())
	ls.Range(func(l labels.Label) { out = append(out, t.number(l.Name), t.number(l.Value)) })
	return out
}

// encode writes a batch as a record's body.
func encode(b *Batch) []byte {
	m := marshalers.Get()
	defer marshalers.Put(m)
	mm := m.MessageMarshaler()
	t := texts{at: map[string]uint32{}}
	mm.AppendString(1, b.Source)
	steps := make([]int64, len(b.Steps))
	for i, s := range b.Steps {
		steps[i] = s / Step.Milliseconds()
	}
	mm.AppendInt64s(3, steps)
	var marks []uint32
	for i := range b.Calls {
		c := &b.Calls[i]
		cm := mm.AppendMessage(4)
		cm.AppendUint32(1, t.number(string(c.Tenant)))
		cm.AppendBool(2, c.Unknown)
		cm.AppendUint32s(3, t.labels(c.Labels))
		cm.AppendInt64(4, c.Step/Step.Milliseconds())
		cm.AppendUint64(5, uint64(c.N))
		if c.Weight != float64(c.N) {
			cm.AppendDouble(6, c.Weight)
		}
		cm.AppendDouble(7, c.Seconds)
		cm.AppendUint32s(8, c.Buckets)
		if c.Named > 0 {
			marks = marks[:0]
			for _, m := range c.Customers.Marks() {
				marks = append(marks, uint32(m))
			}
			cm.AppendFixed32s(9, marks)
			cm.AppendUint32(10, uint32(c.Customers.Level()))
			cm.AppendUint64(11, uint64(c.Named))
		}
	}
	for i := range b.Spans {
		s := &b.Spans[i]
		sm := mm.AppendMessage(5)
		sm.AppendUint32(1, t.number(string(s.Tenant)))
		sm.AppendUint32s(3, t.labels(s.Labels))
		sm.AppendBytes(4, s.TraceID[:])
		sm.AppendBytes(5, s.SpanID[:])
		sm.AppendBytes(6, s.ParentID[:])
		sm.AppendInt64(7, s.EndedAt.UnixNano())
		sm.AppendInt64(8, int64(s.Duration))
		sm.AppendUint32(9, uint32(s.Why))
		if s.Customer != "" {
			sm.AppendString(10, s.Customer)
		}
	}
	mm.AppendUint64(6, uint64(b.Received))
	for _, s := range t.list {
		mm.AppendString(2, s)
	}
	return m.Marshal(nil)
}

// Decode makes the Batch of a journal's record again.
func Decode(version int, body []byte, at time.Time) (*Batch, error) {
	if version != RecordVersion {
		return nil, problem.New(problem.Invalid, "a record of spans has version %d", version).WithHint("this program reads version %d", RecordVersion)
	}
	b := &Batch{ReceivedAt: at}
	r := reader{known: map[string]labels.Labels{}}
	err := r.each(body, func(fc *easyproto.FieldContext) bool { // the texts come last
		if fc.FieldNum != 2 {
			return true
		}
		s, ok := fc.Bytes()
		r.texts = append(r.texts, string(s))
		return ok
	})
	if err != nil {
		return nil, err
	}
	return b, r.each(body, func(fc *easyproto.FieldContext) (ok bool) {
		ok = true
		switch fc.FieldNum {
		case 1:
			var s []byte
			s, ok = fc.Bytes()
			b.Source = string(s)
		case 3:
			if b.Steps, ok = fc.UnpackInt64s(b.Steps[:0]); ok {
				for i := range b.Steps {
					b.Steps[i] *= Step.Milliseconds()
				}
			}
		case 4:
			var c Call
			c, ok = r.call(fc)
			b.Calls = append(b.Calls, c)
		case 5:
			var s Span
			s, ok = r.span(fc)
			b.Spans = append(b.Spans, s)
		case 6:
			var n uint64
			n, ok = fc.Uint64()
			b.Received = int(n)
		}
		return ok
	})
}

func damaged(err error) error {
	return problem.Wrap(err, problem.Malformed, "the record of a trace request cannot be read")
}

// reader reads a record's body.
type reader struct {
	texts   []string
	known   map[string]labels.Labels // by the numbers of their texts
	numbers []uint32
	builder labels.ScratchBuilder
}

func (r *reader) each(msg []byte, take func(*easyproto.FieldContext) bool) error {
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = fc.NextField(msg); err != nil {
			return damaged(err)
		}
		if !take(&fc) {
			return damaged(nil)
		}
	}
	return nil
}

func (r *reader) text(fc *easyproto.FieldContext) (string, bool) {
	n, ok := fc.Uint32()
	if !ok || int(n) >= len(r.texts) {
		return "", false
	}
	return r.texts[n], true
}

func (r *reader) labels(fc *easyproto.FieldContext) (labels.Labels, bool) {
	raw, ok := fc.MessageData()
	if !ok {
		return labels.EmptyLabels(), false
	}
	if ls, has := r.known[string(raw)]; has {
		return ls, true
	}
	if r.numbers, ok = fc.UnpackUint32s(r.numbers[:0]); !ok || len(r.numbers)%2 != 0 {
		return labels.EmptyLabels(), false
	}
	r.builder.Reset()
	for i := 0; i < len(r.numbers); i += 2 {
		n, v := int(r.numbers[i]), int(r.numbers[i+1])
		if n >= len(r.texts) || v >= len(r.texts) {
			return labels.EmptyLabels(), false
		}
		r.builder.Add(r.texts[n], r.texts[v])
	}
	r.builder.Sort()
	ls := r.builder.Labels()
	r.known[string(raw)] = ls
	return ls, true
}

func (r *reader) call(in *easyproto.FieldContext) (c Call, ok bool) {
	msg, ok := in.MessageData()
	if !ok {
		return c, false
	}
	weighted, level := false, uint32(0)
	var marks []uint32
	err := r.each(msg, func(fc *easyproto.FieldContext) (ok bool) {
		ok = true
		switch fc.FieldNum {
		case 1:
			var s string
			s, ok = r.text(fc)
			c.Tenant = tenant.ID(s)
		case 2:
			c.Unknown, ok = fc.Bool()
		case 3:
			c.Labels, ok = r.labels(fc)
		case 4:
			c.Step, ok = fc.Int64()
			c.Step *= Step.Milliseconds()
		case 5:
			var n uint64
			n, ok = fc.Uint64()
			c.N = int(n)
		case 6:
			c.Weight, ok = fc.Double()
			weighted = true
		case 7:
			c.Seconds, ok = fc.Double()
		case 8:
			c.Buckets, ok = fc.UnpackUint32s(nil)
		case 9:
			marks, ok = fc.UnpackFixed32s(nil)
		case 10:
			level, ok = fc.Uint32()
		case 11:
			var n uint64
			n, ok = fc.Uint64()
			c.Named = int(min(n, math.MaxInt32))
		}
		return ok
	})
	if !weighted {
		c.Weight = float64(c.N)
	}
	if err == nil && c.Named > 0 {
		c.Customers, err = people(level, marks)
	}
	return c, err == nil && len(c.Buckets) == Buckets
}

func people(level uint32, raw []uint32) (crowd.Crowd, error) {
	marks := make([]crowd.Mark, len(raw))
	for i, m := range raw {
		marks[i] = crowd.Mark(m)
	}
	return crowd.New(int(level), marks)
}

func (r *reader) span(in *easyproto.FieldContext) (s Span, ok bool) {
	msg, ok := in.MessageData()
	if !ok {
		return s, false
	}
	id := func(fc *easyproto.FieldContext, into []byte) bool {
		b, ok := fc.Bytes()
		return ok && copy(into, b) == len(b) && len(b) == len(into)
	}
	err := r.each(msg, func(fc *easyproto.FieldContext) (ok bool) {
		ok = true
		switch fc.FieldNum {
		case 1:
			var t string
			t, ok = r.text(fc)
			s.Tenant = tenant.ID(t)
		case 3:
			s.Labels, ok = r.labels(fc)
		case 4:
			ok = id(fc, s.TraceID[:])
		case 5:
			ok = id(fc, s.SpanID[:])
		case 6:
			ok = id(fc, s.ParentID[:])
		case 7:
			var ns int64
			ns, ok = fc.Int64()
			s.EndedAt = time.Unix(0, ns).UTC()
		case 8:
			var ns int64
			ns, ok = fc.Int64()
			s.Duration = time.Duration(ns)
		case 9:
			var w uint32
			w, ok = fc.Uint32()
			s.Why = Why(w)
		case 10:
			var c []byte
			c, ok = fc.Bytes()
			s.Customer = string(c)
		}
		return ok
	})
	return s, err == nil
}
