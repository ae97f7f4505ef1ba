package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// flapped is an incident of tenants with so much of the volume that anna had at 12:01, that
// was over at 12:05 and is back at 12:10.
func flapped(t *testing.T, share float64, change func(incident.Incident) incident.Incident) incident.Change {
	t.Helper()
	a := total("t1")
	c := incident.Open(a, weighed("s", day, map[tenant.ID]incident.Stake{"t1": {Share: share}}), at(0))
	c, _ = incident.Acknowledge(c.Incident, anna, "page", at(time.Minute))
	i := incident.WithAlert(c.Incident, over(a, at(5*time.Minute)), nil, "", at(5*time.Minute)).Incident
	require.Equal(t, incident.StateResolved, i.State)
	a.AsOf = at(10 * time.Minute)
	return incident.Reopen(change(i), a, nil, "it fires again", 0, at(10*time.Minute))
}

func asItWas(i incident.Incident) incident.Incident { return i }

func TestWhatFlapsIsTheirsWhoHadIt(t *testing.T) {
	c := flapped(t, 0.5, asItWas)
	i := c.Incident
	require.Nil(t, c.Page)
	require.Equal(t, []string{"reopened", "held_again"}, kinds(t, c))
	require.Equal(t, "Anna Berg had it and has it again: nobody is called unless it still fires at 12:15:00 UTC and they have done nothing on it by then, or more is at stake than before", c.Ledger[1].Reason)
	require.Equal(t, incident.StateAcknowledged, i.State)
	require.Equal(t, itsm.Acknowledged, i.Ticket(incident.Links{}).State)
	require.Contains(t, i.Notes[len(i.Notes)-1].Text, "had it and has it again", "the ticket tells them")

	t.Run("a trace", func(t *testing.T) {
		traced := incident.Note(i, anna, "n", "the acquirer is at it", at(12*time.Minute))
		require.Nil(t, traced.Incident.Again)
		require.True(t, traced.Timers[0].At.IsZero(), "nothing is waited for")
		require.Nil(t, incident.Silent(traced.Incident, at(15*time.Minute)).Page)
		pressed, h := incident.Acknowledge(i, anna, "view", at(12*time.Minute))
		require.False(t, h.Taken)
		require.Nil(t, pressed.Incident.Again)
		require.True(t, pressed.Changed)
	})
	t.Run("none", func(t *testing.T) {
		called := incident.Silent(i, at(15*time.Minute))
		require.Equal(t, incident.StateOpen, called.Incident.State)
		require.Equal(t, "it fires again since 12:10 UTC, and Anna Berg, who had it before, left no trace on it since", called.Page.Reason)
		require.Nil(t, called.Incident.Again)
	})
	t.Run("over before", func(t *testing.T) {
		ended := incident.WithAlert(i, over(i.Alerts[0], at(11*time.Minute)), nil, "", at(11*time.Minute))
		require.Equal(t, incident.StateResolved, ended.Incident.State)
		require.Nil(t, incident.Silent(ended.Incident, at(15*time.Minute)).Page)
		back := total("t1")
		back.AsOf = at(14 * time.Minute)
		third := incident.Reopen(ended.Incident, back, nil, "it fires again", 0, at(14*time.Minute))
		require.Nil(t, third.Page)
		require.Equal(t, at(19*time.Minute), third.Incident.Again.Until, "each time anew")
	})
	t.Run("another takes it", func(t *testing.T) {
		taken, h := incident.Acknowledge(i, ben, "view", at(12*time.Minute))
		require.True(t, h.Taken)
		require.Equal(t, ben, taken.Incident.AcknowledgedBy)
		require.Nil(t, taken.Incident.Again)
	})
	t.Run("it grows", func(t *testing.T) {
		small := joins(i, total("t2"), day, incident.Stake{Share: 0.01}, at(11*time.Minute))
		require.Nil(t, small.Page, "no news to whoever has it")
		third := joins(small.Incident, total("t3"), day, incident.Stake{Share: 0.01}, at(12*time.Minute))
		require.Contains(t, third.Page.Reason, "3 tenants; before it was")
		more := joins(i, total("t2"), day, incident.Stake{Share: 0.4}, at(11*time.Minute))
		require.Equal(t, "it fires again, and Anna Berg had it before: more is at stake, 90% of all volume, 2 tenants; before it was 50% of all volume, 1 tenant", more.Page.Reason)
		require.Empty(t, more.Page.Except, "she is called too")
		require.Contains(t, kinds(t, more), "page_wanted")
	})
}

func TestWhatNobodyHasCallsAgain(t *testing.T) {
	c := flapped(t, 0.5, func(i incident.Incident) incident.Incident {
		i.ResolvedBy = anna
		return i
	})
	require.Equal(t, "opened/2", c.Page.Transition, "whoever resolved it has it no longer")
	require.Equal(t, incident.StateOpen, c.Incident.State)
	require.True(t, c.Incident.AcknowledgedBy.Zero())
}

func TestWhatCalledNobodyIsWaitedForByNobody(t *testing.T) {
	c := flapped(t, 0.0002, asItWas)
	require.Nil(t, c.Page)
	require.Empty(t, c.Timers)
	require.Equal(t, incident.StateAcknowledged, c.Incident.State)
	require.Nil(t, incident.Silent(c.Incident, at(time.Hour)).Page)
	more := joins(c.Incident, total("t2"), day, incident.Stake{Share: 0.4}, at(11*time.Minute))
	require.Contains(t, more.Page.Reason, "it is enough to call somebody for, which it was not before")
}
