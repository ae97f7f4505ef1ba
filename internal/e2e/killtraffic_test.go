package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

var killTenants = []simulate.Tenant{
	killTenant("marigold", 200, killAcquirer, "beta"),
	killTenant("tidewater", 240, killAcquirer, "gamma"),
	killTenant("lumen", 160, killAcquirer, "beta"),
	killTenant("arcade", 120, "beta", "gamma"),
}

func killTenant(id string, tps float64, acquirers ...string) simulate.Tenant {
	t := simulate.Tenant{ID: id, Name: id, TPS: tps, Zone: "Europe/Berlin", Countries: []simulate.Share{{Name: "de", Weight: 1}}, Methods: []simulate.Share{{Name: "card", Weight: 1}}}
	for _, a := range acquirers {
		t.Acquirers = append(t.Acquirers, simulate.Share{Name: a, Weight: 1})
	}
	return t
}

func (s *killTale) onboard(t *testing.T) {
	s.from = time.Now().UTC().Truncate(time.Minute).Add(-killHistory)
	for _, tn := range killTenants {
		s.api.do(t, http.MethodPut, "/api/v1/tenants/"+tn.ID, map[string]any{"name": tn.Name, "timezone": tn.Zone, "expected_tpm": tn.TPS * 60, "onboarded_at": s.from.Format(time.RFC3339)}, nil)
	}
}

func (s *killTale) tenantsAreThere(t *testing.T) {
	t.Helper()
	for _, tn := range killTenants {
		var doc struct {
			Name    string
			Profile struct{ Rules []any }
		}
		s.api.do(t, http.MethodGet, "/api/v1/tenants/"+tn.ID, nil, &doc)
		require.Equal(t, tn.Name, doc.Name)
		require.NotEmpty(t, doc.Profile.Rules, "tenant %s has its profile", tn.ID)
	}
}

// history makes the gateway and sends what it did until now.
func (s *killTale) history(t *testing.T) {
	t.Helper()
	var token struct{ Token string }
	s.api.do(t, http.MethodPost, "/api/v1/tokens", map[string]any{"name": "gateway", "role": "sender", "tenants": []string{"*"}}, &token)
	s.sender = &simulate.RemoteWrite{URL: s.d.url() + "/api/v1/push", Token: token.Token, Version: 2, Client: &http.Client{Timeout: 10 * time.Second},
		// As a Prometheus would, but without its growing waits: they would hide what comes right after a start.
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(min(d, 100*time.Millisecond)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	g, err := simulate.New(simulate.Options{Seed: 7, Start: s.from, Tick: killScrape, Tenants: killTenants, Base: simulate.Rates{Error: .008, Declined: .07, Abandoned: .02}})
	require.NoError(t, err)
	s.gateway = g
	end := time.Now().UTC().Truncate(time.Minute)
	var batch []simulate.Sample
	for at := s.from.Add(time.Minute); !at.After(end); at = at.Add(time.Minute) {
		batch = append(batch, s.scrape(at)...)
		if s.born == nil {
			s.born = map[string]uint64{}
			for _, tn := range killTenants {
				s.born[tn.ID] = g.Total(tn.ID, "")
			}
		}
		if len(batch) > 4900 || at.Equal(end) {
			require.NoError(t, s.send(t.Context(), batch))
			batch = nil
		}
	}
	s.last = end
}

func (s *killTale) scrape(at time.Time) []simulate.Sample {
	var out []simulate.Sample
	for _, c := range s.gateway.Snapshot(at) {
		out = append(out, simulate.Sample{Labels: c.Labels, T: at, Value: c.Value, Start: c.Start})
	}
	return out
}

// send sends until it is acknowledged, the same body again and again, and notes
// what was.
func (s *killTale) send(ctx context.Context, batch []simulate.Sample) error {
	if err := s.sender.Send(ctx, batch); err != nil {
		return err
	}
	for _, x := range batch {
		key := x.Labels.String()
		v := s.truth[key]
		s.truth[key] = killTruth{v.samples + 1, v.sum + x.Value, x.Value}
	}
	s.last = batch[0].T
	return nil
}

// live goes on with a scrape every few seconds until ctx ends.
func (s *killTale) live(ctx context.Context) error {
	for at := s.last.Add(killScrape); ; at = at.Add(killScrape) {
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil
		}
		// What is begun is finished, so that the truth is what was acknowledged.
		if err := s.send(context.WithoutCancel(ctx), s.scrape(at)); err != nil {
			return err
		}
	}
}
