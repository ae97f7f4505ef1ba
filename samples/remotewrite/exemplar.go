package remotewrite

import (
	"unicode/utf8"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
)

// exemplar reads an Exemplar of either version. One whose labels are longer than
// OpenMetrics allows, or cannot be used, is left out: it explains a sample, and no
// sample is lost with it.
func (r *Request) exemplar(fc *easyproto.FieldContext, s *Series) error {
	msg, ok := fc.MessageData()
	if !ok {
		return malformed(nil, "an exemplar has a wrong wire type")
	}
	r.Exemplars++
	x := exemplar.Exemplar{HasTs: true}
	b := labels.NewScratchBuilder(2)
	runes, usable := 0, true
	add := func(name, value []byte) {
		if len(name) == 0 || !utf8.Valid(name) || !utf8.Valid(value) {
			usable = false
			return
		}
		if runes += utf8.RuneCount(name) + utf8.RuneCount(value); runes > exemplar.ExemplarMaxLabelSetLength {
			usable = false
			return
		}
		b.Add(string(name), string(value))
	}
	var f easyproto.FieldContext
	r.exrefs = r.exrefs[:0]
	for len(msg) > 0 {
		var err error
		if msg, err = nextField(&f, msg); err != nil {
			return malformed(err, "an exemplar cannot be read")
		}
		ok := true
		switch f.FieldNum {
		case 1:
			if r.version == V2 {
				r.exrefs, ok = f.UnpackUint32s(r.exrefs)
				break
			}
			var pair []byte
			if pair, ok = f.MessageData(); ok {
				var name, value []byte
				if name, value, err = labelPair(pair); err != nil {
					return err
				}
				add(name, value)
			}
		case 2:
			x.Value, ok = f.Double()
		case 3:
			x.Ts, ok = f.Int64()
		}
		if !ok {
			return malformed(nil, "a field of an exemplar has a wrong wire type")
		}
	}
	for i := 0; i+1 < len(r.exrefs); i += 2 {
		n, v := int(r.exrefs[i]), int(r.exrefs[i+1])
		if n >= len(r.symbols) || v >= len(r.symbols) {
			return malformed(nil, "an exemplar refers to a symbol that is not in the table")
		}
		add(r.symbols[n], r.symbols[v])
	}
	if len(r.exrefs)%2 != 0 {
		return malformed(nil, "an exemplar refers to an odd number of label symbols")
	}
	b.Sort()
	x.Labels = b.Labels()
	if _, twice := x.Labels.HasDuplicateLabelNames(); usable && !twice {
		s.Exemplars = append(s.Exemplars, x)
	}
	return nil
}
