package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// shop is a gateway that is traced with the OpenTelemetry SDK and sends no metric:
// the service payments, which calls an acquirer for every payment.
type shop struct {
	tenant string
	tracer trace.Tracer
	down   atomic.Bool // acquirer alpha answers with errors
	paid   atomic.Int64
}

// pay makes one payment through the acquirer.
func (s *shop) pay(rng *rand.Rand, acquirer string) {
	now := time.Now()
	began := now.Add(-time.Duration(20+rng.IntN(60)) * time.Millisecond)
	own := trace.WithAttributes(attribute.String("tenant.id", s.tenant), attribute.String("payment.acquirer", acquirer), attribute.String("payment.method", "card"),
		attribute.String("customer.id", fmt.Sprintf("jo+%d@example.com", s.paid.Load())), attribute.String("card.number", "4111111111111111"))
	ctx, payment := s.tracer.Start(context.Background(), "POST /payments", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(began), own)
	_, call := s.tracer.Start(ctx, "authorise", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began.Add(time.Millisecond)), own,
		trace.WithAttributes(attribute.String("peer.service", acquirer)))
	if acquirer == "alpha" && s.down.Load() {
		call.SetStatus(codes.Error, "503")
		payment.SetStatus(codes.Error, "acquirer")
	}
	call.End(trace.WithTimestamp(now.Add(-time.Millisecond)))
	payment.End(trace.WithTimestamp(now))
	s.paid.Add(1)
}

// open lets the shop sell until the test ends: some payments a tick, half of them
// through alpha.
func (s *shop) open(t *testing.T, exporter sdktrace.SpanExporter) {
	t.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "payments"))))
	s.tracer = provider.Tracer("shop")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				s.pay(rng, "alpha")
				s.pay(rng, "beta")
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		require.NoError(t, provider.Shutdown(context.Background()))
	})
}

func grpcExporter(t *testing.T, d *daemon, token string) sdktrace.SpanExporter {
	t.Helper()
	e, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpoint(d.otlp), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"),
		otlptracegrpc.WithHeaders(map[string]string{"authorization": "Bearer " + token}))
	require.NoError(t, err)
	return e
}

func httpExporter(t *testing.T, d *daemon, token string) sdktrace.SpanExporter {
	t.Helper()
	e, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(d.url+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHeaders(map[string]string{"Authorization": "Bearer " + token}))
	require.NoError(t, err)
	return e
}

type spanIncident struct {
	ID     string
	Slice  map[string]string
	Alerts []struct {
		Tenant string
		Slice  map[string]string
		Reason string
		Traces []struct {
			ID  string `json:"trace_id"`
			Why string
		}
		Hop *struct{ Service, Kind string }
	}
}

// Two tenants that send spans and no metric, by both protocols; the acquirer of
// one of them fails. The incident names it, with traces to look at.
func TestSpansOnlyTenant(t *testing.T) {
	long(t)
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	for _, id := range []string{"shop-a", "shop-b"} {
		d.raw(t, http.MethodPut, "/api/v1/tenants/"+id, map[string]any{"services": []string{"payments"}, "expected_tpm": 1200}, http.StatusCreated)
	}
	a, b := &shop{tenant: "shop-a"}, &shop{tenant: "shop-b"}
	token := d.sender(t)
	a.open(t, grpcExporter(t, d, token))
	b.open(t, httpExporter(t, d, token))

	// What is counted, in PromQL: all that was paid, and nothing that must not be kept.
	eventually(t, 90*time.Second, "the series of spans", func(c *assert.CollectT) {
		got := d.query(c, `sum by (tenant) (traces_spanmetrics_calls_total{span_kind="server"})`, "tenant")
		require.Greater(c, got["shop-a"], 100.0)
		require.Greater(c, got["shop-b"], 100.0)
	})
	peers := d.query(t, `sum by (peer) (traces_spanmetrics_calls_total{span_kind="client",tenant="shop-a"})`, "peer")
	require.Contains(t, peers, "alpha")
	require.NotContains(t, string(d.raw(t, http.MethodGet, "/prometheus/api/v1/series?match[]=%7Bcollector=%22tocsin%22%7D", nil, http.StatusOK)), "4111")
	tail := d.query(t, `sum(traces_spanmetrics_duration_seconds_bucket{tenant="shop-a",span_kind="server",le="0.25"})`, "")
	all := d.query(t, `sum(traces_spanmetrics_calls_total{tenant="shop-a",span_kind="server"})`, "")
	require.InEpsilon(t, all[""], tail[""], .2, "none takes longer than 80 ms")

	status := get[struct {
		SLIs []struct {
			Name, Source  string
			RatePerMinute float64 `json:"rate_per_minute"`
		}
	}](t, d, "/api/v1/tenants/shop-a/status")
	i := slices.IndexFunc(status.SLIs, func(s struct {
		Name, Source  string
		RatePerMinute float64 `json:"rate_per_minute"`
	}) bool {
		return s.Name == "payments"
	})
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, "spans", status.SLIs[i].Source)
	require.InEpsilon(t, 1200, status.SLIs[i].RatePerMinute, .6, "its first step was short")

	a.down.Store(true)
	var found spanIncident
	eventually(t, 3*time.Minute, "an incident", func(c *assert.CollectT) {
		for _, in := range list[spanIncident](c, d, "/api/v1/incidents") {
			if in.Slice["acquirer"] == "alpha" {
				found = in
				return
			}
		}
		require.Fail(c, "none yet")
	})
	eventually(t, 90*time.Second, "the failing hop", func(c *assert.CollectT) {
		found = get[spanIncident](c, d, "/api/v1/incidents/"+found.ID)
		named := false
		for _, al := range found.Alerts {
			require.Equal(c, "shop-a", al.Tenant, "its neighbour is healthy")
			if al.Hop != nil && len(al.Traces) > 0 {
				named = true
				require.Equal(c, "alpha", al.Hop.Service)
				require.Equal(c, "peer", al.Hop.Kind)
				require.Contains(c, al.Reason, "fail at peer alpha")
				require.Len(c, al.Traces[0].ID, 32)
			}
		}
		require.True(c, named)
	})
	traces := get[struct {
		Traces []struct{ Why string }
		Hop    *struct{ Service string }
	}](t, d, "/api/v1/tenants/shop-a/traces?service=payments&slice=acquirer%3Dalpha")
	require.NotNil(t, traces.Hop)
	require.Equal(t, "alpha", traces.Hop.Service)
	raw := d.raw(t, http.MethodGet, "/api/v1/tenants/shop-a/traces", nil, http.StatusOK)
	require.NotContains(t, string(raw), "@example.com")
	require.True(t, json.Valid(raw))

	a.down.Store(false)
	eventually(t, 5*time.Minute, "the incident to be over", func(c *assert.CollectT) {
		got := get[struct{ State string }](c, d, "/api/v1/incidents/"+found.ID)
		require.Equal(c, "resolved", got.State)
	})
}

// telemetrygen sends traces of two spans each by both protocols and through the
// collector; each span is counted once, whose tenants nobody onboarded is listed.
func TestTelemetrygenAndTheCollectorSendTraces(t *testing.T) {
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	token := d.sender(t)
	c := peer.StartCollector(t, fmt.Sprintf(`
receivers:
  otlp: {protocols: {grpc: {endpoint: "${env:OTLP_ADDRESS}"}}}
processors:
  batch: {send_batch_size: 100, timeout: 200ms}
exporters:
  otlp:
    endpoint: %s
    tls: {insecure: true}
    headers: {Authorization: Bearer %s}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp]}
`, d.otlp, token))
	for i, args := range [][]string{{"--otlp-endpoint", d.otlp}, {"--otlp-http", "--otlp-endpoint", strings.TrimPrefix(d.url, "http://")}, {"--otlp-endpoint", c.Address}} {
		peer.Telemetrygen(t, append([]string{"traces", "--otlp-insecure", "--otlp-header", `authorization="Bearer ` + token + `"`, "--traces", "25", "--rate", "0", "--child-spans", "1",
			"--status-code", "Error", "--service", "payments", "--otlp-attributes", fmt.Sprintf(`tenant.id="gen-%d"`, i)}, args...)...)
	}
	eventually(t, 30*time.Second, "every span", func(ct *assert.CollectT) {
		accepted, _ := metric(ct, d.url, "tocsin_tracing_accepted_spans_total")
		require.Equal(ct, 3*25*2.0, accepted)
	})
	type list struct {
		Items []struct{ ID string }
	}
	require.Len(t, get[list](t, d, "/api/v1/unknown-tenants").Items, 3)
	eventually(t, 90*time.Second, "their series", func(ct *assert.CollectT) {
		got := d.query(ct, `sum by (tenant) (traces_spanmetrics_calls_total{span_kind="server"})`, "tenant")
		require.Equal(ct, map[string]float64{"gen-0": 25, "gen-1": 25, "gen-2": 25}, got)
	})
}
