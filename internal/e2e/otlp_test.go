package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	api "go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// speakers are the SDK's exporters of metrics to a daemon: over gRPC and HTTP.
func speakers(t *testing.T, d *daemon, token string, choose sdk.TemporalitySelector) map[string]sdk.Exporter {
	t.Helper()
	headers := map[string]string{"Authorization": "Bearer " + token}
	g, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(d.otlp), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithHeaders(headers),
		otlpmetricgrpc.WithCompressor("gzip"), otlpmetricgrpc.WithTemporalitySelector(choose), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	require.NoError(t, err)
	h, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(d.url+"/otlp/v1/metrics"), otlpmetrichttp.WithHeaders(headers),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithTemporalitySelector(choose), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	require.NoError(t, err)
	return map[string]sdk.Exporter{"grpc": g, "http": h}
}

// service is an instrumented program of a tenant.
func service(t *testing.T, e sdk.Exporter, tenant string) (*sdk.MeterProvider, api.Meter) {
	t.Helper()
	exponential := sdk.NewView(sdk.Instrument{Name: "payment.wait"}, sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	p := sdk.NewMeterProvider(sdk.WithView(exponential), sdk.WithReader(sdk.NewPeriodicReader(e, sdk.WithInterval(time.Hour))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "payments"), attribute.String("tenant.id", tenant))))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Shutdown(ctx) // what it still sends at the end is nobody's question
	})
	return p, p.Meter("shop")
}

// complaints is what the SDK says of requests that were taken in part.
type complaints struct {
	mu   sync.Mutex
	text []string
}

func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, err.Error())
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.text, "\n")
}

// TestTheSDKSendsMetrics: an application with the OpenTelemetry SDK sends to
// tocsin with nothing between, and its tenant is evaluated.
func TestTheSDKSendsMetrics(t *testing.T) {
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	token := d.sender(t)
	for way, exporter := range speakers(t, d, token, sdk.DefaultTemporalitySelector) {
		tenant := "shop-" + way
		d.raw(t, http.MethodPut, "/api/v1/tenants/"+tenant, map[string]any{}, http.StatusCreated)
		p, meter := service(t, exporter, tenant)
		payments, err := meter.Int64Counter("payment.transactions", api.WithUnit("{transaction}"))
		require.NoError(t, err)
		took, err := meter.Float64Histogram("payment.duration", api.WithUnit("s"), api.WithExplicitBucketBoundaries(0.1, 0.5, 1))
		require.NoError(t, err)
		waited, err := meter.Float64Histogram("payment.wait", api.WithUnit("s"))
		require.NoError(t, err)
		for i := range 10 {
			ok := api.WithAttributes(attribute.String("result", "success"), attribute.String("acquirer", "alpha"))
			payments.Add(t.Context(), 1, ok)
			took.Record(t.Context(), 0.2, ok)
			waited.Record(t.Context(), float64(i)*0.1, ok)
		}
		require.NoError(t, p.ForceFlush(t.Context()), way)
		want := func(v float64, expr string) {
			t.Helper()
			require.Equal(t, map[string]float64{tenant: v}, d.query(t, expr, "tenant"), "%s: %s", way, expr)
		}
		from := `{tenant="` + tenant + `",service="payments",environment="production",job="payments"`
		want(10, `payment_transactions_total`+from+`,result="success"}`)
		want(0, `payment_duration_seconds_bucket`+from+`,le="0.1"}`)
		want(10, `payment_duration_seconds_bucket`+from+`,le="0.5"}`)
		want(10, `payment_duration_seconds_count`+from+`}`)
		want(10, `histogram_count(payment_wait_seconds`+from+`})`)
		want(6, `payment_wait_seconds_bucket`+from+`,le="0.5"}`)
		type status struct{ Series int }
		eventually(t, 20*time.Second, "the tenant to be evaluated", func(c *assert.CollectT) {
			require.GreaterOrEqual(c, get[status](c, d, "/api/v1/tenants/"+tenant+"/status").Series, 5, "the counter and the buckets")
		})
	}
}

// TestTheSDKIsToldWhatWasRefused: a wrong token, a foreign tenant, deltas.
func TestTheSDKIsToldWhatWasRefused(t *testing.T) {
	said := &complaints{}
	otel.SetErrorHandler(said)
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	flush := func(e sdk.Exporter, tenant string) string {
		p, meter := service(t, e, tenant)
		c, err := meter.Int64Counter("c")
		require.NoError(t, err)
		g, err := meter.Int64Gauge("g")
		require.NoError(t, err)
		c.Add(t.Context(), 1)
		g.Record(t.Context(), 1)
		text := ""
		if err := p.ForceFlush(t.Context()); err != nil {
			text = err.Error()
		}
		return text + said.String()
	}
	for _, e := range speakers(t, d, "tsn_123456789012_wrong", sdk.DefaultTemporalitySelector) {
		require.Contains(t, flush(e, "acme"), "the token is not known")
	}
	for way, e := range speakers(t, d, d.sender(t), func(sdk.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }) {
		require.Contains(t, flush(e, "delta-"+way), "delta temporality", way)
		require.Equal(t, map[string]float64{"delta-" + way: 1}, d.query(t, `g{tenant="delta-`+way+`"}`, "tenant"), "the gauge beside it is kept")
		require.Empty(t, d.query(t, `c_total{tenant="delta-`+way+`"}`, "tenant"))
	}
	refused, _ := metric(t, d.url, "tocsin_samples_refused_samples_total")
	require.Equal(t, 2.0, refused)
}

func TestTelemetrygenSendsMetrics(t *testing.T) {
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	token := d.sender(t)
	for i, args := range [][]string{{"--otlp-endpoint", d.otlp}, {"--otlp-http", "--otlp-endpoint", strings.TrimPrefix(d.url, "http://")}} {
		for _, kind := range []string{"Gauge", "Sum", "Histogram", "ExponentialHistogram"} {
			peer.Telemetrygen(t, append([]string{"metrics", "--otlp-insecure", "--otlp-header", `authorization="Bearer ` + token + `"`, "--metrics", "3", "--rate", "0",
				"--aggregation-temporality", "cumulative", "--metric-type", kind, "--otlp-metric-name", "gen." + strings.ToLower(kind),
				"--service", "payments", "--otlp-attributes", fmt.Sprintf(`tenant.id="gen-%d"`, i)}, args...)...)
		}
	}
	for _, expr := range []string{"gen_gauge", "gen_sum_total", "gen_histogram_count", "histogram_count(gen_exponentialhistogram)", `gen_exponentialhistogram_bucket{le="+Inf"}`} {
		got := d.query(t, expr, "tenant")
		require.Contains(t, got, "gen-0", expr)
		require.Contains(t, got, "gen-1", expr)
	}
	type list struct {
		Items []struct{ ID string }
	}
	require.Len(t, get[list](t, d, "/api/v1/unknown-tenants").Items, 2, "nobody onboarded them")
}

// TestTheCollectorWaitsAndLosesNothing: tocsin's journal is so small that it
// refuses for a while; the collector batches, is told to wait, sends again, and
// in the end every point is there once.
func TestTheCollectorWaitsAndLosesNothing(t *testing.T) {
	for _, way := range []string{"otlp", "otlphttp"} {
		t.Run(way, func(t *testing.T) {
			long(t)
			d := install(t, map[string]string{"tocsin.yaml": "limits: {journal_bytes: 40000}\n"})
			d.serveOTLP(t)
			d.start(t)
			exporter := fmt.Sprintf("endpoint: %s\n    tls: {insecure: true}", d.otlp)
			if way == "otlphttp" {
				exporter = "endpoint: " + d.url
			}
			c := peer.StartCollector(t, fmt.Sprintf(`
receivers:
  otlp: {protocols: {grpc: {endpoint: "${env:OTLP_ADDRESS}"}}}
processors:
  batch: {send_batch_size: 400, send_batch_max_size: 400, timeout: 200ms}
exporters:
  %s:
    %s
    headers: {Authorization: Bearer %s}
    retry_on_failure: {initial_interval: 500ms, max_interval: 5s, max_elapsed_time: 10m}
    sending_queue: {num_consumers: 2, queue_size: 1000}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], processors: [batch], exporters: [%s]}
`, way, exporter, d.sender(t), way))
			conn, err := grpc.NewClient(c.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close()) }()
			client := pmetricotlp.NewGRPCClient(conn)
			const rounds, series = 60, 100
			begin := time.Now().Add(-rounds * time.Second)
			for i := range rounds {
				_, err := client.Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(round(begin.Add(time.Duration(i)*time.Second), series, i)))
				require.NoError(t, err)
			}
			// What is sent takes 58 kB of the journal, which is trimmed once every
			// partition has written its state: within two minutes.
			eventually(t, 4*time.Minute, "every point, after the journal was trimmed", func(ct *assert.CollectT) {
				accepted, _ := metric(ct, d.url, "tocsin_samples_accepted_samples_total")
				require.Equal(ct, float64(rounds*series), accepted)
			})
			refused, _ := metric(t, d.url, `tocsin_samples_requests_total{outcome="failed"}`)
			require.Positive(t, refused, "tocsin was full for a while")
			got := d.query(t, "sum by (tenant) (count_over_time(n_total[5m]))", "tenant")
			require.Equal(t, map[string]float64{"acme": rounds * series}, got, "each point once")
			raw, err := os.ReadFile(c.Log)
			require.NoError(t, err)
			require.Contains(t, string(raw), "Will retry the request after interval", "the collector was told to wait")
			require.NotContains(t, string(raw), "Dropping data")
		})
	}
}

// round is one scrape of counters whose names compress badly.
func round(at time.Time, series, n int) pmetric.Metrics {
	m := pmetric.NewMetrics()
	rm := m.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("tenant.id", "acme")
	x := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	x.SetName("n")
	s := x.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i := range series {
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetIntValue(int64(n))
		p.Attributes().PutStr("id", fmt.Sprintf("%x", uint64(i+1)*0x9E3779B97F4A7C15))
	}
	return m
}
