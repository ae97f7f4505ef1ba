package incident_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var (
	noon  = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	alpha = sli.Slice{{Label: "acquirer", Value: "alpha"}}
	anna  = incident.Actor{Person: "anna", Name: "Anna Berg", ITSMUser: "aberg"}
	ben   = incident.Actor{Person: "ben", Name: "Ben Ode", ITSMUser: "bode"}
)

func at(d time.Duration) time.Time { return noon.Add(d) }

func fires(t tenant.ID, s sli.Slice, onset time.Time, k, n, share float64) alert.Alert {
	key := alert.Key{Environment: "production", Tenant: t, Service: "payments", Rule: "errors", Slice: s}
	return alert.Alert{ID: key.ID(), Key: key, State: alert.Firing, Severity: rule.Critical, OnsetAt: onset, StartsAt: onset.Add(time.Minute),
		AsOf: onset.Add(time.Minute), RunbookURL: "https://wiki.example.com/errors", Reason: "many more fail than usual",
		Evidence: alert.Evidence{K: k, N: n, Usual: 0.01, Share: share}}
}

func over(a alert.Alert, end time.Time) alert.Alert {
	a.State, a.EndsAt, a.AsOf, a.Evidence = alert.Resolved, &end, end, alert.Evidence{}
	return a
}

func opening(seed string) incident.Opening {
	return incident.Opening{ID: incident.NewID(noon, seed), Number: 12, Team: "payments", OwnerReason: "team payments owns service payments",
		System: "rt", Live: true}
}

// kinds are the ledger's entries in order; every one must have a reason.
func kinds(t *testing.T, c incident.Change) []string {
	t.Helper()
	out := []string{}
	for _, e := range c.Ledger {
		require.Greater(t, len(e.Reason), 10, "entry %s says nothing", e.Kind)
		require.Equal(t, c.Incident.ID.Subject(), e.Subject)
		require.False(t, e.At.IsZero())
		require.NotEmpty(t, e.Actor)
		out = append(out, strings.TrimPrefix(e.Kind, "incident."))
	}
	return out
}

func TestAFaultIsPagedOnceAcknowledgedAndResolved(t *testing.T) {
	first := fires("acme", nil, noon, 49, 50, 1)
	c := incident.Open(first, opening("in-1"), at(time.Minute))
	i := c.Incident
	require.Equal(t, []string{"opened", "owner", "settling"}, kinds(t, c))
	require.True(t, c.Dashboard && c.Ticket && c.Changed)
	require.Nil(t, c.Page, "a fault that is not hard waits")
	require.Len(t, c.Timers, 1)
	require.Equal(t, at(90*time.Second), c.Timers[0].At)
	require.Equal(t, "payments fail for acme: 98% of attempts", i.Title)

	// The pooled alert is more specific: the incident narrows, nobody is paged for it.
	pooled := fires(tenant.Product, alpha, noon, 980, 1000, 0.41)
	pooled.Evidence.Tenants = []tenant.ID{"t1", "t2", "t3", "t4", "t5", "t6", "acme"}
	c = incident.WithAlert(i, pooled, alpha, "part of all traffic", at(70*time.Second))
	i = c.Incident
	require.Equal(t, []string{"narrowed", "joined"}, kinds(t, c))
	require.Equal(t, "it is about payments through acquirer alpha from now on, before: all payments; part of all traffic", c.Ledger[0].Reason)
	require.Contains(t, c.Ledger[1].Reason, "pages nobody")
	require.Equal(t, "payments through acquirer alpha fail for 7 tenants: 98% of attempts, 41% of all volume", i.Title)
	require.Equal(t, "acquirer=alpha", i.Slice.Key())
	require.Len(t, i.History, 1)

	require.Empty(t, incident.Settled(i, at(80*time.Second)).Ledger, "the timer rang too early")
	c = incident.Settled(i, at(90*time.Second))
	i = c.Incident
	require.NotNil(t, c.Page)
	require.Equal(t, "opened/1", c.Page.Transition)
	require.Equal(t, tenant.Product, c.Page.Tenant)
	require.True(t, c.Page.Live)
	require.Nil(t, incident.Settled(i, at(91*time.Second)).Page, "once per opening")

	c = incident.WithAlert(i, fires("t1", alpha, noon, 30, 30, 0.5), nil, "same slice", at(2*time.Minute))
	i = c.Incident
	require.Nil(t, c.Page)
	require.Contains(t, c.Ledger[0].Reason, "called already")

	c, h := incident.Acknowledge(i, anna, "page", at(3*time.Minute))
	i = c.Incident
	require.True(t, h.Taken && c.Withdraw && c.Ticket)
	require.Equal(t, incident.StateAcknowledged, i.State)
	again, h := incident.Acknowledge(i, anna, "page", at(4*time.Minute))
	require.Equal(t, "You have incident 12 since 12:03 UTC.", h.Text)
	require.False(t, again.Changed)
	other, h := incident.Acknowledge(i, ben, "view", at(5*time.Minute))
	require.Equal(t, "Anna Berg has incident 12 since 12:03 UTC.", h.Text)
	require.Equal(t, at(3*time.Minute), h.Since)
	require.Equal(t, []string{"acknowledged_again"}, kinds(t, other))
	require.Equal(t, anna, other.Incident.AcknowledgedBy)

	for n, a := range i.Alerts {
		c = incident.WithAlert(i, over(a, at(time.Duration(6+n)*time.Minute)), nil, "part of it", at(time.Duration(6+n)*time.Minute))
		i = c.Incident
		require.Equal(t, n == 2, i.State == incident.StateResolved)
	}
	require.True(t, c.Withdraw && c.Ticket)
	require.Equal(t, "all its alerts have ended", i.ResolutionReason)
	require.Equal(t, "payments through acquirer alpha failed for 7 tenants: 98% of attempts, 41% of all volume", i.Title)
	doc := i.Ticket(incident.Links{Incident: "https://tocsin.example.com/i/12"})
	require.Equal(t, itsm.Resolved, doc.State)
	require.Equal(t, "aberg", doc.Owner)
	require.Equal(t, i.Version, doc.Version)
	keys := []string{}
	for _, n := range doc.Notes {
		keys = append(keys, n.Key)
	}
	require.Equal(t, []string{"opened/1", "acknowledged/1", "resolved/1"}, keys)

	// It comes back: same number, whoever had it has it. It stays: a new call.
	back := i.Alerts[0]
	back.State, back.EndsAt, back.AsOf = alert.Firing, nil, at(12*time.Minute)
	c = incident.Reopen(i, back, nil, "it fires again", 0, at(12*time.Minute))
	i = c.Incident
	require.Equal(t, incident.StateAcknowledged, i.State)
	require.Equal(t, 12, i.Number)
	require.True(t, c.Dashboard && i.AcknowledgedBy.Same(anna) && c.Page == nil)
	require.Nil(t, incident.Silent(i, at(16*time.Minute)).Page, "not yet")
	c = incident.Silent(i, at(17*time.Minute))
	require.Equal(t, incident.StateOpen, c.Incident.State)
	require.Equal(t, "opened/2/again/1", c.Page.Transition)
	require.Empty(t, c.Page.Except, "anna is called: she was told that it was over")
}

func TestWhoIsPagedAndWhen(t *testing.T) {
	base := func(change func(*alert.Alert, *incident.Opening)) incident.Change {
		a, o := fires("acme", alpha, noon, 49, 50, 0.4), opening("x")
		change(&a, &o)
		return incident.Open(a, o, at(time.Minute))
	}
	for _, c := range []struct {
		name   string
		change func(*alert.Alert, *incident.Opening)
		page   bool
		settle bool
		reason string // in the last entry
	}{
		{"critical waits", func(*alert.Alert, *incident.Opening) {}, false, true, "waits 30 s"},
		{"hard does not", func(a *alert.Alert, _ *incident.Opening) { a.Evidence.Hard = true }, true, false, "does not wait"},
		{"no settling", func(_ *alert.Alert, o *incident.Opening) { o.SettleFor = -1 }, true, false, "no settling time"},
		{"warning", func(a *alert.Alert, _ *incident.Opening) { a.Severity, a.Evidence.Hard = rule.Warning, true }, false, false, "warning opens a ticket"},
		{"info", func(a *alert.Alert, _ *incident.Opening) { a.Severity = rule.Info }, false, false, "recorded"},
		{"backlog", func(a *alert.Alert, _ *incident.Opening) { a.Backlog, a.Evidence.Hard = true, true }, false, false, "backlog"},
		{"environment", func(_ *alert.Alert, o *incident.Opening) { o.NoPage = "environment staging may not page" }, false, false, "staging"},
		{"observed", func(a *alert.Alert, o *incident.Opening) { a.Evidence.Hard, o.Live = true, false }, true, false, "would page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := base(c.change)
			kinds(t, got)
			require.Equal(t, c.page, got.Page != nil)
			require.Equal(t, c.settle, len(got.Timers) == 1)
			require.Contains(t, got.Ledger[len(got.Ledger)-1].Reason, c.reason)
			require.Equal(t, c.name != "info", got.Ticket, "critical and warning open a ticket")
			if got.Page != nil {
				require.Equal(t, c.name != "observed", got.Page.Live)
				require.Equal(t, tenant.ID("acme"), got.Page.Tenant)
			}
		})
	}
}

func TestAFaultHiddenBehindAQuietOneIsStillPaged(t *testing.T) {
	for name, quiet := range map[string]func(*alert.Alert){
		"backlog": func(a *alert.Alert) { a.Backlog = true },
		"warning": func(a *alert.Alert) { a.Severity = rule.Warning },
	} {
		t.Run(name, func(t *testing.T) {
			a := fires("acme", alpha, noon, 5, 50, 0.4)
			quiet(&a)
			i := incident.Open(a, opening("x"), at(time.Minute)).Incident
			hard := fires("bravo", alpha, noon, 50, 50, 0.4)
			hard.Evidence.Hard = true
			c := incident.WithAlert(i, hard, nil, "same slice", at(2*time.Minute))
			require.NotNil(t, c.Page)
			require.Equal(t, rule.Critical, c.Incident.Severity)
		})
	}
}

func TestAHardFaultEndsTheWaiting(t *testing.T) {
	i := incident.Open(fires("acme", alpha, noon, 5, 50, 0.4), opening("x"), at(time.Minute)).Incident
	hard := fires("bravo", alpha, noon, 50, 50, 0.4)
	hard.Evidence.Hard = true
	c := incident.WithAlert(i, hard, nil, "same slice", at(70*time.Second))
	require.NotNil(t, c.Page)
	require.Len(t, c.Timers, 1)
	require.True(t, c.Timers[0].At.IsZero(), "the timer is removed")
	require.Nil(t, incident.Settled(c.Incident, at(2*time.Minute)).Page)
}

func TestNothingIsPagedThatEndsOrIsTakenWhileSettling(t *testing.T) {
	a := fires("acme", alpha, noon, 5, 50, 0.4)
	i := incident.Open(a, opening("x"), at(time.Minute)).Incident
	c := incident.WithAlert(i, over(a, at(70*time.Second)), nil, "part", at(70*time.Second))
	require.Contains(t, c.Ledger[len(c.Ledger)-1].Reason, "nobody had been paged")
	require.True(t, c.Timers[0].At.IsZero())
	require.Nil(t, incident.Settled(c.Incident, at(90*time.Second)).Page)
	require.Equal(t, 5.0, c.Incident.Alerts[0].Evidence.K, "how bad it was stays readable")
	c, _ = incident.Acknowledge(i, anna, "view", at(70*time.Second))
	require.Nil(t, incident.Settled(c.Incident, at(90*time.Second)).Page)
}

func TestReplayedNewsChangesNothing(t *testing.T) {
	a := fires("acme", alpha, noon, 5, 50, 0.4)
	i := incident.Open(a, opening("x"), at(time.Minute)).Incident
	before, err := json.Marshal(i)
	require.NoError(t, err)
	c := incident.WithAlert(i, a, nil, "part", at(time.Hour))
	require.False(t, c.Changed || c.Ticket)
	require.Empty(t, c.Ledger)
	_ = incident.WithAlert(i, fires("bravo", alpha, noon.Add(-time.Minute), 5, 50, 0.4), nil, "same", at(time.Hour))
	_, _ = incident.Acknowledge(i, anna, "view", at(time.Hour))
	after, err := json.Marshal(i)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after), "the caller's value is left alone")
	require.NotContains(t, string(after), ":null,\"tenants\"")
	var back incident.Incident
	require.NoError(t, json.Unmarshal(after, &back))
	require.Equal(t, i, back)
	require.Equal(t, incident.NewID(noon, "x"), i.ID)
	require.Regexp(t, `^inc_[0-9a-z]{26}$`, string(i.ID))
	require.NotEqual(t, i.ID, incident.NewID(noon, "y"))
}
