package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/rule"
)

// hard is a fault that does not wait.
func hard() alert.Alert {
	a := fires("acme", alpha, noon, 50, 50, 1)
	a.Evidence.Hard = true
	return a
}

func warns() alert.Alert {
	a := hard()
	a.Severity, a.Rule = rule.Warning, "declines"
	a.ID = a.Key.ID()
	return a
}

func TestGivenBackItIsOpenAgainAndCallsOthers(t *testing.T) {
	c := incident.Open(hard(), opening("r"), at(time.Minute))
	require.True(t, c.Page.Urgent)
	_, ok := incident.Release(c.Incident, anna, "view", "", at(2*time.Minute))
	require.False(t, ok, "nobody has it")
	c, _ = incident.Acknowledge(c.Incident, anna, "page", at(3*time.Minute))
	require.Empty(t, c.Timers, "nothing watches for silence")
	c, ok = incident.Release(c.Incident, ben, "view", "Anna fell ill", at(4*time.Minute))
	require.True(t, ok && c.Ticket)
	require.Equal(t, []string{"released", "page_wanted"}, kinds(t, c))
	require.Equal(t, "opened/1/again/1", c.Page.Transition)
	require.Equal(t, anna.Person, c.Page.Except)
	require.Equal(t, "given back by Ben Ode (view): Anna fell ill", c.Page.Reason)
	i := c.Incident
	require.Equal(t, incident.StateOpen, i.State)
	require.Nil(t, i.AcknowledgedAt)
	i.Mirror.Observed = itsm.Acknowledged
	echo := incident.TicketObserved(i, itsm.Observed{Key: string(i.ID), State: itsm.Acknowledged, Owner: anna.ITSMUser, Actor: anna.ITSMUser, At: at(3 * time.Minute)}, anna, at(5*time.Minute))
	require.Equal(t, incident.StateOpen, echo.Incident.State, "her name on the ticket is no news")

	c, _ = incident.Acknowledge(i, ben, "page", at(6*time.Minute))
	c, _ = incident.Release(c.Incident, ben, "view", "", at(7*time.Minute))
	require.Equal(t, "opened/1/again/2", c.Page.Transition, "each time is another call")
}

func TestWhoFallsSilentIsNotWaitedForForEver(t *testing.T) {
	o := opening("s")
	o.SilentAfter = 30 * time.Minute
	c := incident.Open(hard(), o, at(0))
	c, _ = incident.Acknowledge(c.Incident, anna, "page", at(time.Minute))
	require.Len(t, c.Timers, 1)
	require.Equal(t, incident.SilentTimer, c.Timers[0].Kind)
	require.Equal(t, at(31*time.Minute), c.Timers[0].At)
	note := incident.Note(c.Incident, anna, "1", "rolling back", at(10*time.Minute))
	require.Equal(t, at(40*time.Minute), note.Timers[0].At, "a note is a trace")
	work := incident.TicketObserved(note.Incident, itsm.Observed{Key: string(c.Incident.ID), State: itsm.Acknowledged, Owner: anna.ITSMUser, Actor: anna.ITSMUser, At: at(12 * time.Minute)}, anna, at(12*time.Minute))
	require.Equal(t, at(42*time.Minute), work.Timers[len(work.Timers)-1].At, "work on the ticket too")
	other := incident.Note(c.Incident, ben, "2", "any news?", at(20*time.Minute))
	require.Equal(t, at(50*time.Minute), other.Timers[0].At, "so is somebody else's: they look after it together")

	s := incident.Silent(note.Incident, at(40*time.Minute))
	require.Equal(t, incident.StateOpen, s.Incident.State)
	require.Equal(t, "Anna Berg acknowledged it at 12:01 UTC and left no trace on it for 30m", s.Page.Reason)
	require.Equal(t, anna.Person, s.Page.Except)
	require.True(t, s.Timers[0].At.IsZero())
	require.Empty(t, incident.Silent(s.Incident, at(41*time.Minute)).Ledger, "nobody has it now")
	done := incident.WithAlert(note.Incident, over(hard(), at(15*time.Minute)), nil, "over", at(15*time.Minute))
	require.Equal(t, incident.StateResolved, done.Incident.State)
	require.Empty(t, incident.Silent(done.Incident, at(40*time.Minute)).Ledger)
	require.True(t, done.Timers[len(done.Timers)-1].At.IsZero(), "what is over is not watched")
}

func TestAWarningCallsOnlyWhereItMay(t *testing.T) {
	c := incident.Open(warns(), opening("w"), at(0))
	require.Equal(t, []string{"opened", "owner", "no_page"}, kinds(t, c))
	require.Contains(t, c.Ledger[2].Reason, "no working_hours")

	o := opening("w")
	o.WarningPages = true
	c = incident.Open(warns(), o, at(0))
	require.Equal(t, []string{"opened", "owner", "settling"}, kinds(t, c), "a warning is never a hard fault")
	require.Nil(t, incident.Settled(c.Incident, at(30*time.Second)).Page, "a warning does not hurry")
	c = incident.Settled(c.Incident, at(15*time.Minute))
	require.False(t, c.Page.Urgent)
	require.Equal(t, "opened/1", c.Page.Transition)
	require.Nil(t, incident.WithAlert(c.Incident, warns(), nil, "more", at(16*time.Minute)).Page, "once")
	c = incident.WithAlert(c.Incident, hard(), nil, "same slice", at(17*time.Minute))
	require.True(t, c.Page.Urgent, "what gets critical is another call")
	require.Equal(t, "opened/1/critical", c.Page.Transition)
	again := hard()
	again.Tenant = "bolt"
	again.ID = again.Key.ID()
	require.Nil(t, incident.WithAlert(c.Incident, again, nil, "same slice", at(18*time.Minute)).Page, "once")

	o.NoPage = "the policy does not list environment staging"
	c = incident.Open(warns(), o, at(0))
	require.Contains(t, c.Ledger[2].Reason, "staging")
}
