package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// step is the length of what the detectors judge; faults begin and end at its
// boundaries.
const step = 15 * time.Second

func boundary(t time.Time) time.Time { return t.Add(step - time.Nanosecond).Truncate(step) }

// shops are n tenants that began a moment ago. Every other one sends half of its
// payments through alpha, the others do not use it.
func shops(n int) []simulate.Tenant {
	countries := []string{"de", "fr", "es", "gb", "pt"}
	out := make([]simulate.Tenant, n)
	for i := range out {
		acquirers := []simulate.Share{{Name: "alpha", Weight: 1}, {Name: "beta", Weight: 1}}
		if i%2 == 1 {
			acquirers = []simulate.Share{{Name: "beta", Weight: 1}, {Name: "gamma", Weight: 1}}
		}
		out[i] = simulate.Tenant{ID: fmt.Sprintf("shop-%02d", i+1), TPS: 16 + float64(i%7), Acquirers: acquirers,
			Methods: []simulate.Share{{Name: "card", Weight: 2}, {Name: "wallet", Weight: 1}}, Countries: []simulate.Share{{Name: countries[i%len(countries)], Weight: 1}}}
	}
	return out
}

func usesAlpha(t simulate.Tenant) bool {
	return slices.ContainsFunc(t.Acquirers, func(s simulate.Share) bool { return s.Name == "alpha" })
}

func newGateway(t *testing.T, tenants []simulate.Tenant) *simulate.Gateway {
	t.Helper()
	g, err := simulate.New(simulate.Options{Seed: 7, Start: time.Now().Add(-time.Second), Tenants: tenants})
	require.NoError(t, err)
	return g
}

func (d *daemon) onboard(t *testing.T, tenants []simulate.Tenant) {
	t.Helper()
	for _, s := range tenants {
		var countries, integrations []string
		for _, c := range s.Countries {
			countries = append(countries, c.Name)
		}
		for _, a := range s.Acquirers {
			integrations = append(integrations, a.Name)
		}
		d.raw(t, http.MethodPut, "/api/v1/tenants/"+s.ID, map[string]any{"name": s.ID, "services": []string{"payments"}, "countries": countries,
			"integrations": integrations, "timezone": "UTC", "currency": "EUR", "expected_tpm": 60 * s.TPS}, http.StatusCreated)
	}
}

// sendLive remote writes the gateway's counters every five seconds until the
// test ends.
func (d *daemon) sendLive(t *testing.T, g *simulate.Gateway) {
	t.Helper()
	w := simulate.RemoteWrite{URL: d.url + "/api/v1/push", Token: d.sender(t), Version: 2, Client: &http.Client{Timeout: 10 * time.Second}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Live(ctx, g, time.Now(), 5*time.Second, time.Now, nil) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// breakAlpha lets nearly every payment through alpha fail from the next step on.
func breakAlpha(t *testing.T, g *simulate.Gateway, after time.Time) (fault int, from time.Time) {
	t.Helper()
	from = boundary(after)
	fault, err := g.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: "alpha", From: from, Size: 0.97})
	require.NoError(t, err)
	return fault, from
}
