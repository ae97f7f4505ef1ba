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
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func by(label, value string) sli.Slice { return sli.Slice{{Label: label, Value: value}} }

func fires(t tenant.ID, s sli.Slice, onset time.Time) alert.Alert {
	k := alert.Key{Environment: "production", Tenant: t, Service: "payments", Rule: "errors", Slice: s}
	return alert.Alert{ID: k.ID(), Key: k, State: alert.Firing, OnsetAt: onset, StartsAt: onset.Add(time.Minute), AsOf: onset.Add(time.Minute)}
}

func open(id string, s sli.Slice, onset time.Time, alerts ...alert.ID) router.Candidate {
	return router.Candidate{Incident: id, Service: "payments", Slice: s, OnsetAt: onset, Open: true, Alerts: alerts}
}

func TestWhereAnAlertGoes(t *testing.T) {
	alpha, beta := by("acquirer", "alpha"), by("acquirer", "beta")
	a := fires("acme", alpha, noon)
	ended := a
	ended.State = alert.Resolved
	resolved := func(ago time.Duration, firing ...alert.ID) router.Candidate {
		c := open("old", alpha, noon.Add(-time.Hour), a.ID)
		c.Open, c.ResolvedAt, c.Firing = false, noon.Add(-ago), firing
		return c
	}
	other := open("x", alpha, noon)
	other.Service = "refunds"
	ringing := open("pool", alpha, noon.Add(-2*time.Hour))
	ringing.Rings = []sli.Slice{alpha}
	total := ringing
	total.Slice, total.Rings = sli.Slice{}, []sli.Slice{{}}
	for _, c := range []struct {
		name string
		open []router.Candidate
		a    alert.Alert
		want router.Decision
	}{
		{"nothing is open: a new one", nil, a, router.Decision{}},
		{"same slice, another tenant", []router.Candidate{open("i", alpha, noon.Add(-10*time.Minute))}, a, router.Decision{Incident: "i"}},
		{"onset exactly 15 min apart", []router.Candidate{open("i", alpha, noon.Add(15*time.Minute))}, a, router.Decision{Incident: "i"}},
		{"onset more than 15 min apart", []router.Candidate{open("i", alpha, noon.Add(-15*time.Minute-time.Second))}, a, router.Decision{}},
		{"another acquirer", []router.Candidate{open("i", beta, noon)}, a, router.Decision{}},
		{"another service", []router.Candidate{other}, a, router.Decision{}},
		{"the incident is above: it narrows", []router.Candidate{open("i", nil, noon)}, a, router.Decision{Incident: "i", Narrow: alpha}},
		{"the incident is below: it stays", []router.Candidate{open("i", alpha, noon)}, fires("acme", nil, noon), router.Decision{Incident: "i"}},
		{"the most specific wins", []router.Candidate{open("total", nil, noon.Add(-time.Minute)), open("alpha", alpha, noon)}, a, router.Decision{Incident: "alpha"}},
		{"then the elder", []router.Candidate{open("b", alpha, noon), open("a", alpha, noon.Add(time.Minute))}, a, router.Decision{Incident: "b"}},
		{"already in one: stays, whatever the onset", []router.Candidate{open("i", alpha, noon.Add(-5*time.Hour), a.ID), open("j", alpha, noon)}, a, router.Decision{Incident: "i"}},
		{"already in one and over: stays", []router.Candidate{open("i", alpha, noon, a.ID)}, ended, router.Decision{Incident: "i"}},
		{"over and in none: nothing", []router.Candidate{open("i", alpha, noon)}, ended, router.Decision{Ignore: true}},
		{"resolved a moment ago: reopened", []router.Candidate{resolved(14 * time.Minute)}, a, router.Decision{Incident: "old", Reopen: true}},
		{"resolved too long ago", []router.Candidate{resolved(15 * time.Minute)}, a, router.Decision{}},
		{"resolved by a person, same firing", []router.Candidate{resolved(time.Minute, a.ID)}, a, router.Decision{Incident: "old"}},
		{"over after a person resolved it", []router.Candidate{resolved(time.Minute, a.ID)}, ended, router.Decision{Incident: "old"}},
		{"one open explains it: no second incident is reopened", []router.Candidate{resolved(time.Minute), open("new", alpha, noon)}, a, router.Decision{Incident: "new"}},
		{"a pooled alarm rings: joins whatever the onset", []router.Candidate{ringing}, a, router.Decision{Incident: "pool"}},
		{"a pooled alarm of everything does not swallow the rest", []router.Candidate{total}, a, router.Decision{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := router.Route(c.open, c.a, noon)
			require.NotEmpty(t, got.Reason)
			got.Reason = ""
			require.Equal(t, c.want, got)
		})
	}
}

func TestTheReasonIsASentence(t *testing.T) {
	d := router.Route([]router.Candidate{open("i", nil, noon.Add(-90*time.Second))}, fires("acme", by("acquirer", "alpha"), noon), noon)
	require.Equal(t, "acquirer=alpha is part of all traffic, which the incident is about, and the onsets are 1 min 30 s apart; the incident narrows from all traffic to acquirer=alpha", d.Reason)
	d = router.Route(nil, fires("acme", by("acquirer", "alpha"), noon), noon)
	require.Equal(t, "no open incident of service payments explains acquirer=alpha with an onset within 15 min", d.Reason)
}

// world is what app keeps of incidents, reduced to what routing needs.
type world struct {
	incidents []router.Candidate
	firing    map[alert.ID]bool
	opened    int
}

func (w *world) apply(t *testing.T, a alert.Alert, now time.Time, r *rand.Rand) {
	before := slices.Clone(w.incidents)
	d := router.Route(w.incidents, a, now)
	require.Equal(t, before, w.incidents, "Route must leave its input alone")
	shuffled := slices.Clone(w.incidents)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	require.Equal(t, d, router.Route(shuffled, a, now), "the order of candidates must not matter")
	w.firing[a.ID] = a.State == alert.Firing
	if d.Ignore {
		require.Equal(t, alert.Resolved, a.State, "a firing alert is never ignored")
		return
	}
	at := slices.IndexFunc(w.incidents, func(c router.Candidate) bool { return c.Incident == d.Incident })
	if d.Incident == "" {
		w.opened++
		w.incidents = append(w.incidents, open(fmt.Sprintf("inc_%04d", w.opened), a.Slice, a.OnsetAt))
		at = len(w.incidents) - 1
	}
	require.GreaterOrEqual(t, at, 0, "a decision names one of the candidates")
	c := &w.incidents[at]
	require.Equal(t, d.Reopen, !c.Open && d.Reopen, "only what was over is reopened")
	if len(d.Narrow) > 0 {
		require.True(t, c.Slice.Covers(d.Narrow) && len(d.Narrow) > len(c.Slice))
		c.Slice = d.Narrow
	}
	c.Open = c.Open || d.Reopen
	if !slices.Contains(c.Alerts, a.ID) {
		c.Alerts = append(slices.Clone(c.Alerts), a.ID)
	}
	if c.Open && !slices.ContainsFunc(c.Alerts, func(id alert.ID) bool { return w.firing[id] }) {
		c.Open, c.ResolvedAt = false, now
	}
}

func TestAnAlertIsNeverInTwoOpenIncidents(t *testing.T) {
	slicesOf := []sli.Slice{nil, by("acquirer", "alpha"), by("acquirer", "beta"), by("method", "card"),
		{{Label: "acquirer", Value: "alpha"}, {Label: "method", Value: "card"}}}
	tenants := []tenant.ID{"a", "b", "c", tenant.Product}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := &world{firing: map[alert.ID]bool{}}
		now := noon
		for range 300 {
			now = now.Add(time.Duration(r.IntN(400)) * time.Second)
			a := fires(tenants[r.IntN(len(tenants))], slicesOf[r.IntN(len(slicesOf))], now.Add(-time.Duration(r.IntN(1200))*time.Second))
			if w.firing[a.ID] && r.IntN(3) > 0 {
				a.State = alert.Resolved
			}
			w.apply(t, a, now, r)
			held := map[alert.ID]string{}
			for _, c := range w.incidents {
				for _, id := range c.Alerts {
					if !c.Open {
						continue
					}
					require.Empty(t, held[id], "seed %d: %s is in %s and %s", seed, id, held[id], c.Incident)
					held[id] = c.Incident
				}
			}
			for id, firing := range w.firing {
				if firing {
					require.NotEmpty(t, held[id], "seed %d: %s fires and no open incident holds it", seed, id)
				}
			}
		}
		require.Greater(t, w.opened, 1, "seed %d exercised nothing", seed)
	}
}

func TestCrossingSlicesOfOneFaultAreOneIncident(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	slice := func(label, value string) sli.Slice { return sli.Slice{{Label: label, Value: value}} }
	open := []router.Candidate{{Incident: "inc_1", Service: "payments", Slice: slice("method", "card"), OnsetAt: at, Open: true, Tenants: []tenant.ID{"acme"}, Failing: 0.6}}
	fires := func(id tenant.ID, s sli.Slice, k float64) alert.Alert {
		key := alert.Key{Environment: "production", Tenant: id, Service: "payments", Rule: "payment_errors", Slice: s}
		return alert.Alert{ID: key.ID(), Key: key, State: alert.Firing, OnsetAt: at.Add(time.Minute), Evidence: alert.Evidence{N: 100, K: k}}
	}
	d := router.Route(open, fires("acme", slice("acquirer", "alpha"), 100), at)
	require.Equal(t, "inc_1", d.Incident, "an outage of the acquirer shows in the method: %s", d.Reason)
	require.Equal(t, "acquirer=alpha", d.Narrow.Key(), "it is about what fails most")
	d = router.Route(open, fires("acme", slice("acquirer", "alpha"), 65), at)
	require.Equal(t, "inc_1", d.Incident)
	require.Empty(t, d.Narrow)
	require.Empty(t, router.Route(open, fires("other", slice("acquirer", "alpha"), 100), at).Incident, "another tenant's traffic is not shared")
	require.Empty(t, router.Route(open, fires("acme", slice("method", "wallet"), 100), at).Incident, "two methods share no traffic")
	require.Equal(t, "inc_1", router.Route(open, fires(tenant.Product, slice("acquirer", "alpha"), 100), at).Incident)
	query := fires("acme", slice("queue", "sepa"), 0)
	query.Kind, query.Rule, query.Evidence = rule.PromQL, "settlement_queue", alert.Evidence{}
	d = router.Route(open, query, at)
	require.Equal(t, "inc_1", d.Incident)
	require.Equal(t, "settlement_queue fires for acme at the same time as method=card", d.Reason, "a queue is no part of what is counted")
}
