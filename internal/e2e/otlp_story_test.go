package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	api "go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// TestAFaultThatOnlyTheSDKTellsOpensOneIncident: an application with nothing but
// the OpenTelemetry SDK; one of its acquirers fails; the one incident names it.
func TestAFaultThatOnlyTheSDKTellsOpensOneIncident(t *testing.T) {
	long(t)
	d := install(t, nil)
	d.serveOTLP(t)
	d.start(t)
	d.raw(t, http.MethodPut, "/api/v1/tenants/acme", map[string]any{"name": "Acme Travel", "expected_tpm": 1200}, http.StatusCreated)
	exporter, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(d.otlp), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithHeaders(map[string]string{"Authorization": "Bearer " + d.sender(t)}))
	require.NoError(t, err)
	p := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(2*time.Second))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "payments"), attribute.String("tenant.id", "acme"))))
	t.Cleanup(func() { _ = p.Shutdown(t.Context()) }) // the daemon may be gone by then
	payments, err := p.Meter("shop").Int64Counter("payment.transactions", api.WithUnit("{transaction}"))
	require.NoError(t, err)
	pay := func(acquirer, result string, n int64) {
		payments.Add(t.Context(), n, api.WithAttributes(attribute.String("acquirer", acquirer), attribute.String("method", "card"), attribute.String("result", result)))
	}
	began := time.Now()
	broken := boundary(began.Add(45 * time.Second))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var found []incident
	for len(found) == 0 {
		select {
		case now := <-tick.C:
			require.Less(t, time.Since(broken), 90*time.Second, "an incident within a minute and a half")
			pay("beta", "success", 1)
			if now.Before(broken) {
				pay("alpha", "success", 1)
			} else {
				pay("alpha", "error", 1)
			}
			if now.After(broken) && now.UnixMilli()/100%10 == 0 {
				found = list[incident](t, d, "/api/v1/incidents")
			}
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	t.Logf("the incident came %.0f s after alpha broke: %s", time.Since(broken).Seconds(), found[0].Title)
	require.Equal(t, map[string]string{"acquirer": "alpha"}, found[0].Slice)
	require.Len(t, found[0].Tenants, 1)
	require.Equal(t, "acme", found[0].Tenants[0].ID)
	eventually(t, 20*time.Second, "its ticket", func(c *assert.CollectT) {
		got := list[incident](c, d, "/api/v1/incidents")
		require.Len(c, got, 1, "one fault is one incident")
		require.NotEmpty(c, got[0].Ticket.Ref.ID)
	})
}
