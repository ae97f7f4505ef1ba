package app_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// collector takes traces over OTLP/gRPC.
type collector struct {
	collect.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string]*tracepb.Span // by id
}

func (c *collector) Export(_ context.Context, r *collect.ExportTraceServiceRequest) (*collect.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans[string(s.SpanId)] = s
			}
		}
	}
	return &collect.ExportTraceServiceResponse{}, nil
}

func collecting(t *testing.T) (*collector, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c, s := &collector{spans: map[string]*tracepb.Span{}}, grpc.NewServer()
	collect.RegisterTraceServiceServer(s, c)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return c, l.Addr().String()
}

// way is the names of a span and of those it follows from, the first one first.
func (c *collector) way(s *tracepb.Span) []string {
	var out []string
	for ; s != nil; s = c.spans[string(s.ParentSpanId)] {
		out = append(out, s.Name)
	}
	slices.Reverse(out)
	return out
}

// quarter is what a shop counts in a quarter of a minute, as a scrape sees it.
type quarter struct{ good, bad float64 }

func (q quarter) scrape(at time.Time, id string) []simulate.Sample {
	pairs := func(result string) []string {
		return []string{"tenant", id, "environment", "production", "cluster", "eu", "job", "gw", "instance", "gw-1", "acquirer", "alpha", "result", result}
	}
	return []simulate.Sample{series(at, q.good, counted, pairs("success")...), series(at, q.bad, counted, pairs("error")...)}
}

// TestOneTraceLeadsFromTheDoorToThePage: an acquirer fails; the page's trace holds
// every stage from the request that brought the samples on, in order, across the
// partitions of the tenant, the incidents and the channel.
func TestOneTraceLeadsFromTheDoorToThePage(t *testing.T) {
	c, endpoint := collecting(t)
	r := startWith(t, t.TempDir(), func(cfg *config.Config) {
		cfg.Tracing = config.Tracing{Endpoint: endpoint, Sample: 1, Insecure: true}
	})
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"timezone":"Asia/Tokyo","expected_tpm":240}`)

	var q quarter
	var history []simulate.Sample
	now := time.Now()
	for n := range 240 {
		q.good += 60
		history = append(history, q.scrape(now.Add(time.Duration(n-239)*15*time.Second), "acme")...)
	}
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", history...).Status)
	require.Eventually(t, func() bool { // an alert takes two steps of live samples
		q.bad += 20
		require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", q.scrape(time.Now(), "acme")...).Status)
		return strings.Contains(r.log.String(), "msg=page ")
	}, 90*time.Second, time.Second, "a page")
	require.NoError(t, r.Stop(context.Background())) // exports what is left
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]int{}
	for _, s := range c.spans {
		for _, a := range s.Attributes {
			require.NotContains(t, a.GetValue().String(), "acme", "no tenant is named in a trace")
		}
		if !strings.HasPrefix(s.Name, "deliver ") {
			continue
		}
		require.Equal(t, []string{"door request", "journal append", "hand on", "evaluate", "raise alert", "route", "incident", s.Name}, c.way(s))
		for _, a := range s.Attributes {
			if a.Key == "incident" {
				require.EqualValues(t, 1, a.Value.GetIntValue())
				found[s.Name]++
			}
		}
	}
	for _, name := range []string{"deliver ticket", "deliver picture", "deliver page"} {
		require.Positive(t, found[name], name)
	}
	require.NotContains(t, r.log.String(), "traces of tocsin itself are lost")
}

// TestACollectorThatIsAwayHoldsNothingUp: what it should have had is lost and said
// once; requests and the stop go on.
func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) {
		c.Tracing = config.Tracing{Endpoint: "http://127.0.0.1:1", Sample: 1}
	})
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	began := time.Now()
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", series(began, 1, counted, "tenant", "acme")).Status)
	require.NoError(t, r.Stop(context.Background()))
	require.Less(t, time.Since(began), 15*time.Second)
	require.Equal(t, 1, strings.Count(r.log.String(), "traces of tocsin itself are lost"))
}
