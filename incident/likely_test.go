package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func hardFault(id string) alert.Alert {
	a := fires("acme", sli.Slice{{Label: "country", Value: id}}, noon, 95, 100, 1)
	a.Evidence.Hard = true
	return a
}

// beside is an opening seconds after incident 11 called for another tenant.
func beside(now time.Time) incident.Opening {
	o := opening("x")
	o.Likely = &incident.Likely{Number: 11, CalledAt: now.Add(-6 * time.Second)}
	return o
}

func TestASecondPageWaitsForTheAlarmOverAllTenants(t *testing.T) {
	c := incident.Open(hardFault("DE"), beside(at(time.Minute)), at(time.Minute))
	require.Nil(t, c.Page)
	require.Contains(t, kinds(t, c), "likely")
	require.Equal(t, at(90*time.Second), *c.Incident.LikelyUntil)
	require.Equal(t, at(90*time.Second), c.Timers[len(c.Timers)-1].At)
	require.Nil(t, c.Incident.Likely, "it is of the moment")

	t.Run("it stays by itself", func(t *testing.T) {
		more := incident.WithAlert(c.Incident, hardFault("FR"), nil, "part", at(70*time.Second))
		require.Nil(t, more.Page)
		require.Nil(t, incident.Settled(more.Incident, at(89*time.Second)).Page)
		i := more.Incident
		i.Likely = &incident.Likely{Number: 14, CalledAt: at(75 * time.Second)}
		called := incident.Settled(i, at(90*time.Second))
		require.NotNil(t, called.Page, "it waits once")
		require.Equal(t, at(90*time.Second), *called.Incident.CalledAt)
		require.True(t, called.Page.Urgent)
	})
	t.Run("news come before the timer", func(t *testing.T) {
		require.NotNil(t, incident.WithAlert(c.Incident, hardFault("FR"), nil, "part", at(91*time.Second)).Page)
	})
	t.Run("it is part of the other", func(t *testing.T) {
		o := opening("first")
		o.Number = 11
		elder := incident.Open(hardFault("ES"), o, at(54*time.Second))
		require.NotNil(t, elder.Page)
		e, y, ok := incident.Merge(elder.Incident, c.Incident, "it fails over all tenants", at(70*time.Second))
		require.True(t, ok)
		require.Nil(t, e.Page)
		require.Zero(t, y.Timers[len(y.Timers)-1].At, "the timer is gone")
		require.Nil(t, incident.Settled(y.Incident, at(90*time.Second)).Page)
	})
	t.Run("another that nobody was called for takes it in", func(t *testing.T) {
		small := opening("small")
		small.Number, small.SettleFor = 10, time.Minute
		soft := fires("bolt", sli.Slice{{Label: "country", Value: "ES"}}, noon, 8, 60, 1)
		elder := incident.Open(soft, small, at(58*time.Second))
		require.Nil(t, elder.Page)
		e, _, ok := incident.Merge(elder.Incident, c.Incident, "they began together", at(70*time.Second))
		require.True(t, ok)
		require.Nil(t, e.Page, "to be merged is no reason to call")
		require.Equal(t, at(90*time.Second), *e.Incident.LikelyUntil)
		require.Equal(t, at(90*time.Second), e.Timers[len(e.Timers)-1].At)
		require.NotNil(t, incident.Settled(e.Incident, at(90*time.Second)).Page)
		e, _, ok = incident.Merge(elder.Incident, c.Incident, "they began together", at(95*time.Second))
		require.True(t, ok)
		require.NotNil(t, e.Page, "it has waited")
		ring := fires(tenant.Product, soft.Slice, noon, 95, 100, 1)
		all := incident.WithAlert(elder.Incident, ring, nil, "over all", at(59*time.Second))
		require.Nil(t, all.Page)
		e, _, ok = incident.Merge(all.Incident, c.Incident, "it fails over all tenants", at(70*time.Second))
		require.True(t, ok)
		require.NotNil(t, e.Page, "what rings over all waits for nothing")
		waits := elder.Incident
		waits.Likely = &incident.Likely{Number: 11, CalledAt: at(55 * time.Second)}
		y := c.Incident
		y.LikelyUntil, y.SettleUntil = nil, nil
		e, _, ok = incident.Merge(waits, y, "they began together", at(70*time.Second))
		require.True(t, ok)
		require.Nil(t, e.Page, "what makes it worth a call waits as well")
		require.Equal(t, at(100*time.Second), *e.Incident.LikelyUntil)
	})
	t.Run("somebody takes it", func(t *testing.T) {
		taken, _ := incident.Acknowledge(c.Incident, anna, "view", at(70*time.Second))
		require.Nil(t, incident.Settled(taken.Incident, at(90*time.Second)).Page)
	})
	t.Run("it comes back", func(t *testing.T) {
		gone := incident.WithAlert(c.Incident, over(hardFault("DE"), at(5*time.Minute)), nil, "", at(5*time.Minute))
		require.Equal(t, incident.StateResolved, gone.Incident.State)
		a := hardFault("DE")
		a.OnsetAt, a.AsOf = at(9*time.Minute), at(10*time.Minute)
		require.NotNil(t, incident.Reopen(gone.Incident, a, nil, "again", 0, at(10*time.Minute)).Page, "what is by itself does not wait")
	})
}

func TestWhatSettlesWaitsToo(t *testing.T) {
	soft := fires("acme", alpha, noon, 49, 100, 1)
	c := incident.Open(soft, opening("x"), at(time.Minute))
	require.Equal(t, at(90*time.Second), *c.Incident.SettleUntil)
	i := c.Incident
	i.Likely = &incident.Likely{Number: 11, CalledAt: at(80 * time.Second)}
	waits := incident.Settled(i, at(90*time.Second))
	require.Nil(t, waits.Page)
	require.Equal(t, []string{"likely"}, kinds(t, waits))
	require.Equal(t, at(120*time.Second), waits.Timers[len(waits.Timers)-1].At)
	require.NotNil(t, incident.Settled(waits.Incident, at(120*time.Second)).Page)

	// A settling time that is shorter does not cut it.
	o := beside(at(time.Minute))
	o.SettleFor = time.Second
	hard := incident.Open(hardFault("DE"), o, at(time.Minute))
	again := incident.WithAlert(hard.Incident, soft, nil, "part", at(62*time.Second))
	require.Equal(t, at(90*time.Second), *again.Incident.SettleUntil)
	require.Empty(t, again.Timers)
}

func TestAWarningDoesNotWaitForOthers(t *testing.T) {
	a := hardFault("DE")
	a.Severity = rule.Warning
	o := beside(at(time.Minute))
	o.WarningPages, o.SettleFor = true, -1
	c := incident.Open(a, o, at(time.Minute))
	require.NotNil(t, c.Page)
	require.Nil(t, c.Incident.LikelyUntil)
	a.Severity, a.AsOf = rule.Critical, at(2*time.Minute)
	i := c.Incident
	i.Likely = &incident.Likely{Number: 11, CalledAt: at(2 * time.Minute)}
	require.NotNil(t, incident.WithAlert(i, a, nil, "", at(2*time.Minute)).Page, "the team has a page of it already")
}
