package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestTheYoungerOfTwoIncidentsIsADuplicate(t *testing.T) {
	elder := incident.Open(fires("acme", alpha, noon, 5, 100, 1), opening("1"), at(0)).Incident
	o := opening("2")
	o.Number = 13
	younger := incident.Open(fires("bolt", sli.Slice{{Label: "method", Value: "card"}}, noon, 5, 100, 1), o, at(10*time.Second)).Incident
	require.NotNil(t, younger.SettleUntil, "it waits to page")

	e, y, ok := incident.Merge(elder, younger, "all tenants of acquirer alpha fail", at(20*time.Second))
	require.True(t, ok)
	require.Equal(t, []string{"merged", "no_page"}, kinds(t, e), "its own page waits already")
	require.Equal(t, []string{"duplicate"}, kinds(t, y))
	require.Len(t, e.Incident.Alerts, 2)
	require.Len(t, e.Incident.Tenants, 2)
	require.Nil(t, e.Page)
	require.Equal(t, incident.StateResolved, y.Incident.State)
	require.Contains(t, y.Incident.ResolutionReason, "duplicate of incident 12")
	require.Contains(t, y.Incident.Notes[len(y.Incident.Notes)-1].Text, "Closed as a duplicate of incident 12")
	require.True(t, y.Withdraw && y.Ticket && e.Ticket)
	require.Nil(t, y.Incident.SettleUntil)
	require.Zero(t, y.Timers[0].At, "the settling timer is removed")
	require.Len(t, younger.Alerts, 1, "the caller's values stay")
	require.Equal(t, incident.StateOpen, younger.State)

	paged := incident.Settled(e.Incident, at(time.Minute))
	require.NotNil(t, paged.Page, "one page for both")
	require.Equal(t, tenant.Product, paged.Page.Tenant)

	// A hard fault that comes by a merge does not wait for the elder's settling time.
	hard := fires("corp", alpha, noon, 95, 100, 1)
	hard.Evidence.Hard = true
	o.Number = 14
	o.NoPage = "somebody else looks"
	e, _, ok = incident.Merge(elder, incident.Open(hard, o, at(0)).Incident, "one fault", at(20*time.Second))
	require.True(t, ok)
	require.NotNil(t, e.Page)
	require.True(t, e.Page.Urgent)
}

func TestWhatIsNotMerged(t *testing.T) {
	open := incident.Open(fires("acme", alpha, noon, 5, 100, 1), opening("1"), at(0)).Incident
	other := incident.Open(fires("bolt", alpha, noon, 5, 100, 1), opening("2"), at(0)).Incident
	taken, _ := incident.Acknowledge(other, anna, "page", at(time.Minute))
	done := incident.Resolve(other, anna, "view", "", at(time.Minute)).Incident
	for name, pair := range map[string][2]incident.Incident{"a person has the younger": {open, taken.Incident}, "the younger is over": {open, done},
		"the elder is over": {done, open}, "both are the same": {open, open}} {
		e, y, ok := incident.Merge(pair[0], pair[1], "one fault", at(2*time.Minute))
		require.False(t, ok, name)
		require.False(t, e.Changed || y.Changed, name)
	}
	e, _, ok := incident.Merge(taken.Incident, open, "one fault", at(2*time.Minute))
	require.True(t, ok)
	require.Nil(t, e.Page, "who has the elder is not called again")
}
