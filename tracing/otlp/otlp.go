// Package otlp reads the bodies of OTLP's ExportTraceServiceRequest: spans that
// were received, not our own telemetry.
//
// It knows the wire format and its limits and nothing else: not tenants, not
// policies, not HTTP or gRPC. Protobuf is read in place, one span at a time, and
// only the fields and attributes that somebody asked for: nothing is allocated
// per span. JSON, which few senders use, is read by the collector's own code and
// goes the same way after that.
package otlp

import (
	"strconv"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Encoding of a body.
type Encoding uint8

// The encodings of OTLP.
const (
	Protobuf Encoding = iota
	JSON
)

// Kind of a span, with OTLP's numbers.
type Kind uint8

// The kinds. What a sender leaves out is Unspecified.
const (
	Unspecified Kind = iota
	Internal
	Server
	Client
	Producer
	Consumer
)

// statusError is OTLP's number for a status that says the span failed.
const statusError = 2

// Span is one span as it came. Its bytes are those of the body, and its
// attributes those of the decoder: valid during the call that hands it out.
type Span struct {
	TraceID, SpanID, ParentID []byte // 16, 8 and 8 bytes where the sender kept to the format
	TraceState                []byte
	Name                      []byte
	Kind                      Kind
	Failed                    bool // its status is Error
	Start, End                uint64
	// Attributes and Resource hold the values of the decoder's keys, in their
	// order; absent ones are empty.
	Attributes, Resource []Value
}

// Value is an attribute's value. The zero value is an absent one.
type Value struct {
	kind   valueKind
	text   []byte
	number uint64
	double float64
}

type valueKind uint8

const (
	absent valueKind = iota
	text
	boolean
	integer
	double
	other // lists, maps and bytes: no use as a name
)

// Present says whether the value can be used: lists, maps and bytes cannot.
func (v Value) Present() bool {
	return v.kind != absent && v.kind != other && (v.kind != text || len(v.text) > 0)
}

// Append adds the value's text to b.
func (v Value) Append(b []byte) []byte {
	switch v.kind {
	case text:
		return append(b, v.text...)
	case boolean:
		return strconv.AppendBool(b, v.number != 0)
	case integer:
		return strconv.AppendInt(b, int64(v.number), 10)
	case double:
		return strconv.AppendFloat(b, v.double, 'g', -1, 64)
	}
	return b
}

// Float is the value as a number: numbers, and texts that are one.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case integer:
		return float64(int64(v.number)), true
	case double:
		return v.double, true
	case text:
		f, err := strconv.ParseFloat(string(v.text), 64)
		return f, err == nil
	}
	return 0, false
}

// Limits bound what one request may cost. Zero fields take the defaults.
type Limits struct {
	Body       int // bytes after decompression; default 64 MiB
	Spans      int // per request; default 100,000
	Attributes int // of one span or resource; default 1,024
}

// WithDefaults fills the fields that are zero.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Body, 64<<20)
	def(&l.Spans, 100_000)
	def(&l.Attributes, 1024)
	return l
}

func malformed(err error, what string) error {
	return problem.Wrap(err, problem.Malformed, "the trace request cannot be read: %s", what).
		WithHint("send an OTLP ExportTraceServiceRequest")
}

func tooLarge(what string, limit int) error {
	return problem.New(problem.TooLarge, "the trace request has more %s than the limit of %d", what, limit).
		WithHint("lower send_batch_max_size in the collector's batch processor, or raise the limit")
}
