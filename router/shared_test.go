package router_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// bad is an alert of which k in a hundred fail.
func bad(t tenant.ID, s sli.Slice, onset time.Time, k float64) alert.Alert {
	a := fires(t, s, onset)
	a.Evidence = alert.Evidence{N: 100, K: k}
	return a
}

// desk keeps incidents as app does, merges included.
type desk struct {
	incidents []router.Candidate
	opened    int
}

func (d *desk) take(a alert.Alert, now time.Time) router.Decision {
	x := router.Route(d.incidents, a, now)
	k, n := a.Bad()
	at := slices.IndexFunc(d.incidents, func(c router.Candidate) bool { return c.Incident == x.Incident })
	if at < 0 {
		d.opened++
		d.incidents = append(d.incidents, router.Candidate{Incident: fmt.Sprintf("inc_%03d", d.opened), Service: a.Service, Slice: a.Slice, OnsetAt: a.OnsetAt, Open: true})
		at = len(d.incidents) - 1
	}
	into := &d.incidents[at]
	for _, id := range x.Merge {
		from := &d.incidents[slices.IndexFunc(d.incidents, func(c router.Candidate) bool { return c.Incident == id })]
		into.Alerts, into.Parts, into.Tenants = append(into.Alerts, from.Alerts...), append(into.Parts, from.Parts...), append(into.Tenants, from.Tenants...)
		from.Open = false
	}
	if len(x.Narrow) > 0 {
		into.Slice = x.Narrow
	}
	into.Alerts, into.Tenants = append(into.Alerts, a.ID), append(into.Tenants, a.Tenant)
	into.Parts = append(into.Parts, router.Part{Tenant: a.Tenant, Slice: a.Slice})
	if a.Tenant == tenant.Product {
		into.Rings = append(into.Rings, a.Slice)
	}
	if into.Slice.Equal(a.Slice) {
		into.Failing = k / n
	}
	return x
}

func (d *desk) open() (out []router.Candidate) {
	for _, c := range d.incidents {
		if c.Open {
			out = append(out, c)
		}
	}
	return out
}

// TestACountryThatIsDownIsOneIncident lets thirty tenants of a country, each with some
// of four acquirers, fail in no particular order, before and after it rings over all of
// them.
func TestACountryThatIsDownIsOneIncident(t *testing.T) {
	names := []string{"alpha", "beta", "gamma", "delta"}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		d := &desk{}
		es := by("country", "ES")
		at := func() time.Time { return noon.Add(time.Duration(r.IntN(60)) * time.Second) }
		tell := func(id tenant.ID) {
			of := []alert.Alert{bad(id, by("acquirer", names[r.IntN(4)]), at(), 70), bad(id, es, at(), 70), bad(id, by("method", "card"), at(), 70)}
			r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
			d.take(bad(id, sli.Slice{}, at(), 70), noon.Add(time.Minute)) // the total is told first, see evaluate
			for _, a := range of[:1+r.IntN(3)] {
				d.take(a, noon.Add(time.Minute))
			}
		}
		for i := range 15 {
			tell(tenant.ID(fmt.Sprintf("t%02d", i)))
		}
		d.take(bad(tenant.Product, es, at(), 69), noon.Add(time.Minute))
		for _, n := range names {
			d.take(bad(tenant.Product, by("acquirer", n), at(), 40), noon.Add(time.Minute))
		}
		for i := range 15 {
			tell(tenant.ID(fmt.Sprintf("u%02d", i)))
		}
		require.Len(t, d.open(), 1, "seed %d", seed)
		require.Equal(t, "country=ES", d.open()[0].Slice.Key(), "seed %d: what rings over all is what it is about", seed)
	}
}

func TestWhatFiredBeforeThePoolBecomesPartOfIt(t *testing.T) {
	alpha := by("acquirer", "alpha")
	before := []router.Candidate{
		{Incident: "inc_1", Service: "payments", Slice: by("method", "card"), OnsetAt: noon, Open: true, Tenants: []tenant.ID{"acme"}, Failing: .05},
		{Incident: "inc_2", Service: "payments", Slice: alpha, OnsetAt: noon.Add(time.Minute), Open: true, Tenants: []tenant.ID{"bolt"}, Failing: .9},
		{Incident: "inc_3", Service: "payments", Slice: by("method", "card"), OnsetAt: noon, Open: true, Tenants: []tenant.ID{"corp"}, Failing: .05, Taken: true},
		{Incident: "inc_4", Service: "payments", Slice: by("country", "DE"), OnsetAt: noon, Open: true, Tenants: []tenant.ID{"dune"}, Failing: .8},
		{Incident: "inc_5", Service: "payments", Slice: by("country", "FR"), OnsetAt: noon.Add(-10 * time.Minute), Open: true, Tenants: []tenant.ID{"echo"}, Failing: .05},
		{Incident: "inc_6", Service: "refunds", Slice: alpha, OnsetAt: noon, Open: true, Failing: .05},
	}
	pooled := bad(tenant.Product, alpha, noon.Add(30*time.Second), 6)
	d := router.Route(before, pooled, noon.Add(2*time.Minute))
	require.Equal(t, "inc_3", d.Incident, "whoever has it goes on: %s", d.Reason)
	require.Equal(t, []string{"inc_1", "inc_2"}, d.Merge, "not what is far worse, began long before, or is another service's")

	before[2].Taken, before[1].Called = false, true
	d = router.Route(before, pooled, noon.Add(2*time.Minute))
	require.Equal(t, "inc_2", d.Incident, "nobody is called twice")
	require.Equal(t, []string{"inc_1", "inc_3"}, d.Merge)

	before[1].Called = false
	d = router.Route(before, pooled, noon.Add(2*time.Minute))
	require.Equal(t, "inc_1", d.Incident, "else it is the eldest")
	require.Equal(t, "acquirer=alpha", d.Narrow.Key())
	require.Contains(t, d.Reason, "so the incident is about acquirer=alpha")
}

// TestWhoWasCalledForOneTenantHearsOfAll: somebody was called for one tenant; ten
// minutes later all are hit.
func TestWhoWasCalledForOneTenantHearsOfAll(t *testing.T) {
	one := router.Candidate{Incident: "inc_1", Service: "payments", Slice: by("acquirer", "alpha"), OnsetAt: noon, Open: true, Tenants: []tenant.ID{"acme"}, Failing: .9, Called: true}
	later := bad(tenant.Product, by("acquirer", "alpha"), noon.Add(10*time.Minute), 6)
	require.Empty(t, router.Route([]router.Candidate{one}, later, noon.Add(11*time.Minute)).Incident)
	later.OnsetAt = noon.Add(router.Together)
	require.Equal(t, "inc_1", router.Route([]router.Candidate{one}, later, noon.Add(11*time.Minute)).Incident)
}

// TestAThinTenantMayBeginEarly: one tenant's alert placed its onset five minutes before
// the fault that all share, those of others in the same incident did not.
func TestAThinTenantMayBeginEarly(t *testing.T) {
	one := router.Candidate{Incident: "inc_1", Service: "payments", OnsetAt: noon.Add(-5 * time.Minute), Open: true, Tenants: []tenant.ID{"acme", "bolt"}, Failing: .5,
		Parts: []router.Part{{Tenant: "acme", OnsetAt: noon.Add(-5 * time.Minute)}, {Tenant: "bolt", OnsetAt: noon}}}
	pooled := bad(tenant.Product, by("country", "DE"), noon, 70)
	route := func() string { return router.Route([]router.Candidate{one}, pooled, noon.Add(time.Minute)).Incident }
	require.Equal(t, "inc_1", route())
	one.Called, one.CalledAt = true, noon.Add(30*time.Second)
	require.Equal(t, "inc_1", route(), "who was called since it began knows of it")
	one.CalledAt = noon.Add(-time.Minute)
	require.Empty(t, route(), "who was called before knows of one tenant")
	one.Called, one.Parts = false, one.Parts[:1]
	require.Empty(t, route())
}

// TestATenantInTwoIncidentsMakesThemOne: what one tenant saw of a fault in an acquirer and
// another one in a country opened two incidents; a third tenant has both at once.
func TestATenantInTwoIncidentsMakesThemOne(t *testing.T) {
	delta, de := by("acquirer", "delta"), by("country", "DE")
	open := []router.Candidate{
		{Incident: "inc_1", Number: 1, Service: "payments", Slice: delta, OnsetAt: noon, Open: true, Tenants: []tenant.ID{"acme", "bolt"},
			Parts: []router.Part{{Tenant: "acme", Slice: delta, OnsetAt: noon}, {Tenant: "bolt", Slice: delta, OnsetAt: noon}}},
		{Incident: "inc_2", Number: 2, Service: "payments", Slice: de, OnsetAt: noon, Open: true, Tenants: []tenant.ID{"corp"}, Parts: []router.Part{{Tenant: "corp", Slice: de, OnsetAt: noon}}},
	}
	d := router.Route(open, bad("bolt", de, noon.Add(15*time.Second), 40), noon.Add(time.Minute))
	require.Equal(t, "inc_1", d.Incident, d.Reason)
	require.Equal(t, []string{"inc_2"}, d.Merge)
	require.Contains(t, d.Reason, "so that they are one")
	open[1].Taken = true
	d = router.Route(open, bad("bolt", de, noon.Add(15*time.Second), 40), noon.Add(time.Minute))
	require.Equal(t, "inc_2", d.Incident, "whoever has it goes on")
	open[1].Taken, open[1].OnsetAt = false, noon.Add(-10*time.Minute)
	require.Empty(t, router.Route(open, bad("bolt", de, noon.Add(15*time.Second), 40), noon.Add(time.Minute)).Merge, "what began before is another fault")
	require.Empty(t, router.Route(open[:1], bad("dune", delta, noon, 40), noon.Add(time.Minute)).Merge)
}

// TestAnotherTenantsTotalIsAnotherFault: five points more fail for one tenant, and nine
// minutes later another's traffic is lost. Who was called for the one knows nothing of the other.
func TestAnotherTenantsTotalIsAnotherFault(t *testing.T) {
	alpha := by("acquirer", "alpha")
	points := router.Candidate{Incident: "inc_1", Number: 1, Service: "payments", OnsetAt: noon, Open: true, Tenants: []tenant.ID{"acme"}, Called: true,
		Parts: []router.Part{{Tenant: "acme", OnsetAt: noon}, {Tenant: "acme", Slice: alpha, OnsetAt: noon}}}
	route := func(c []router.Candidate, s sli.Slice, after time.Duration) string {
		return router.Route(c, bad("bolt", s, noon.Add(after), 90), noon.Add(after+time.Minute)).Incident
	}
	open := []router.Candidate{points}
	require.Empty(t, route(open, sli.Slice{}, 9*time.Minute))
	require.Equal(t, "inc_1", route(open, sli.Slice{}, router.Together), "what began together may be one fault")
	require.Equal(t, "inc_1", route(open, alpha, 9*time.Minute), "an acquirer fails for both")
	lost := router.Candidate{Incident: "inc_2", Number: 2, Service: "payments", OnsetAt: noon.Add(9 * time.Minute), Open: true, Tenants: []tenant.ID{"bolt"},
		Parts: []router.Part{{Tenant: "bolt", OnsetAt: noon.Add(9 * time.Minute)}}}
	require.Equal(t, "inc_2", route(append(open, lost), alpha, 9*time.Minute), "it is bolt's traffic that is lost")
}

func TestWhileAPoolRings(t *testing.T) {
	alpha := by("acquirer", "alpha")
	pool := router.Candidate{Incident: "inc_1", Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{tenant.Product},
		Rings: []sli.Slice{alpha}, Parts: []router.Part{{Tenant: tenant.Product, Slice: alpha}}, Failing: .05}
	late := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		a    alert.Alert
		want string
	}{
		"its slice, whenever it began":          {bad("acme", alpha, noon.Add(-time.Hour), 90), "inc_1"},
		"diluted in another dimension":          {bad("acme", by("country", "DE"), late, 4), "inc_1"},
		"and over all tenants":                  {bad(tenant.Product, by("country", "DE"), late, 3), "inc_1"},
		"and in the total":                      {bad("acme", sli.Slice{}, late, 4), "inc_1"},
		"what is far worse has another cause":   {bad("acme", by("country", "DE"), late, 80), ""},
		"what began long before, too":           {bad("acme", by("country", "DE"), noon.Add(-time.Hour), 4), ""},
		"another acquirer shares nothing":       {bad("acme", by("acquirer", "beta"), late, 4), ""},
		"what cannot be told is not swallowed":  {fires("acme", by("country", "DE"), late), ""},
		"another acquirer over all, some later": {bad(tenant.Product, by("acquirer", "beta"), noon.Add(20*time.Minute), 4), ""},
	} {
		d := router.Route([]router.Candidate{pool}, c.a, late)
		require.Equal(t, c.want, d.Incident, "%s: %s", name, d.Reason)
		require.Empty(t, d.Narrow, name)
	}
}

// TestATenantsOwnFaultBesideOneOfAll: alpha is down for all, and ten minutes later beta is
// for one tenant. Its total is explained by alpha; that beta fails is not.
func TestATenantsOwnFaultBesideOneOfAll(t *testing.T) {
	alpha, beta := by("acquirer", "alpha"), by("acquirer", "beta")
	pool := router.Candidate{Incident: "inc_1", Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{"acme", tenant.Product},
		Rings: []sli.Slice{alpha}, Failing: .9, Called: true,
		Parts: []router.Part{{Tenant: tenant.Product, Slice: alpha, OnsetAt: noon}, {Tenant: "acme", OnsetAt: noon.Add(10 * time.Minute)}}}
	route := func(onset time.Time) router.Decision {
		return router.Route([]router.Candidate{pool}, bad("acme", beta, onset, 90), noon.Add(12*time.Minute))
	}
	require.Empty(t, route(noon.Add(10*time.Minute)).Incident, "whoever was called knows of alpha")
	require.Equal(t, "inc_1", route(noon.Add(router.Together)).Incident, "what began with it may be one fault, of a country")
	pool.Rings = append(pool.Rings, by("method", "card"))
	require.Empty(t, route(noon.Add(10*time.Minute)).Incident, "that alpha shows in a method explains nothing of beta")
	pool.Slice = by("country", "DE")
	require.Equal(t, "inc_1", route(noon.Add(10*time.Minute)).Incident, "a country that is down explains all acquirers")
	pool.Slice, pool.Rings = alpha, nil
	require.Equal(t, "inc_1", route(noon.Add(10*time.Minute)).Incident, "the tenant's own fault, nothing else")
}

// TestWhatRingsOverAllExplainsBeforeAnothersOwnFault: one tenant's traffic is lost while an
// acquirer leaks for all; what others see of the leak in their totals is the leak's.
func TestWhatRingsOverAllExplainsBeforeAnothersOwnFault(t *testing.T) {
	alpha, card := by("acquirer", "alpha"), by("method", "card")
	open := []router.Candidate{
		{Incident: "inc_1", Number: 1, Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{tenant.Product}, Rings: []sli.Slice{alpha},
			Parts: []router.Part{{Tenant: tenant.Product, Slice: alpha, OnsetAt: noon}}, Failing: .05},
		{Incident: "inc_2", Number: 2, Service: "payments", OnsetAt: noon.Add(time.Hour), Open: true, Tenants: []tenant.ID{"acme"}, Failing: .9,
			Parts: []router.Part{{Tenant: "acme", OnsetAt: noon.Add(time.Hour)}, {Tenant: "acme", Slice: card, OnsetAt: noon.Add(time.Hour)}}},
	}
	for _, s := range []sli.Slice{{}, card} {
		route := func(id tenant.ID, k float64) string {
			return router.Route(open, bad(id, s, noon.Add(62*time.Minute), k), noon.Add(70*time.Minute)).Incident
		}
		require.Equal(t, "inc_1", route("bolt", 6), s.Key())
		require.Equal(t, "inc_2", route("acme", 6), "it is the tenant's own: %s", s.Key())
		require.Equal(t, "inc_2", route("bolt", 60), "far worse than the leak: %s", s.Key())
	}
}

// TestOfAFewPaymentsAllMayFail: seven in ten fail for all, of a thin tenant all that there are.
func TestOfAFewPaymentsAllMayFail(t *testing.T) {
	alpha := by("acquirer", "alpha")
	pool := router.Candidate{Incident: "inc_1", Service: "payments", Slice: alpha, OnsetAt: noon, Open: true, Tenants: []tenant.ID{tenant.Product}, Rings: []sli.Slice{alpha}, Failing: .7}
	route := func(k, n float64) string {
		a := bad("acme", by("country", "DE"), noon.Add(30*time.Minute), k)
		a.Evidence.N = n
		return router.Route([]router.Candidate{pool}, a, noon.Add(time.Hour)).Incident
	}
	require.Equal(t, "inc_1", route(8, 8))
	require.Empty(t, route(800, 800))
}
