package remotewrite

import (
	"github.com/VictoriaMetrics/easyproto"
)

// Metadata is what a sender says of a metric. It may be wrong, and two senders
// may say different things.
type Metadata struct {
	Family string // the metric's name without the suffixes of its series
	Type   string // counter, gauge, histogram, …; unknown when it is not said
	Help   string
	Unit   string
}

// types are the names of both versions' enumerations, which agree.
var types = [...]string{"unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"}

func typeName(n int32) string {
	if n < 0 || int(n) >= len(types) {
		return types[0]
	}
	return types[n]
}

// maxMetadata bounds what is taken of one request; the rest is for its next one.
const maxMetadata = 5_000

// metadataV1 reads a MetricMetadata message. What cannot be read is no reason to
// refuse the samples beside it, but a message that is none is.
func (r *Request) metadataV1(msg []byte) error {
	m := Metadata{Type: types[0]}
	var fc easyproto.FieldContext
	for len(msg) > 0 {
		rest, err := nextField(&fc, msg)
		if err != nil {
			return malformed(err, "the metadata of a metric cannot be read")
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			var n int32
			if n, ok = fc.Int32(); ok {
				m.Type = typeName(n)
			}
		case 2:
			m.Family, ok = clone(&fc)
		case 4:
			m.Help, ok = clone(&fc)
		case 5:
			m.Unit, ok = clone(&fc)
		}
		if !ok {
			return malformed(nil, "a field of a metric's metadata has a wrong wire type")
		}
		msg = rest
	}
	if m.Family != "" && len(r.Metadata) < maxMetadata {
		r.Metadata = append(r.Metadata, m)
	}
	return nil
}

// clone copies a text out of the request's buffer, which is used again.
func clone(fc *easyproto.FieldContext) (string, bool) {
	b, ok := fc.Bytes()
	return string(b), ok
}
