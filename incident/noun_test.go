package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// counting is an alert of a rule that counts what the noun says.
func counting(id tenant.ID, noun string, kind rule.Kind, ev alert.Evidence) alert.Alert {
	a := seen(id, kind, rule.Critical, nil, ev)
	a.Rule, a.Noun = noun+"_"+string(kind), noun
	a.ID = a.Key.ID()
	return a
}

// TestAnIncidentIsAboutWhatItsAlertsCount: and about its service where they count several
// things.
func TestAnIncidentIsAboutWhatItsAlertsCount(t *testing.T) {
	late := noon.Add(10 * time.Minute)
	refunds := counting("acme", "refunds", rule.Errors, alert.Evidence{N: 50, K: 45, Usual: .01, Share: 1})
	i := incident.Open(refunds, opening("refunds"), late).Incident
	require.Equal(t, "refunds fail for acme: 90% of attempts", i.Title)
	require.Equal(t, "refunds", i.Things())

	missing := incident.Open(counting("acme", "payouts", rule.Traffic, alert.Evidence{N: 12, Expected: 240, Share: 1}), opening("payouts"), late).Incident
	require.Equal(t, "payouts are missing for acme: 12 instead of 240", missing.Title)
	require.Equal(t, "12 payouts in 10 minutes", missing.Facts().Counted)

	// What ends because its rule is gone comes without the noun.
	gone := over(refunds, noon.Add(20*time.Minute))
	gone.Noun, gone.Dropped = "", "the tenant opted out of refunds"
	require.Equal(t, "refunds failed for acme: 90% of attempts", incident.WithAlert(i, gone, nil, "part of it", noon.Add(20*time.Minute)).Incident.Title)

	another := counting("bolt", "", rule.Errors, alert.Evidence{N: 50, K: 45, Usual: .01, Share: 1})
	i = incident.WithAlert(i, another, nil, "at the same time", late).Incident
	require.Equal(t, "payments fail for 2 tenants: 90% of attempts", i.Title)

	// Of one tenant that which fails most speaks.
	more := counting("acme", "", rule.Errors, alert.Evidence{N: 900, K: 800, Usual: .01, Share: 1})
	i = incident.WithAlert(incident.Open(refunds, opening("more"), late).Incident, more, nil, "at the same time", late).Incident
	require.Equal(t, "payments fail for acme: 89% of attempts", i.Title)

	all := counting(tenant.Product, "refunds", rule.Errors, alert.Evidence{N: 500, K: 450, Usual: .01, Share: 1, Tenants: []tenant.ID{"acme", "bolt"}})
	i = incident.WithAlert(incident.Open(all, opening("all"), late).Incident, another, nil, "at the same time", late).Incident
	require.Equal(t, "refunds fail for 2 tenants: 90% of attempts", i.Title)
}
