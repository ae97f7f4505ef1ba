package backtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// hours are a chain whose time passes in windows.
type hours struct {
	*chain
	t   *testing.T
	now time.Time
}

func newHours(t *testing.T) *hours {
	p, err := profiles.Default()
	require.NoError(t, err)
	c := newChain(Options{Policy: p, Catalog: catalog.Default()})
	c.weigh = func(i incident.Incident, _ *alert.Alert, _ time.Time) incident.Incident { return i }
	return &hours{c, t, time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
}

// pass lets a window pass in which that is said.
func (h *hours) pass(as ...alert.Alert) {
	h.now = h.now.Add(window)
	h.take(as, h.now)
	h.due(h.now)
}

func (h *hours) until(d time.Duration) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.pass()
	}
}

// hard is a hard fault that fires in the next window.
func (h *hours) hard(id tenant.ID, label, value string) alert.Alert {
	at := h.now.Add(window)
	k := alert.Key{Environment: "production", Tenant: id, Service: "payments", Rule: "payment_errors", Slice: sli.Slice{{Label: label, Value: value}}}
	return alert.Alert{ID: k.ID(), Key: k, State: alert.Firing, Severity: rule.Critical, OnsetAt: at.Add(-30 * time.Second), StartsAt: at, AsOf: at,
		Evidence: alert.Evidence{N: 100, K: 90, Usual: 0.01, Score: 40, Needed: 12, Hard: true}, Reason: "90 of 100 failed"}
}

func (h *hours) over(a alert.Alert) alert.Alert {
	at := h.now.Add(window)
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &at, at
	return a
}

// calls lists when somebody was called.
func (h *hours) calls() (out []time.Time) {
	for _, l := range h.all() {
		if l.Pages {
			out = append(out, l.PagedAt)
		}
	}
	return out
}

func TestACallIsHeldAsLive(t *testing.T) {
	t.Run("what rings over all tenants in the same window takes the second in", func(t *testing.T) {
		h := newHours(t)
		h.pass(h.hard("acme", "country", "DE"), h.hard("bolt", "country", "FR"), h.hard(tenant.Product, "acquirer", "alpha"))
		at := h.now
		h.until(time.Minute)
		require.Equal(t, []time.Time{at.Add(2 * time.Second)}, h.calls())
	})
	t.Run("seconds later too", func(t *testing.T) {
		h := newHours(t)
		h.pass(h.hard("acme", "country", "DE"))
		h.until(10 * time.Second)
		h.pass(h.hard("bolt", "country", "FR"))
		h.until(15 * time.Second)
		h.pass(h.hard(tenant.Product, "acquirer", "alpha"))
		h.until(time.Minute)
		require.Len(t, h.calls(), 1)
	})
	t.Run("nothing does", func(t *testing.T) {
		h := newHours(t)
		h.pass(h.hard("acme", "country", "DE"), h.hard("bolt", "country", "FR"))
		at := h.now
		h.until(time.Minute)
		require.ElementsMatch(t, []time.Time{at.Add(2 * time.Second), at.Add(32 * time.Second)}, h.calls())
	})
}

func TestWhoIsCalledTakesIt(t *testing.T) {
	h := newHours(t)
	state := func() incident.State { return h.incidents["production"][0].State }
	a := h.hard("acme", "country", "DE")
	h.pass(a)
	h.until(takenAfter - window)
	require.Equal(t, incident.StateOpen, state())
	h.until(2 * window)
	require.Equal(t, incident.StateAcknowledged, state())
	h.pass(h.over(a))
	require.Equal(t, incident.StateResolved, state())
	h.until(time.Minute)

	back := h.hard("acme", "country", "DE")
	h.pass(back)
	require.Equal(t, incident.StateAcknowledged, state(), "it is theirs")
	h.until(4 * time.Minute)
	require.Len(t, h.calls(), 1)
	h.pass(h.over(back))
	h.until(time.Minute)
	stays := h.hard("acme", "country", "DE")
	h.pass(stays)
	h.until(6 * time.Minute)
	require.Len(t, h.calls(), 2, "what stays for five minutes calls again")
}

// TestACallIsAboutWhatTheIncidentIs: that its fault shows in another slice, with more
// evidence, makes the call about no other.
func TestACallIsAboutWhatTheIncidentIs(t *testing.T) {
	h := newHours(t)
	alpha, card := h.hard("acme", "acquirer", "alpha"), h.hard("acme", "method", "card")
	for _, a := range []*alert.Alert{&alpha, &card} {
		a.Evidence.Hard = false
	}
	card.Evidence.K, card.Evidence.Score = 40, 60
	h.pass(alpha, card)
	h.until(2 * time.Minute)
	require.Len(t, h.calls(), 1)
	for _, l := range h.all() {
		require.Equal(t, l.Slice["acquirer"] == "alpha", l.Pages, l.Slice)
	}
}

func TestAPictureShowsWhoIsWatched(t *testing.T) {
	c := NewCourse(newHours(t).o.Policy, "", time.Unix(0, 0), time.Unix(3600, 0))
	for _, id := range []string{"acme", "stranger", ""} {
		c.add(&drawn{tenant: id}, time.Unix(60, 0), 5)
	}
	c.Keep([]string{"acme", "bolt"})
	lanes := map[string]bool{}
	require.Equal(t, 1, Picture{Course: c}.volumes(func(id string) *dashboards.Lane { lanes[id] = true; return &dashboards.Lane{} }))
	require.False(t, lanes["stranger"])
}
