package otelmetrics

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// A key is a byte that no key of remote write begins with, the metric's kind,
// and then, each after its length, its name, its unit, the resource's attributes
// and the point's. The last two are written as fields of OTLP's own messages.
const keyMark = 0

// IsKey says whether a series' key is one of this package.
func IsKey(key []byte) bool { return len(key) > 0 && key[0] == keyMark }

func appendKey(b []byte, m *metric, resource, attributes []byte) []byte {
	b = append(b, keyMark, byte(m.kind))
	for _, s := range [][]byte{m.name, m.unit, resource, attributes} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// Label is one name with its value.
type Label struct{ Name, Value string }

var types = map[kind]otlptranslator.MetricType{gauge: otlptranslator.MetricTypeGauge, counter: otlptranslator.MetricTypeMonotonicCounter,
	upDown: otlptranslator.MetricTypeNonMonotonicCounter, histogram: otlptranslator.MetricTypeHistogram,
	exponential: otlptranslator.MetricTypeExponentialHistogram, summary: otlptranslator.MetricTypeSummary}

// Labels translates a key as Prometheus does it with its default strategy,
// UnderscoreEscapingWithSuffixes: the name gets suffixes for its unit and kind,
// what is no letter, digit or underscore becomes an underscore, and attributes
// that become one label are joined by semicolons. Besides:
//
//   - the attribute of the tenant, of the point or else of the resource, is the
//     label of the tenant;
//   - service.name (after service.namespace and a slash) is job, service.name is
//     service, service.instance.id is instance, deployment.environment.name is
//     environment, unless the point has an attribute of that name.
//
// The first label is __name__. Keys are those of Decode: another one is an error.
func Labels(key []byte, names Names) ([]Label, error) {
	names = names.WithDefaults()
	if len(key) < 2 || key[0] != keyMark {
		return nil, malformed(nil, "the key of a series cannot be read")
	}
	k, rest := kind(key[1]), key[2:]
	var parts [4][]byte
	for i := range parts {
		n, size := binary.Uvarint(rest)
		if size <= 0 || uint64(len(rest)-size) < n {
			return nil, malformed(nil, "the key of a series cannot be read")
		}
		parts[i], rest = rest[size:size+int(n)], rest[size+int(n):]
	}
	resource, point, err := attributes(parts[2], parts[3])
	if err != nil {
		return nil, err
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	name, err := namer.Build(otlptranslator.Metric{Name: string(parts[0]), Unit: string(parts[1]), Type: types[k]})
	if err != nil {
		return nil, malformed(err, "a metric has a name that cannot be translated")
	}
	out := []Label{{"__name__", name}}
	translate := otlptranslator.LabelNamer{}
	keys := make([]string, 0, point.Len())
	for a := range point.All() {
		keys = append(keys, a)
	}
	slices.Sort(keys)
	for _, a := range slices.Compact(keys) {
		if a == names.TenantAttribute || a == "__name__" {
			continue
		}
		label, err := translate.Build(a)
		if err != nil {
			return nil, malformed(err, "an attribute has a name that cannot be translated")
		}
		v, _ := point.Get(a)
		out = join(out, label, v.AsString())
	}
	return identity(out, resource, point, names), nil
}

// join adds a label, or its value to the one that has it.
func join(out []Label, name, v string) []Label {
	if i := find(out, name); i >= 0 {
		out[i].Value = strings.Join([]string{out[i].Value, v}, ";")
		return out
	}
	return append(out, Label{name, v})
}

func find(out []Label, name string) int {
	return slices.IndexFunc(out, func(l Label) bool { return l.Name == name })
}

// identity adds what the resource says of where a series comes from.
func identity(out []Label, resource, point pcommon.Map, names Names) []Label {
	get := func(m pcommon.Map, name string) string {
		if v, ok := m.Get(name); ok {
			return v.AsString()
		}
		return ""
	}
	unlessThere := func(name, v string) {
		if v != "" && find(out, name) < 0 {
			out = append(out, Label{name, v})
		}
	}
	service := get(resource, serviceName)
	job := service
	if ns := get(resource, serviceNamespace); ns != "" && service != "" {
		job = ns + "/" + service
	}
	unlessThere("job", job)
	unlessThere("instance", get(resource, serviceInstance))
	unlessThere(names.ServiceLabel, service)
	environment := get(resource, environmentName)
	if environment == "" {
		environment = get(resource, environmentBefore)
	}
	unlessThere(names.EnvironmentLabel, environment)
	if tenant := get(point, names.TenantAttribute); tenant != "" {
		if i := find(out, names.TenantLabel); i >= 0 {
			out[i].Value = tenant
		} else {
			out = append(out, Label{names.TenantLabel, tenant})
		}
	}
	unlessThere(names.TenantLabel, get(resource, names.TenantAttribute))
	return out
}

// attributes has the collector's own types read the attributes, which are of any
// type, so that they become the text that Prometheus makes of them.
func attributes(resource, point []byte) (r, p pcommon.Map, err error) {
	wrap := func(number byte, msg []byte) []byte { return appendField(nil, number, msg) }
	gauge := wrap(5, wrap(1, point))
	scope := wrap(2, wrap(2, gauge))
	raw := wrap(1, append(wrap(1, resource), scope...))
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(raw); err != nil {
		return r, p, malformed(err, "an attribute cannot be read")
	}
	rm := req.Metrics().ResourceMetrics().At(0)
	return rm.Resource().Attributes(), rm.ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes(), nil
}
