package send

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestThePictureOfWhatIsBackIsOfWhatFiresNow: the fault before it was larger, over all
// tenants and in the incident's slice.
func TestThePictureOfWhatIsBackIsOfWhatFiresNow(t *testing.T) {
	back := time.Date(2026, 11, 26, 15, 31, 0, 0, time.UTC)
	ended := back.Add(-4 * time.Minute)
	alpha := sli.Slice{{Label: "acquirer", Value: "alpha"}}
	before := alert.Alert{ID: "alt_1", Key: alert.Key{Tenant: tenant.Product, Rule: "payment_errors", Slice: alpha}, State: alert.Resolved, EndsAt: &ended, Evidence: alert.Evidence{K: 900, N: 1000}}
	now := alert.Alert{ID: "alt_2", Key: alert.Key{Tenant: "beta", Rule: "challenge_errors"}, State: alert.Firing, Evidence: alert.Evidence{K: 221, N: 224}}
	i := incident.Incident{Slice: alpha, ReopenedAt: &back, Alerts: []alert.Alert{before, now}, Tenants: []incident.Tenant{{ID: "acme", Earlier: true}, {ID: "beta", Firing: true}}}

	lead, ok := Lead(i)
	require.True(t, ok)
	require.Equal(t, "challenge_errors", lead.Rule)
	require.Equal(t, tenant.ID("beta"), Whose(i))

	i.ReopenedAt = nil
	lead, _ = Lead(i)
	require.Equal(t, "payment_errors", lead.Rule, "in one opening the larger one speaks")
}
