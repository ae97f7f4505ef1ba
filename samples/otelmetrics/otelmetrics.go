// Package otelmetrics reads the bodies of OTLP's ExportMetricsServiceRequest into
// the same series as remote write's.
//
// It knows OTLP's metrics and how Prometheus names them, and nothing of tenants'
// rights, storage or transport. It must not import the TSDB, so that its fuzz
// target builds in seconds. A data point is read where it stands: its series is
// named by the raw bytes of its name and attributes, made to serve as the key of
// a cache, and they are translated only when that cache does not know the key.
package otelmetrics

import (
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// Request is a decoded body. It may be used again: Decode keeps its buffers and
// gives every body a new array of samples.
type Request struct {
	Series []remotewrite.Series
	Points int // data points, those refused too

	// Metadata is what the request says of its metrics, each once.
	Metadata []remotewrite.Metadata

	// Data points that are refused whoever sends them.
	Delta   int // of delta temporality
	Invalid int // without a value, a time or a temporality, or in contradiction to themselves

	lim      remotewrite.Limits
	names    Names
	keys     []byte // of all series
	resource []byte // of the resource at hand: those attributes that matter
	spans    []span // per series: where its key and samples are
	arena    []remotewrite.Sample
	parts    []remotewrite.Part
	buckets  int
	families map[string]*family // by kind, name and unit
	round    uint64             // of Decode
	metric   metric
	point    point
}

// span says where the parts of a series are, while arrays may still grow.
type span struct {
	key, end         int
	from, to         int // in arena
	partFrom, partTo int // in parts
}

// Names says which attributes mean what, and the labels they become.
type Names struct {
	TenantAttribute  string // of a data point or a resource; default tenant.id
	TenantLabel      string // default tenant
	EnvironmentLabel string // default environment
	ServiceLabel     string // default service
}

// WithDefaults fills the fields that are empty.
func (n Names) WithDefaults() Names {
	def := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	def(&n.TenantAttribute, "tenant.id")
	def(&n.TenantLabel, "tenant")
	def(&n.EnvironmentLabel, "environment")
	def(&n.ServiceLabel, "service")
	return n
}

// The resource attributes that become labels, besides the tenant's.
const (
	serviceName       = "service.name"
	serviceNamespace  = "service.namespace"
	serviceInstance   = "service.instance.id"
	environmentName   = "deployment.environment.name"
	environmentBefore = "deployment.environment" // its name until 2024
)

func (n Names) matters(attribute []byte) bool {
	switch string(attribute) {
	case serviceName, serviceNamespace, serviceInstance, environmentName, environmentBefore, n.TenantAttribute:
		return true
	}
	return false
}

func malformed(err error, format string, args ...any) error {
	return problem.Wrap(err, problem.Malformed, format, args...)
}

func tooLarge(what string, limit int) error {
	return problem.New(problem.TooLarge, "the request has more %s than the limit of %d", what, limit).
		WithHint("lower send_batch_max_size of the collector's batch processor, or raise the limit")
}

// Held is the number of bytes that r keeps for its next use, about.
func (r *Request) Held() int { return cap(r.keys) + 200*cap(r.Series) }
