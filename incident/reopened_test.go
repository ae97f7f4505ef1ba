package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestWhatIsBackSpeaksOfWhatFiresNow: an outage of three tenants through alpha is over, and
// another rule of one of them fires again, in all its traffic.
func TestWhatIsBackSpeaksOfWhatFiresNow(t *testing.T) {
	other := func(id tenant.ID, onset time.Time, k, n float64) alert.Alert {
		a := fires(id, nil, onset, k, n, 1)
		a.Rule, a.RunbookURL = "challenges", "https://wiki.example.com/challenges"
		a.ID = a.Key.ID()
		return a
	}
	i := incident.Open(fires("acme", alpha, noon, 284, 311, 1), opening("in-1"), at(time.Minute)).Incident
	for _, a := range []alert.Alert{fires("bolt", alpha, noon, 140, 151, 1), fires("core", alpha, noon, 82, 90, 1), other("core", noon, 20, 22)} {
		i = incident.WithAlert(i, a, nil, "same time", at(2*time.Minute)).Incident
	}
	for n, a := range i.Alerts {
		when := at(time.Duration(5+n) * time.Minute)
		i = incident.WithAlert(i, over(a, when), nil, "part of it", when).Incident
	}
	require.Equal(t, incident.StateResolved, i.State)
	require.Contains(t, i.Title, "through acquirer alpha failed for 3 tenants")

	c := incident.Reopen(i, other("core", at(9*time.Minute), 221, 224), nil, "it fires again", 0, at(10*time.Minute))
	i = c.Incident
	require.Equal(t, "payments fail for core: 99% of attempts", i.Title)
	f := i.Facts()
	require.Equal(t, "221 of 224 attempts failed", f.Counted)
	require.Equal(t, []string{"core 221 of 224"}, f.Tenants)
	require.Equal(t, 1, f.TenantCount)
	require.Equal(t, at(9*time.Minute), f.Since)
	require.Equal(t, "https://wiki.example.com/challenges", f.Runbook)
	require.Empty(t, i.Slice)
	last := i.History[len(i.History)-1]
	require.Equal(t, []string{"slice", "acquirer=alpha", ""}, []string{last.Name, last.From, last.To})
	require.NotContains(t, i.Body(time.UTC), "alpha")
	require.Len(t, i.Tenants, 3, "who was in it still finds it")
	require.Equal(t, incident.Tenant{ID: "acme", K: 284, N: 311, Earlier: true}, i.Tenants[0])

	// Another tenant joins this opening, and stays in it when it is over there.
	next := fires("bolt", sli.Slice{}, at(9*time.Minute), 50, 60, 1)
	i = incident.WithAlert(i, next, nil, "same time", at(11*time.Minute)).Incident
	require.Contains(t, i.Title, "for 2 tenants")
	i = incident.WithAlert(i, over(next, at(12*time.Minute)), nil, "part of it", at(12*time.Minute)).Incident
	require.Equal(t, []string{"core 221 of 224", "bolt 50 of 60 (over)"}, i.Facts().Tenants)
}

// TestWhatIsBackHasNoRunbookOfWhatWasOver: where what fires now names none.
func TestWhatIsBackHasNoRunbookOfWhatWasOver(t *testing.T) {
	i := incident.Open(fires("acme", alpha, noon, 90, 100, 1), opening("in-1"), at(time.Minute)).Incident
	require.Equal(t, "https://wiki.example.com/errors", i.RunbookURL)
	i = incident.WithAlert(i, over(i.Alerts[0], at(5*time.Minute)), nil, "part of it", at(5*time.Minute)).Incident
	other := fires("acme", alpha, at(9*time.Minute), 20, 40, 1)
	other.Rule, other.RunbookURL = "by_query", ""
	other.ID = other.Key.ID()
	c := incident.Reopen(i, other, nil, "it fires again", 0, at(10*time.Minute))
	require.Empty(t, c.Incident.RunbookURL)
	require.Empty(t, c.Incident.Facts().Runbook)

	other.RunbookURL, other.AsOf = "https://wiki.example.com/queries", at(11*time.Minute)
	i = incident.WithAlert(c.Incident, other, nil, "part of it", at(11*time.Minute)).Incident
	require.Equal(t, other.RunbookURL, i.RunbookURL, "the next that is named counts")
}

// TestAnOldRingCountsNothingOfWhatIsBack: it rang over all tenants before, in the slice in
// which one of them fails again.
func TestAnOldRingCountsNothingOfWhatIsBack(t *testing.T) {
	ring := fires(tenant.Product, alpha, noon, 900, 1000, 0.4)
	ring.Evidence.Tenants = []tenant.ID{"acme", "bolt"}
	i := incident.Open(fires("acme", alpha, noon, 90, 100, 1), opening("in-1"), at(time.Minute)).Incident
	i = incident.WithAlert(i, ring, nil, "over all", at(2*time.Minute)).Incident
	for n, a := range i.Alerts {
		when := at(time.Duration(5+n) * time.Minute)
		i = incident.WithAlert(i, over(a, when), nil, "part of it", when).Incident
	}
	i = incident.Reopen(i, fires("acme", alpha, at(9*time.Minute), 20, 40, 1), nil, "it fires again", 0, at(10*time.Minute)).Incident
	n, k, _, _, pooled := i.Counts()
	require.Equal(t, []float64{40, 20}, []float64{n, k})
	require.False(t, pooled)
	require.Equal(t, []string{"acme 20 of 40"}, i.Facts().Tenants)
	require.Equal(t, "acquirer=alpha", i.Slice.Key())
}
