package router_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestATenantOfOneSliceDoesNotSayWhatAnIncidentIsAbout lets an acquirer fail for a large
// tenant that has two, and for a small one that has nothing else: whatever comes next, and
// however often, the incident stays about the acquirer.
func TestATenantOfOneSliceDoesNotSayWhatAnIncidentIsAbout(t *testing.T) {
	alpha, de, card := by("acquirer", "alpha"), by("country", "de"), by("method", "card")
	c := router.Candidate{Incident: "inc_1", Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{"big", "kiosk"}, Failing: 84. / 250, Events: 250,
		Parts: []router.Part{
			{Tenant: "big", Slice: alpha, OnsetAt: noon, Firing: true, K: 77, N: 236},
			{Tenant: "big", Slice: de, OnsetAt: noon, Firing: true, K: 33, N: 231},
			{Tenant: "big", Slice: card, OnsetAt: noon, Firing: true, K: 50, N: 269},
			{Tenant: "kiosk", Slice: alpha, OnsetAt: noon, Firing: true, K: 7, N: 14},
		}}
	news := []alert.Alert{fires("kiosk", de, noon), fires("kiosk", card, noon)}
	for n := range news {
		news[n].Evidence = alert.Evidence{N: 14, K: 7}
		d := router.Route([]router.Candidate{c}, news[n], noon.Add(time.Minute))
		require.Equal(t, "inc_1", d.Incident)
		require.Empty(t, d.Narrow, "of all that fails less does in %s: %s", news[n].Slice.Key(), d.Reason)
		c.Parts = append(c.Parts, router.Part{Tenant: "kiosk", Slice: news[n].Slice, OnsetAt: noon, Firing: true, K: 7, N: 14})
	}
	beta := fires("mid", by("acquirer", "beta"), noon)
	beta.Evidence = alert.Evidence{N: 30, K: 18}
	c.Slice, c.Tenants = card, append(c.Tenants, "mid")
	require.Empty(t, router.Route([]router.Candidate{c}, beta, noon.Add(time.Minute)).Narrow, "one tenant's few failures are not what fails most")
	again := fires("big", alpha, noon)
	again.Evidence = alert.Evidence{N: 300, K: 110}
	require.Equal(t, alpha, router.Route([]router.Candidate{c}, again, noon.Add(time.Minute)).Narrow, "more of the acquirer fails over all its tenants")
}

// TestAnAlarmOverAllThatIsDilutedDoesNotSayWhatIsBroken: one large tenant's acquirer fails,
// and some small ones'; over all it rings by method first, where a tenth fails.
func TestAnAlarmOverAllThatIsDilutedDoesNotSayWhatIsBroken(t *testing.T) {
	alpha, card := by("acquirer", "alpha"), by("method", "card")
	c := router.Candidate{Incident: "inc_1", Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{"big", "kiosk"}, Failing: .31, Events: 500,
		Parts: []router.Part{{Tenant: "big", Slice: alpha, OnsetAt: noon, Firing: true, K: 155, N: 500}}}
	pooled := fires(tenant.Product, card, noon)
	pooled.Evidence = alert.Evidence{N: 888, K: 87}
	take := func() router.Decision { return router.Route([]router.Candidate{c}, pooled, noon.Add(time.Minute)) }
	require.Equal(t, "inc_1", take().Incident)
	require.Empty(t, take().Narrow, take().Reason)
	c.Events = 10
	require.Equal(t, card, take().Narrow, "three failures of one are not what fails for all")
	c.Events, c.Failing = 500, .15
	require.Equal(t, card, take().Narrow, "as much of it fails")

	// What rang diluted does not keep it from what rings next.
	c.Failing, c.Rings = .31, []sli.Slice{card}
	c.Parts = append(c.Parts, router.Part{Tenant: tenant.Product, Slice: card, OnsetAt: noon, Firing: true, K: 87, N: 888})
	pooled = fires(tenant.Product, by("country", "de"), noon)
	pooled.Evidence = alert.Evidence{N: 900, K: 270}
	require.Equal(t, "country=de", take().Narrow.Key())
}
