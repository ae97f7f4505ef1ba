package router_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/router"
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
		"the same tenant":                func(c, _ *router.Candidate) { c.Tenants = append(c.Tenants, "bolt") },
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
}
