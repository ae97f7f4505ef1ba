package otelmetrics

import (
	"encoding/binary"

	"github.com/VictoriaMetrics/easyproto"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// kind of a metric; part of its series' keys, for its name follows from it.
type kind byte

const (
	gauge kind = iota
	counter
	upDown // a sum that may fall
	histogram
	exponential
	summary
)

// metric is the one at hand.
type metric struct {
	name, unit []byte
	help       []byte
	kind       kind
	data       []byte // its Gauge, Sum, … message
	delta      bool   // temporality that is not taken
	untimed    bool   // temporality that is missing or unknown
}

// DecodeJSON is Decode for OTLP's JSON form.
func (r *Request) DecodeJSON(body []byte, names Names, lim remotewrite.Limits) error {
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalJSON(body); err != nil {
		return malformed(err, "the body is not an OTLP metrics request in JSON")
	}
	raw, err := req.MarshalProto()
	if err != nil {
		return malformed(err, "the body is not an OTLP metrics request in JSON")
	}
	return r.Decode(raw, names, lim)
}

// Decode reads a body into r, replacing what r held. Fields may come in any
// order: some senders write a resource after its metrics. On an error
// (problem.Malformed, problem.TooLarge) r holds nothing of use.
func (r *Request) Decode(body []byte, names Names, lim remotewrite.Limits) error {
	*r = Request{families: r.families, round: r.round + 1, Series: r.Series[:0], spans: r.spans[:0], keys: r.keys[:0], resource: r.resource[:0], point: r.point,
		lim: lim.WithDefaults(), names: names.WithDefaults()}
	if len(body) > r.lim.Decompressed {
		return tooLarge("bytes", r.lim.Decompressed)
	}
	r.arena = make([]remotewrite.Sample, 0, min(len(body)/64+1, r.lim.Samples))
	err := fields(body, "metrics request", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return message(fc, r.resourceMetrics)
	})
	if err != nil {
		return err
	}
	for i, s := range r.spans {
		r.Series[i].Key = r.keys[s.key:s.end:s.end]
		r.Series[i].Samples = r.arena[s.from:s.to:s.to]
		r.Series[i].Parts = r.parts[s.partFrom:s.partTo:s.partTo]
	}
	r.arena, r.parts = nil, nil
	return nil
}

// fields calls yield for every field of msg.
func fields(msg []byte, what string, yield func(fc *easyproto.FieldContext) error) error {
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		var err error
		if msg, err = fc.NextField(msg); err != nil {
			return malformed(err, "a %s cannot be read", what)
		}
		if fc.FieldNum == 0 {
			return malformed(nil, "a %s has a field number 0", what)
		}
		if err := yield(&fc); err != nil {
			return err
		}
	}
	return nil
}

// message hands the field's message to read.
func message(fc *easyproto.FieldContext, read func([]byte) error) error {
	msg, ok := fc.MessageData()
	if !ok {
		return wireType()
	}
	return read(msg)
}

func wireType() error { return malformed(nil, "a field of the metrics request has a wrong wire type") }

func (r *Request) resourceMetrics(msg []byte) error {
	r.resource = r.resource[:0]
	if err := fields(msg, "resource", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return message(fc, r.resourceAttributes)
	}); err != nil {
		return err
	}
	return fields(msg, "resource", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 2 {
			return nil
		}
		return message(fc, r.scopeMetrics)
	})
}

// resourceAttributes keeps those that become labels: the others, such as a
// process's id, would make new keys of old series.
func (r *Request) resourceAttributes(msg []byte) error {
	return fields(msg, "resource", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		return message(fc, func(pair []byte) error {
			name, err := attributeName(pair)
			if err == nil && r.names.matters(name) {
				r.resource = appendField(r.resource, 1, pair)
			}
			return err
		})
	})
}

func attributeName(pair []byte) (name []byte, err error) {
	err = fields(pair, "attribute", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum == 1 {
			var ok bool
			if name, ok = fc.Bytes(); !ok {
				return wireType()
			}
		}
		return nil
	})
	return name, err
}

func (r *Request) scopeMetrics(msg []byte) error {
	return fields(msg, "scope", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 2 {
			return nil
		}
		return message(fc, r.readMetric)
	})
}

func (r *Request) readMetric(msg []byte) error {
	r.metric = metric{}
	m := &r.metric
	err := fields(msg, "metric", func(fc *easyproto.FieldContext) error {
		ok := true
		switch fc.FieldNum {
		case 1:
			m.name, ok = fc.Bytes()
		case 2:
			m.help, ok = fc.Bytes()
		case 3:
			m.unit, ok = fc.Bytes()
		case 5:
			m.kind = gauge
		case 7:
			m.kind = upDown
		case 9:
			m.kind = histogram
		case 10:
			m.kind = exponential
		case 11:
			m.kind = summary
		default:
			return nil
		}
		if fc.FieldNum >= 5 { // a metric has one kind of data: the last one counts
			m.data, ok = fc.MessageData()
		}
		if !ok {
			return wireType()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.temporality(); err != nil {
		return err
	}
	r.describe(m)
	return fields(m.data, "metric", func(fc *easyproto.FieldContext) error {
		if fc.FieldNum != 1 {
			return nil
		}
		r.Points++
		switch {
		case r.Points > r.lim.Samples:
			return tooLarge("data points", r.lim.Samples)
		case m.delta:
			r.Delta++
			return nil
		case m.untimed || len(m.name) == 0:
			r.Invalid++
			return nil
		}
		msg, ok := fc.MessageData()
		if !ok {
			return wireType()
		}
		switch m.kind {
		case histogram:
			return r.classic(msg)
		case exponential:
			return r.exponential(msg)
		case summary:
			return r.summary(msg)
		}
		return r.number(msg)
	})
}

// temporality reads what of the data may stand behind its points.
func (m *metric) temporality() error {
	if m.kind == gauge || m.kind == summary {
		return nil
	}
	var temporality int32
	var monotonic bool
	err := fields(m.data, "metric", func(fc *easyproto.FieldContext) error {
		ok := true
		switch {
		case fc.FieldNum == 2:
			temporality, ok = fc.Int32()
		case fc.FieldNum == 3 && m.kind == upDown:
			monotonic, ok = fc.Bool()
		}
		if !ok {
			return wireType()
		}
		return nil
	})
	if monotonic {
		m.kind = counter
	}
	m.delta, m.untimed = temporality == 1, temporality != 1 && temporality != 2
	return err
}

// add begins a series for the data point at hand; the caller adds its values.
func (r *Request) add(attributes []byte) (*remotewrite.Series, *span, error) {
	if len(r.Series) >= r.lim.Series {
		return nil, nil, tooLarge("data points", r.lim.Series)
	}
	sp := span{key: len(r.keys), from: len(r.arena), to: len(r.arena), partFrom: len(r.parts), partTo: len(r.parts)}
	r.keys = appendKey(r.keys, &r.metric, r.resource, attributes)
	sp.end = len(r.keys)
	r.Series = append(r.Series, remotewrite.Series{})
	r.spans = append(r.spans, sp)
	if len(r.keys) > r.lim.Decompressed {
		return nil, nil, problem.New(problem.TooLarge, "the request has more bytes of labels than the limit of %d", r.lim.Decompressed)
	}
	return &r.Series[len(r.Series)-1], &r.spans[len(r.spans)-1], nil
}

// part adds one of the series that a data point stands for.
func (r *Request) part(sp *span, k remotewrite.PartKind, edge, v float64) error {
	if len(r.parts)+len(r.arena) >= r.lim.Samples {
		return tooLarge("samples", r.lim.Samples)
	}
	r.parts = append(r.parts, remotewrite.Part{Kind: k, Edge: edge, V: v})
	sp.partTo = len(r.parts)
	return nil
}

func appendField(b []byte, number byte, msg []byte) []byte {
	b = append(b, number<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(msg))), msg...)
}
