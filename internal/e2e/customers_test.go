package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// till is a shop that says with each payment whose it is: two a second succeed, and five
// a second fail while it is broken, of one customer or of as many.
type till struct {
	tenant string
	one    bool
	broken atomic.Bool
}

// serve lets tills sell through one exporter until the test ends.
func serve(t *testing.T, exporter sdktrace.SpanExporter, tills ...*till) {
	t.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "payments"))))
	tracer := provider.Tracer("till")
	pay := func(s *till, customer string, fails bool) {
		_, payment := tracer.Start(context.Background(), "POST /payments", trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("tenant.id", s.tenant), attribute.String("customer.id", customer)))
		if fails {
			payment.SetStatus(codes.Error, "acquirer")
		}
		payment.End()
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for _, s := range tills {
				if n%5 == 0 {
					pay(s, fmt.Sprintf("ok-%d@example.com", n), false)
				}
				if who := "jo@example.com"; n%2 == 0 && s.broken.Load() {
					if !s.one {
						who = fmt.Sprintf("no-%d@example.com", n)
					}
					pay(s, who, true)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(ctx) // the daemon may be gone
	})
}

// One customer whose payments fail again and again opens no incident, as many failures of
// as many customers do: before the daemon is killed and after.
func TestWhoseSpansFail(t *testing.T) {
	long(t)
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	solo, early, late := &till{tenant: "solo", one: true}, &till{tenant: "early"}, &till{tenant: "late"}
	for _, s := range []*till{solo, early, late} {
		d.raw(t, http.MethodPut, "/api/v1/tenants/"+s.tenant, map[string]any{"services": []string{"payments"}, "expected_tpm": 120}, http.StatusCreated)
	}
	serve(t, grpcExporter(t, d, d.sender(t)), solo, early, late)
	opened := func(c *assert.CollectT) map[string]string {
		out := map[string]string{}
		for _, in := range list[spanIncident](c, d, "/api/v1/incidents") {
			for _, a := range in.Alerts {
				out[a.Tenant] = a.Reason
			}
		}
		return out
	}
	type status struct {
		SLIs []struct {
			Name, Source string
			Customers    *struct {
				By       string
				ThisHour float64 `json:"this_hour"`
			}
		}
	}
	failed := func(c *assert.CollectT, id string) float64 {
		for _, s := range get[status](c, d, "/api/v1/tenants/"+id+"/status").SLIs {
			if s.Name == "payments" && s.Source == "spans" && s.Customers != nil {
				return s.Customers.ThisHour
			}
		}
		return 0
	}
	eventually(t, 60*time.Second, "payments by spans", func(c *assert.CollectT) {
		require.NotEmpty(c, d.query(c, `traces_spanmetrics_calls_total{tenant="late"}`, "tenant"))
	})
	solo.broken.Store(true)
	early.broken.Store(true)
	eventually(t, 3*time.Minute, "the shop of which everybody fails", func(c *assert.CollectT) { require.Contains(c, opened(c), "early") })
	eventually(t, 10*time.Second, "who fails", func(c *assert.CollectT) {
		require.Regexp(c, `; (about )?\d+ customers`, opened(c)["early"])
		require.Greater(c, failed(c, "early"), 20.)
		require.Equal(c, 1., failed(c, "solo"))
	})

	d.kill(t)
	d.start(t)
	late.broken.Store(true)
	eventually(t, 3*time.Minute, "the shop of which everybody fails after the kill", func(c *assert.CollectT) {
		require.Regexp(c, `; (about )?\d+ customers`, opened(c)["late"])
		require.LessOrEqual(c, failed(c, "solo"), 1., "nobody is new who was not")
	})
	eventually(t, 10*time.Second, "nothing of one who tries again", func(c *assert.CollectT) { require.NotContains(c, opened(c), "solo") })

	require.NoError(t, filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // it may be compacted away meanwhile
		}
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), "@example.com") {
			return fmt.Errorf("a customer's id stands in %s", path)
		}
		return nil
	}))
}
