package otelmetrics

import (
	"github.com/prometheus/otlptranslator"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// family is what one metric is called and what was last said of it.
type family struct {
	said  remotewrite.Metadata // without a name: it cannot be translated
	round uint64               // in which it was last said
}

const (
	maxFamilies = 5_000 // remembered, and taken of one request
	maxText     = 1_024 // bytes of a name with its unit, or of a help
)

var typeNames = map[kind]string{gauge: "gauge", counter: "counter", upDown: "gauge", histogram: "histogram", exponential: "histogram", summary: "summary"}

// describe notes what the metric at hand says of itself, once a request: a
// collector repeats a metric for every tenant.
func (r *Request) describe(m *metric) {
	if len(m.name) == 0 || len(m.name)+len(m.unit) > maxText || m.data == nil || len(r.Metadata) >= maxFamilies {
		return
	}
	if len(m.help) > maxText {
		m.help = nil
	}
	var buf [128]byte
	key := append(append(append(append(buf[:0], byte(m.kind)), m.name...), 0), m.unit...)
	f := r.families[string(key)]
	if f == nil {
		if f = (&family{said: remotewrite.Metadata{Type: typeNames[m.kind]}}); r.families == nil || len(r.families) >= maxFamilies {
			r.families = map[string]*family{}
		}
		r.families[string(key)] = f
		namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
		if name, err := namer.Build(otlptranslator.Metric{Name: string(m.name), Unit: string(m.unit), Type: types[m.kind]}); err == nil {
			units := otlptranslator.UnitNamer{}
			f.said.Family, f.said.Unit = name, units.Build(string(m.unit))
		}
	}
	if f.round == r.round || f.said.Family == "" {
		return
	}
	f.round = r.round
	if f.said.Help != string(m.help) {
		f.said.Help = string(m.help)
	}
	r.Metadata = append(r.Metadata, f.said)
}
