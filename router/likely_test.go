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

// TestWhatCalledJustNowIsLikelyTheSame: two large tenants ring seconds before it rings
// over all of them, the one for a country and the other for another.
func TestWhatCalledJustNowIsLikelyTheSame(t *testing.T) {
	called := func(id string, of tenant.ID, number int, at time.Time) router.Candidate {
		return router.Candidate{Incident: id, Number: number, Service: "payments", Slice: by("country", "DE"), OnsetAt: noon, Open: true, Called: true, CalledAt: at, Tenants: []tenant.ID{of}}
	}
	mine := router.Candidate{Service: "payments", Slice: by("country", "FR"), OnsetAt: noon.Add(15 * time.Second), Open: true, Tenants: []tenant.ID{"bolt"}}
	now := noon.Add(50 * time.Second)
	first := called("inc_1", "acme", 1, noon.Add(40*time.Second))

	of, ok := router.Likely([]router.Candidate{called("inc_0", "corp", 3, noon.Add(20*time.Second)), first, called("inc_2", "dawn", 2, first.CalledAt)}, mine, now)
	require.True(t, ok)
	require.Equal(t, "inc_2", of.Incident, "the latest")

	for name, change := range map[string]func(c, mine *router.Candidate){
		"it called long ago":             func(c, _ *router.Candidate) { c.CalledAt = now.Add(-router.Fresh - time.Second) },
		"it called nobody":               func(c, _ *router.Candidate) { c.Called = false },
		"it is over":                     func(c, _ *router.Candidate) { c.Open = false },
		"another service":                func(c, _ *router.Candidate) { c.Service = "payouts" },
		"it began long before":           func(c, _ *router.Candidate) { c.OnsetAt = noon.Add(-router.Together) },
		"the same tenant":                func(c, _ *router.Candidate) { c.Tenants = []tenant.ID{"bolt"} },
		"a source that is silent":        func(c, _ *router.Candidate) { c.Source = true },
		"series that no longer arrive":   func(c, _ *router.Candidate) { c.Absent = true },
		"mine is about a source":         func(_, mine *router.Candidate) { mine.Source = true },
		"mine is about what is absent":   func(_, mine *router.Candidate) { mine.Absent = true },
		"mine is over all tenants":       func(_, mine *router.Candidate) { mine.Tenants = append(mine.Tenants, tenant.Product) },
		"it is the incident itself":      func(_, mine *router.Candidate) { mine.Incident = "inc_1" },
		"it will call, as another knows": func(c, _ *router.Candidate) { c.CalledAt = now.Add(time.Second) },
	} {
		c, m := first, mine
		c.Tenants, m.Tenants = append([]tenant.ID{}, c.Tenants...), append([]tenant.ID{}, m.Tenants...)
		change(&c, &m)
		_, ok := router.Likely([]router.Candidate{c}, m, now)
		require.False(t, ok, name)
	}

	first.Tenants = append(first.Tenants, "bolt") // its total is part of that already
	_, ok = router.Likely([]router.Candidate{first}, mine, now)
	require.True(t, ok, "another tenant has it too")
}

// TestAnotherDimensionOfWhatRingsIsNoOtherFault: an acquirer with a fifth of the traffic is
// slow since two hours. One tenant in ES has a fault of its own, and both together make it
// ring in ES over all tenants.
func TestAnotherDimensionOfWhatRingsIsNoOtherFault(t *testing.T) {
	now := noon.Add(2 * time.Hour)
	shared := router.Candidate{Incident: "shared", Number: 1, Service: "payments", Slice: by("acquirer", "alpha"), OnsetAt: noon, Open: true, Called: true, CalledAt: noon.Add(time.Minute),
		Taken: true, Failing: 0.5, Share: 0.2, Tenants: []tenant.ID{"acme", tenant.Product}, Rings: []sli.Slice{by("acquirer", "alpha"), by("country", "DE")},
		Parts: []router.Part{{Tenant: tenant.Product, Slice: by("acquirer", "alpha"), OnsetAt: noon, Firing: true}}}
	own := router.Candidate{Incident: "own", Number: 2, Service: "payments", Slice: by("acquirer", "beta"), OnsetAt: now, Open: true, Failing: 0.6, Tenants: []tenant.ID{"bolt"},
		Parts: []router.Part{{Tenant: "bolt", Slice: by("acquirer", "beta"), OnsetAt: now, Firing: true}, {Tenant: "bolt", Slice: by("country", "ES"), OnsetAt: now, Firing: true}}}
	es := bad(tenant.Product, by("country", "ES"), now.Add(time.Minute), 18)
	es.Evidence.Usual = 0.04
	route := func(own, shared router.Candidate) router.Decision {
		return router.Route([]router.Candidate{own, shared}, es, now.Add(5*time.Minute))
	}
	d := route(own, shared)
	require.Equal(t, "shared", d.Incident, d.Reason)
	require.Empty(t, d.Merge, "the tenant's own is far worse")

	called := own
	called.Called, called.CalledAt = true, now
	require.Equal(t, "own", route(called, shared).Incident, "somebody was called for that")
	small := shared
	small.Share = 0.05
	require.Equal(t, "own", route(own, small).Incident, "so little traffic cannot explain it")
	small.Share = 0
	require.Equal(t, "own", route(own, small).Incident, "nor can what is not known")
}

// TestWhatFiresAnewIsRoutedAnew: an incident is still open for what rings elsewhere in it,
// hours after an alert of it ended.
func TestWhatFiresAnewIsRoutedAnew(t *testing.T) {
	now := noon.Add(5 * time.Hour)
	a := bad(tenant.Product, by("acquirer", "alpha"), now.Add(-time.Minute), 70)
	old := router.Candidate{Incident: "old", Number: 1, Service: "payments", Slice: by("country", "FR"), OnsetAt: noon, Open: true, Called: true, CalledAt: noon,
		Alerts: []alert.ID{a.ID}, Ended: map[alert.ID]time.Time{a.ID: noon.Add(time.Hour)}, Tenants: []tenant.ID{"thin", tenant.Product},
		Parts: []router.Part{{Tenant: "thin", Slice: by("country", "FR"), OnsetAt: noon, Firing: true}, {Tenant: tenant.Product, Slice: by("acquirer", "alpha"), OnsetAt: noon}}}
	young := router.Candidate{Incident: "young", Number: 2, Service: "payments", Slice: by("acquirer", "alpha"), OnsetAt: now.Add(-time.Minute), Open: true, Failing: 0.7, Tenants: []tenant.ID{"acme"},
		Parts: []router.Part{{Tenant: "acme", Slice: by("acquirer", "alpha"), OnsetAt: now.Add(-time.Minute), Firing: true}}}

	require.Equal(t, "young", router.Route([]router.Candidate{old, young}, a, now).Incident)
	d := router.Route([]router.Candidate{old}, a, now)
	require.True(t, d.Incident == "" && !d.Ignore, "an incident of its own: %s", d.Reason)

	lately := old
	lately.Ended = map[alert.ID]time.Time{a.ID: now.Add(-10 * time.Minute)}
	require.Equal(t, "old", router.Route([]router.Candidate{lately, young}, a, now).Incident, "it flaps")
	rings := old
	rings.Parts = append([]router.Part{{Tenant: tenant.Product, Slice: by("country", "FR"), OnsetAt: noon, Firing: true}}, old.Parts...)
	require.Equal(t, "old", router.Route([]router.Candidate{rings, young}, a, now).Incident, "what shares its traffic rings there meanwhile")
	tenants := old
	tenants.Parts = append([]router.Part{{Tenant: "large", Slice: by("acquirer", "alpha"), OnsetAt: noon, Firing: true}}, old.Parts...)
	require.Equal(t, "old", router.Route([]router.Candidate{tenants}, a, now).Incident, "a large tenant's own goes on, and makes it ring over all again")
	unknown := old
	unknown.Ended = nil
	require.Equal(t, "old", router.Route([]router.Candidate{unknown, young}, a, now).Incident)

	// It is held by both now: the end, and what flaps after it, are news of the one in which it fired last.
	young.Alerts, young.Firing = []alert.ID{a.ID}, []alert.ID{a.ID}
	over := a
	over.State = alert.Resolved
	require.Equal(t, "young", router.Route([]router.Candidate{old, young}, over, now).Incident)
	young.Firing, young.Ended = nil, map[alert.ID]time.Time{a.ID: now}
	again := a
	again.OnsetAt = now.Add(time.Minute)
	require.Equal(t, "young", router.Route([]router.Candidate{old, young}, again, now.Add(5*time.Minute)).Incident)
}

// TestWhatFailsALittleMoreIsPartOfIt: an alarm over all tenants shows less at first than a
// tenant that rings a step later, and of few events more may fail by chance.
func TestWhatFailsALittleMoreIsPartOfIt(t *testing.T) {
	merges := func(failing, events float64) bool {
		first := router.Candidate{Incident: "first", Number: 1, Service: "payments", Slice: by("acquirer", "alpha"), OnsetAt: noon, Open: true, Called: true, CalledAt: noon, Failing: 0.8, Events: 500, Tenants: []tenant.ID{"acme"}}
		other := router.Candidate{Incident: "other", Number: 2, Service: "payments", Slice: by("country", "PL"), OnsetAt: noon, Open: true, Failing: failing, Events: events, Tenants: []tenant.ID{"bolt"}}
		d := router.Route([]router.Candidate{first, other}, bad(tenant.Product, by("acquirer", "alpha"), noon, 74), noon.Add(time.Minute))
		require.Equal(t, "first", d.Incident)
		return len(d.Merge) == 1
	}
	require.True(t, merges(0.87, 100_000))
	require.False(t, merges(0.96, 100_000), "a fault of its own besides")
	require.True(t, merges(1, 8), "by chance")
	require.False(t, merges(1, 0), "of how many is not known")
}
