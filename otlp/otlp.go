// Package otlp is how OpenTelemetry data comes in: OTLP over HTTP (protobuf and
// JSON, plain or compressed) and over gRPC. It reads a request's bytes, hands
// them to whoever takes the signal, and answers in OTLP's own words, with
// partial_success where some items were refused.
//
// It knows the transport. What is in a request, whose it is and what becomes of
// it is for the Exporter of its signal.
package otlp

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// Signal is a kind of telemetry.
type Signal string

// The signals that have a door.
const (
	Metrics Signal = "metrics"
	Traces  Signal = "traces"
	Logs    Signal = "logs"
)

// methods by signal: the full names of the gRPC methods.
var methods = map[Signal]string{
	Metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	Traces:  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	Logs:    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

// rejected by signal: the JSON name of the count in partial_success.
var rejected = map[Signal]string{Metrics: "rejectedDataPoints", Traces: "rejectedSpans", Logs: "rejectedLogRecords"}

// Method is the full name of the signal's gRPC method.
func (s Signal) Method() string { return methods[s] }

// Request is the body of an Export…ServiceRequest, decompressed.
type Request struct {
	Body []byte // the Exporter's own once it is called
	JSON bool   // OTLP's JSON form; else protobuf
}

// Partial says what of a request was refused. The zero value is a full success.
type Partial struct {
	Rejected int64  // data points or spans; these are not to be sent again
	Message  string // why, for people; may stand without Rejected as a warning
}

// Exporter takes the requests of one signal. It returns when everything it did
// not refuse is durable. An error concerns the whole request: nothing was taken.
// It is safe for use by several goroutines.
type Exporter interface {
	Export(ctx context.Context, scope door.Scope, req Request) (Partial, error)
}

// ExporterFunc is a function as Exporter.
type ExporterFunc func(ctx context.Context, scope door.Scope, req Request) (Partial, error)

// Export calls f.
func (f ExporterFunc) Export(ctx context.Context, scope door.Scope, req Request) (Partial, error) {
	return f(ctx, scope, req)
}

// Door hands the requests of one signal to its Exporter.
type Door struct {
	Signal Signal
	To     Exporter // nil: nobody takes the signal, and the answer says so
	Limits Limits
}

// Limits bound a request; zero fields take the defaults.
type Limits struct {
	Body         int // bytes as received; default 16 MiB
	Decompressed int // bytes; default 64 MiB
}

// WithDefaults fills the fields that are zero.
func (l Limits) WithDefaults() Limits {
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	if l.Decompressed <= 0 {
		l.Decompressed = 64 << 20
	}
	return l
}

// scope is what the credential may write, and the tenant the request names.
func scope(p web.Principal, h http.Header) door.Scope {
	return door.Scope{Any: p.Any, Tenants: p.Tenants, OrgID: h.Get("X-Scope-OrgID"), Sender: p.Name}
}

func (d Door) export(ctx context.Context, p web.Principal, h http.Header, req Request) (Partial, error) {
	if d.To == nil {
		return Partial{}, problem.New(problem.NotFound, "this tocsin takes no %s", d.Signal).
			WithHint("take it out of the sender's pipelines")
	}
	return d.To.Export(ctx, scope(p, h), req)
}

// Call answers the signal's gRPC method. It is a web.Call.
func (d Door) Call(ctx context.Context, h http.Header, p web.Principal, in []byte) ([]byte, error) {
	part, err := d.export(ctx, p, h, Request{Body: in})
	if err != nil {
		return nil, err
	}
	return part.proto(), nil
}

// proto is the Export…ServiceResponse: its fields have the same numbers for
// every signal.
func (p Partial) proto() []byte {
	if p == (Partial{}) {
		return nil
	}
	var in []byte
	if p.Rejected != 0 {
		in = protowire.AppendVarint(protowire.AppendTag(in, 1, protowire.VarintType), uint64(p.Rejected))
	}
	if p.Message != "" {
		in = protowire.AppendString(protowire.AppendTag(in, 2, protowire.BytesType), p.Message)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), in)
}
