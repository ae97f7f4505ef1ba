package selfobs

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Collector is where tocsin's own traces go.
type Collector struct {
	// Endpoint is host:port for OTLP over gRPC, or an http or https address for OTLP
	// over HTTP.
	Endpoint string
	Sample   float64 // part of the requests that are traced, 0 to 1
	Insecure bool    // gRPC without TLS
	Version  string  // of tocsin
	Logger   *slog.Logger
}

// Tracer makes spans and exports them behind what it watches: a collector that is
// slow or away costs spans, never time. A nil Tracer makes none, at no cost.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

const exportTime = 5 * time.Second // for one export

// NewTracer connects lazily: a collector that is away is no error.
func NewTracer(ctx context.Context, c Collector) (*Tracer, error) {
	exporter, err := c.exporter(ctx)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "traces cannot be exported").WithHint("check tracing in tocsin.yaml")
	}
	about := resource.NewSchemaless(attribute.String("service.name", "tocsin"), attribute.String("service.version", c.Version))
	p := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithBatcher(&rarely{SpanExporter: exporter, log: c.Logger}, sdktrace.WithExportTimeout(exportTime)))
	return &Tracer{provider: p, tracer: p.Tracer("github.com/tocsin-alerting/tocsin")}, nil
}

func (c Collector) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if strings.Contains(c.Endpoint, "://") {
		u, err := url.Parse(c.Endpoint)
		if err != nil {
			return nil, problem.New(problem.Invalid, "the endpoint is not an address")
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(exportTime))
	}
	o := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(c.Endpoint), otlptracegrpc.WithTimeout(exportTime)}
	if c.Insecure {
		o = append(o, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.New(ctx, o...)
}

// Stop exports what is left, until ctx ends.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Start begins a span below ctx's.
func (t *Tracer) Start(ctx context.Context, name string, about ...attribute.KeyValue) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithAttributes(about...))
	return ctx, Span{s}
}

// After begins a span below one that another goroutine, process or life of this
// process made: cause is its W3C traceparent. Without one it begins a trace.
func (t *Tracer) After(cause, name string, began time.Time, about ...attribute.KeyValue) Span {
	if t == nil {
		return Span{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": cause})
	_, s := t.tracer.Start(ctx, name, trace.WithAttributes(about...), trace.WithTimestamp(began))
	return Span{s}
}

// Span is one stage on the way from a request to a page; the zero value is none.
type Span struct{ span trace.Span }

// Of is the span that ctx carries.
func Of(ctx context.Context) Span {
	if s := trace.SpanFromContext(ctx); s.SpanContext().IsValid() {
		return Span{s}
	}
	return Span{}
}

// On says whether there is a span.
func (s Span) On() bool { return s.span != nil }

// Traceparent names the span for what follows from it; empty: none.
func (s Span) Traceparent() string {
	if s.span == nil {
		return ""
	}
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.span), c)
	return c["traceparent"]
}

// Set says more about the stage.
func (s Span) Set(about ...attribute.KeyValue) {
	if s.span != nil {
		s.span.SetAttributes(about...)
	}
}

// Fail says what kind of error the stage ended with; its text may hold what does
// not belong into a trace.
func (s Span) Fail(err error) {
	if s.span != nil && err != nil {
		s.span.SetStatus(codes.Error, http.StatusText(problem.From(err).Kind.Status()))
	}
}

// End ends the stage.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// rarely logs that spans cannot be exported at most once in a while.
type rarely struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	mu   sync.Mutex
	said time.Time
}

const sayEvery = 10 * time.Minute

// ExportSpans implements sdktrace.SpanExporter.
func (r *rarely) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.said) >= sayEvery {
		r.said = now
		r.log.Warn("traces of tocsin itself are lost: the collector cannot be reached or refuses them", "error", err)
	}
	return nil // said already; the library would say it every time
}
