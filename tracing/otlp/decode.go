package otlp

import (
	"github.com/VictoriaMetrics/easyproto"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Decoder reads requests for the attributes it was made for. It may be used
// again, by one goroutine at a time.
type Decoder struct {
	lim   Limits
	slots map[string]int
	span  Span
	spans int
}

// NewDecoder makes a decoder that fills Attributes and Resource with the values
// of keys.
func NewDecoder(keys []string, lim Limits) *Decoder {
	d := &Decoder{lim: lim.WithDefaults(), slots: make(map[string]int, len(keys))}
	for i, k := range keys {
		d.slots[k] = i
	}
	d.span.Attributes, d.span.Resource = make([]Value, len(keys)), make([]Value, len(keys))
	return d
}

// Decode hands each span of the body to take, in the body's order. It stops at
// the first part that cannot be read (problem.Malformed) or is over a limit
// (problem.TooLarge); spans before it were handed out already.
func (d *Decoder) Decode(body []byte, e Encoding, take func(*Span)) error {
	if len(body) > d.lim.Body {
		return tooLarge("bytes", d.lim.Body)
	}
	if e == JSON {
		var err error
		if body, err = fromJSON(body); err != nil {
			return err
		}
	}
	d.spans = 0
	return fields(body, "a field of the request", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		msg, ok := fc.MessageData()
		if !ok {
			return malformed(nil, "resource_spans has a wrong wire type")
		}
		return d.resourceSpans(msg, take)
	})
}

// fromJSON gives a JSON body in protobuf.
func fromJSON(body []byte) ([]byte, error) {
	var in ptrace.JSONUnmarshaler
	var out ptrace.ProtoMarshaler
	traces, err := in.UnmarshalTraces(body)
	if err != nil {
		return nil, malformed(err, "it is no OTLP JSON")
	}
	if body, err = out.MarshalTraces(traces); err != nil {
		return nil, malformed(err, "it is no OTLP JSON")
	}
	return body, nil
}

// fields calls each for every field of a message.
func fields(msg []byte, what string, each func(*easyproto.FieldContext) error) error {
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = next(&fc, msg); err != nil {
			return malformed(err, what)
		}
		if err := each(&fc); err != nil {
			return err
		}
	}
	return nil
}

// next reads a field and refuses the number 0, which no message has.
func next(fc *easyproto.FieldContext, src []byte) ([]byte, error) {
	rest, err := fc.NextField(src)
	if err == nil && fc.FieldNum == 0 {
		err = malformed(nil, "field number 0")
	}
	return rest, err
}

// resourceSpans reads the resource first, wherever it stands: some writers put
// it behind its spans.
func (d *Decoder) resourceSpans(msg []byte, take func(*Span)) error {
	clear(d.span.Resource)
	err := fields(msg, "a field of resource_spans", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		res, ok := fc.MessageData()
		if !ok {
			return malformed(nil, "resource has a wrong wire type")
		}
		return d.resource(res)
	})
	if err != nil {
		return err
	}
	return fields(msg, "a field of resource_spans", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 2 {
			return nil
		}
		scope, ok := fc.MessageData()
		if !ok {
			return malformed(nil, "scope_spans has a wrong wire type")
		}
		return d.scopeSpans(scope, take)
	})
}

func (d *Decoder) resource(msg []byte) error {
	n := 0
	return fields(msg, "a field of a resource", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		if n++; n > d.lim.Attributes {
			return tooLarge("attributes on one resource", d.lim.Attributes)
		}
		kv, ok := fc.MessageData()
		if !ok {
			return malformed(nil, "an attribute has a wrong wire type")
		}
		return d.attribute(kv, d.span.Resource)
	})
}

func (d *Decoder) scopeSpans(msg []byte, take func(*Span)) error {
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = next(&fc, msg); err != nil {
			return malformed(err, "a field of scope_spans")
		}
		if fc.FieldNum != 2 {
			continue
		}
		span, ok := fc.MessageData()
		if !ok {
			return malformed(nil, "a span has a wrong wire type")
		}
		if d.spans++; d.spans > d.lim.Spans {
			return tooLarge("spans", d.lim.Spans)
		}
		if err := d.readSpan(span); err != nil {
			return err
		}
		take(&d.span)
	}
	return nil
}

func (d *Decoder) readSpan(msg []byte) error {
	s := &d.span
	*s = Span{Attributes: s.Attributes, Resource: s.Resource}
	clear(s.Attributes)
	var fc easyproto.FieldContext
	attributes := 0
	for len(msg) > 0 {
		var err error
		if msg, err = next(&fc, msg); err != nil {
			return malformed(err, "a field of a span")
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			s.TraceID, ok = fc.Bytes()
		case 2:
			s.SpanID, ok = fc.Bytes()
		case 3:
			s.TraceState, ok = fc.Bytes()
		case 4:
			s.ParentID, ok = fc.Bytes()
		case 5:
			s.Name, ok = fc.Bytes()
		case 6:
			var k int32
			if k, ok = fc.Enum(); k >= 0 && k <= int32(Consumer) {
				s.Kind = Kind(k)
			} else {
				s.Kind = Unspecified
			}
		case 7:
			s.Start, ok = fc.Fixed64()
		case 8:
			s.End, ok = fc.Fixed64()
		case 9:
			if attributes++; attributes > d.lim.Attributes {
				return tooLarge("attributes on one span", d.lim.Attributes)
			}
			var kv []byte
			if kv, ok = fc.MessageData(); ok {
				err = d.attribute(kv, s.Attributes)
			}
		case 15:
			var st []byte
			if st, ok = fc.MessageData(); ok {
				err = s.status(st)
			}
		}
		if err != nil {
			return err
		}
		if !ok {
			return malformed(nil, "a field of a span has a wrong wire type")
		}
	}
	return nil
}

func (s *Span) status(msg []byte) error {
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = next(&fc, msg); err != nil {
			return malformed(err, "a field of a status")
		}
		if fc.FieldNum == 3 {
			code, ok := fc.Enum()
			if !ok {
				return malformed(nil, "a status has a wrong wire type")
			}
			s.Failed = code == statusError
		}
	}
	return nil
}

// attribute puts a KeyValue whose key somebody wants into its slot. Of a key
// that comes twice the first counts.
func (d *Decoder) attribute(kv []byte, slots []Value) error {
	var fc easyproto.FieldContext
	var key, val []byte
	for len(kv) > 0 {
		var err error
		if kv, err = next(&fc, kv); err != nil {
			return malformed(err, "a field of an attribute")
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			key, ok = fc.Bytes()
		case 2:
			val, ok = fc.MessageData()
		}
		if !ok {
			return malformed(nil, "a field of an attribute has a wrong wire type")
		}
	}
	i, wanted := d.slots[string(key)]
	if !wanted || slots[i].kind != absent {
		return nil
	}
	v, err := readValue(val)
	if err != nil {
		return err
	}
	slots[i] = v
	return nil
}

// readValue reads an AnyValue: of its alternatives the last one counts.
func readValue(msg []byte) (v Value, err error) {
	v.kind = other // an empty AnyValue is a null
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		if msg, err = next(&fc, msg); err != nil {
			return v, malformed(err, "a field of an attribute's value")
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			v = Value{kind: text}
			v.text, ok = fc.Bytes()
		case 2:
			v = Value{kind: boolean}
			var b bool
			if b, ok = fc.Bool(); b {
				v.number = 1
			}
		case 3:
			v = Value{kind: integer}
			var n int64
			n, ok = fc.Int64()
			v.number = uint64(n)
		case 4:
			v = Value{kind: double}
			v.double, ok = fc.Double()
		case 5, 6, 7, 8:
			v = Value{kind: other}
		}
		if !ok {
			return v, malformed(nil, "an attribute's value has a wrong wire type")
		}
	}
	return v, nil
}
