package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
)

// TestWhatIsNotJudgedAnyMoreIsNoRecovery: the ledger, the resolution and the ticket say
// which alerts ended because a person or a policy ended them.
func TestWhatIsNotJudgedAnyMoreIsNoRecovery(t *testing.T) {
	dropped := func(a alert.Alert, end time.Time, why string) alert.Alert {
		a = over(a, end)
		a.Dropped = why
		return a
	}
	two := func() incident.Incident {
		i := incident.Open(fires("acme", nil, noon, 49, 50, 1), opening("in-1"), at(time.Minute)).Incident
		return incident.WithAlert(i, fires("bolt", nil, noon, 49, 50, 1), nil, "same slice", at(2*time.Minute)).Incident
	}
	end := func(i incident.Incident, n int, why string) incident.Change {
		when := at(time.Duration(5+n) * time.Minute)
		return incident.WithAlert(i, dropped(i.Alerts[n], when, why), nil, "part of it", when)
	}
	note := func(i incident.Incident) string { return i.Notes[len(i.Notes)-1].Text }

	c := end(two(), 0, "the tenant opted out of payouts")
	require.Contains(t, c.Ledger[0].Reason, "not because it is over: it is no longer evaluated, because the tenant opted out of payouts; 1 still firing")
	require.Equal(t, incident.StateOpen, c.Incident.State)
	c = end(c.Incident, 1, "the tenant was removed")
	require.Equal(t, "all its alerts have ended, not because it is over: the tenant opted out of payouts; the tenant was removed", c.Incident.ResolutionReason)
	require.Equal(t, "Resolved: "+c.Incident.ResolutionReason+".", note(c.Incident))

	c = end(end(two(), 0, "the tenant opted out of payouts").Incident, 1, "")
	require.Equal(t, "all its alerts have ended, 1 of 2 not because it is over: the tenant opted out of payouts", c.Incident.ResolutionReason)

	// What was dropped in an earlier opening says nothing of this one.
	back := c.Incident.Alerts[1]
	back.State, back.EndsAt, back.AsOf, back.Evidence = alert.Firing, nil, at(8*time.Minute), alert.Evidence{K: 49, N: 50}
	c = incident.Reopen(c.Incident, back, nil, "it fires again", 0, at(8*time.Minute))
	c = end(c.Incident, 1, "")
	require.Equal(t, incident.StateOpen, c.Incident.State, "an end that is older than the alert is no news")
	c = incident.WithAlert(c.Incident, over(c.Incident.Alerts[1], at(9*time.Minute)), nil, "part of it", at(9*time.Minute))
	require.Equal(t, "all its alerts have ended", c.Incident.ResolutionReason)
}
