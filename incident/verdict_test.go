package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
)

var ann = incident.Actor{Person: "ann", Name: "Ann Ode"}

// Whoever says that it was no fault has it: nobody else is called. What is real must still
// be had by somebody.
func TestAVerdictIsGivenOnceAndMayChange(t *testing.T) {
	open := incident.Open(fires("acme", alpha, noon, 5, 100, 1), opening("1"), at(0)).Incident
	c, said := incident.Judge(open, ann, "api", alert.VerdictReal, "", at(time.Minute))
	require.True(t, said)
	require.Equal(t, []string{"verdict"}, kinds(t, c))
	require.Equal(t, incident.StateOpen, c.Incident.State)
	require.True(t, c.Ticket)

	again, said := incident.Judge(c.Incident, ann, "view", alert.VerdictReal, "", at(2*time.Minute))
	require.False(t, said)
	require.Empty(t, again.Ledger)
	require.False(t, again.Changed)
	require.Equal(t, c.Incident, again.Incident)

	c, said = incident.Judge(c.Incident, ann, "view", alert.VerdictFalse, "late reports", at(3*time.Minute))
	require.True(t, said)
	require.Equal(t, []string{"acknowledged", "verdict"}, kinds(t, c))
	require.True(t, c.Withdraw, "nobody else is called")
	require.Equal(t, incident.StateAcknowledged, c.Incident.State)
	require.Equal(t, "Ann Ode says that it was a false alarm, not real as Ann Ode said: late reports", c.Ledger[1].Reason)
	require.Nil(t, open.Verdict, "the caller's value stays")

	joined := incident.WithAlert(c.Incident, fires("bolt", alpha, noon.Add(4*time.Minute), 5, 100, 1), nil, "same slice", at(5*time.Minute)).Incident
	_, said = incident.Judge(joined, ann, "api", alert.VerdictFalse, "", at(6*time.Minute))
	require.True(t, said, "of an alert that came since")

	over := incident.Resolve(joined, ann, "api", "", at(7*time.Minute)).Incident
	c, said = incident.Judge(over, ann, "api", alert.VerdictExpected, "", at(200*time.Hour))
	require.True(t, said)
	require.Equal(t, incident.StateResolved, c.Incident.State)
	require.Equal(t, []string{"verdict"}, kinds(t, c))
}

func TestATeamsRecord(t *testing.T) {
	called := func(v alert.Verdict, opened time.Duration) incident.Incident {
		i := incident.Incident{Team: "payments", OpenedAt: at(opened), Pages: []string{"pg"}}
		if v != "" {
			i.Verdict = &incident.Judgement{Verdict: v}
		}
		return i
	}
	list := []incident.Incident{called(alert.VerdictFalse, 0), called(alert.VerdictFalse, time.Hour), called(alert.VerdictReal, 0), called("", 0),
		called(alert.VerdictDuplicate, 0), called(alert.VerdictExpected, 0), called(alert.VerdictFalse, -time.Hour),
		{Team: "payments", OpenedAt: at(0), Paged: true, ResolutionReason: "duplicate of incident 7: all fail"},
		{Team: "payments", OpenedAt: at(0), Verdict: &incident.Judgement{Verdict: alert.VerdictFalse}}, // a ticket
		{Team: "fraud", OpenedAt: at(0), Paged: true}}
	r := incident.Recorded(list, "payments", at(0))
	require.Equal(t, incident.Record{Called: 7, False: 2, Real: 1, Expected: 1, Duplicate: 2, Unsaid: 1}, r)
	require.Equal(t, "called 7 time(s) in four weeks: by what people said 2 were false, where the budget allows for 8, 1 real, 1 expected, 2 part of another; of 1 nobody has said what it was", r.Words(8))
}

// Whoever reads the incidents of some weeks need not read those before.
func TestIdsSortByTheTimeOfOpening(t *testing.T) {
	for _, later := range []time.Duration{0, time.Millisecond, 400 * 24 * time.Hour} {
		require.Greater(t, incident.NewID(noon.Add(later), "x"), incident.Before(noon))
	}
	require.Less(t, incident.NewID(noon.Add(-time.Millisecond), "x"), incident.Before(noon))
}

// What a ticket's resolution says counts until a person says it here, and not for a life
// before the incident was reopened.
func TestATicketsResolutionIsAVerdict(t *testing.T) {
	open := incident.Open(fires("acme", alpha, noon, 5, 100, 1), opening("1"), at(0)).Incident
	seen := itsm.Observed{Key: string(open.ID), Ref: itsm.Ref{ID: "7", Number: "#7"}, Resolution: "Nothing found", Actor: "ann.ode", At: at(time.Minute)}

	held := incident.TicketObserved(open, seen, incident.Actor{}, at(time.Minute))
	require.Equal(t, incident.StateOpen, held.Incident.State, "only a field was filled in")

	c, said := incident.TicketJudged(open, seen, incident.Actor{}, alert.VerdictFalse, at(time.Minute))
	require.True(t, said)
	require.Equal(t, incident.StateAcknowledged, c.Incident.State, "nobody else is called for it")
	require.Equal(t, "ticket", c.Incident.Verdict.Via)
	require.Equal(t, `ann.ode says that it was a false alarm: ticket #7 is resolved as "Nothing found"`, c.Ledger[len(c.Ledger)-1].Reason)

	_, said = incident.TicketJudged(c.Incident, seen, incident.Actor{}, alert.VerdictFalse, at(2*time.Minute))
	require.False(t, said, "reported twice")

	seen.Resolution = "Repaired"
	c, said = incident.TicketJudged(c.Incident, seen, ann, alert.VerdictReal, at(3*time.Minute))
	require.True(t, said, "chosen anew")
	require.Equal(t, alert.VerdictReal, c.Incident.Verdict.Verdict)

	c, _ = incident.Judge(c.Incident, ann, "view", alert.VerdictExpected, "the load test", at(4*time.Minute))
	kept, said := incident.TicketJudged(c.Incident, seen, ann, alert.VerdictReal, at(5*time.Minute))
	require.False(t, said)
	require.Equal(t, c.Incident.Verdict, kept.Incident.Verdict)
	require.Equal(t, []string{"verdict_kept"}, kinds(t, kept))
	require.Equal(t, `the ticket says "Repaired", which means real; what Ann Ode said here stands: expected`, kept.Ledger[0].Reason)

	again := at(6 * time.Minute)
	reopened := open
	reopened.ReopenedAt = &again
	_, said = incident.TicketJudged(reopened, seen, ann, alert.VerdictReal, at(7*time.Minute))
	require.False(t, said, "it was about the life before")
}
