package oncall_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/rota"
)

// book is a team of three: Ada and Bo change daily at noon in the first
// schedule, Cyd is alone in the second; teams is the text of the teams.
func book(t *testing.T, teams string) oncall.Book {
	t.Helper()
	c, err := catalog.Parse(catalog.File{Name: "c.yaml", Text: []byte(teams + `
people:
  - {id: ada, name: Ada, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, name: Bo, contacts: [{channel: mail, to: bo@example.com}]}
  - {id: cyd, name: Cyd, contacts: [{channel: mail, to: cyd@example.com}]}
  - {id: dee, name: Dee, contacts: [{channel: pigeon}]}
schedules:
  - {id: first, layers: [{start: 2026-03-02T12:00, unit: day, every: 1, members: [ada, bo]}]}
  - {id: second, layers: [{start: 2026-03-02T12:00, unit: day, every: 1, members: [cyd]}]}
  - {id: night, layers: [{start: 2026-03-02T12:00, unit: day, every: 1, members: [cyd], hours: [{from: "22:00", to: "06:00"}]}]}
`)})
	require.NoError(t, err)
	return oncall.Book{Roster: rota.Roster{Catalog: c}, Channels: servers, Live: true}
}

func urgent() oncall.Wanted {
	w := wanted()
	w.Urgent = true
	return w
}

// play takes every step as its timer says, nobody answering, and tells who is
// called when.
func play(t *testing.T, b oncall.Book, w oncall.Wanted, now time.Time) (calls []string, end oncall.Calls) {
	t.Helper()
	c := oncall.Begin(w, b, now)
	for n := 0; ; n++ {
		require.Less(t, n, 50, "an escalation ends")
		for _, p := range c.Pages {
			calls = append(calls, now.Format("15:04 ")+p.Page.PersonName)
		}
		if c.Escalation.NextAt.IsZero() {
			return calls, c
		}
		require.True(t, c.Escalation.NextAt.After(now))
		early := oncall.Escalate(c.Escalation, b, c.Escalation.NextAt.Add(-time.Second))
		require.False(t, early.Changed, "not before its time")
		now = c.Escalation.NextAt
		c = oncall.Escalate(c.Escalation, b, now)
	}
}

func TestWhoIsCalledWhen(t *testing.T) {
	for _, c := range []struct {
		name, teams string
		at          time.Time
		calls       string
		why         string // said in the end
	}{
		{"no steps", "teams: [{id: payments, schedule: first}]", noon, "12:00 Ada", "nobody is called after you"},
		{"steps by schedule and person", "teams: [{id: payments, schedule: first, escalation: [{after: 5m, schedule: second}, {after: 7m, person: bo}]}]", noon, "12:00 Ada, 12:05 Cyd, 12:12 Bo", "nobody is called after you"},
		{"a step that would be the same person", "teams: [{id: payments, schedule: first, escalation: [{after: 5m, schedule: first}, {after: 7m, person: bo}]}]", noon, "12:00 Ada, 12:05 Bo", "nobody is called after you"},
		{"a step whose schedule has nobody", "teams: [{id: payments, schedule: first, escalation: [{after: 5m, schedule: night}, {after: 7m, person: bo}]}]", noon, "12:00 Ada, 12:05 Bo", "nobody is called after you"},
		{"a handover between two rounds", "teams: [{id: payments, schedule: first, escalation: [{after: 10m, person: cyd}], escalation_rounds: 2}]", noon.Add(24*time.Hour - 15*time.Minute), "11:45 Ada, 11:55 Cyd, 12:05 Bo, 12:15 Cyd", "nobody is called after you"},
		{"a last resort without steps", "teams: [{id: payments, schedule: first, last_resort: {person: cyd}}]", noon, "12:00 Ada, 12:10 Cyd", "nobody is called after you"},
		{"another team as the last resort", "teams: [{id: payments, schedule: first, last_resort: {after: 3m, team: chiefs}}, {id: chiefs, schedule: second}]", noon, "12:00 Ada, 12:03 Cyd", "nobody is called after you"},
		{"the last resort may be called again", "teams: [{id: payments, schedule: first, escalation: [{after: 4m, person: bo}], last_resort: {person: bo}}]", noon, "12:00 Ada, 12:04 Bo, 12:08 Bo", "nobody is called after you"},
		{"somebody without a usable contact", "teams: [{id: payments, oncall: [dee], escalation: [{after: 5m, person: dee}], last_resort: {person: bo}}]", noon, "12:00 Dee, 12:00 Bo", "nobody is called after you"},
		{"nobody can be called at all", "teams: [{id: payments, oncall: [dee]}]", noon, "12:00 Dee", "everybody was asked"},
		{"a team that is not there any more", "teams: [{id: refunds, oncall: [ada]}]", noon, "", "everybody was asked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, end := play(t, book(t, c.teams), urgent(), c.at)
			require.Equal(t, c.calls, strings.Join(calls, ", "))
			require.Equal(t, c.why, end.Escalation.Why)
			keys := map[string]bool{}
			for _, a := range end.Escalation.Asked {
				require.False(t, a.Page != "" && keys[string(a.Page)], "a page goes once")
				keys[string(a.Page)] = true
			}
		})
	}
}

const pair = "teams: [{id: payments, schedule: first, escalation: [{after: 10m, person: bo}]}]"

func TestAPageThatCannotBeDeliveredTakesTheNextStep(t *testing.T) {
	b := book(t, pair)
	c := oncall.Begin(urgent(), b, noon)
	first := c.Pages[0].Page
	require.Equal(t, "Bo, step 2 of 2, is called when nobody acknowledges within 10 min", first.Place.Then)
	require.Len(t, c.Pages[0].Timers, 1)
	require.Equal(t, noon.Add(2*time.Minute), c.Pages[0].Timers[0].At)

	quiet := oncall.Undelivered(first, noon.Add(2*time.Minute))
	require.True(t, quiet.Page.Unreached)
	require.Equal(t, oncall.Pending, quiet.Page.State, "it is still tried")
	require.False(t, oncall.Undelivered(quiet.Page, noon.Add(4*time.Minute)).Changed, "said once")

	next := oncall.Unreached(c.Escalation, quiet.Page, b, noon.Add(2*time.Minute))
	require.Len(t, next.Pages, 1)
	require.Equal(t, "Bo", next.Pages[0].Page.PersonName)
	require.Equal(t, "could not be reached", next.Pages[0].Page.Place.Asked[0].Result)
	require.Equal(t, "nobody is called after you", next.Pages[0].Page.Place.Then)
	require.Equal(t, noon.Add(2*time.Minute+24*time.Hour), next.Pages[0].Page.NotAfter, "its time begins when it is made")
	require.Contains(t, next.Ledger[0].Reason, "step 2 of 2: Bo is called, because Ada could not be reached by mail")
	require.False(t, oncall.Unreached(next.Escalation, quiet.Page, b, noon.Add(3*time.Minute)).Changed, "an older page moves nothing")

	failed := oncall.Unreached(next.Escalation, next.Pages[0].Page, b, noon.Add(4*time.Minute))
	require.Equal(t, oncall.Through, failed.Escalation.Phase)
	require.Contains(t, failed.Nobody, "Bo could not be reached by mail; there is nobody left to call")
	require.True(t, failed.Timers[0].At.IsZero())

	sent := oncall.Outcome(first, oncall.Result{Key: first.Key, Sent: true}, noon)
	require.True(t, sent.Timers[0].At.IsZero(), "what was delivered waits no more")
}

func TestAnEndedEscalationCallsNobody(t *testing.T) {
	b := book(t, pair)
	c := oncall.Begin(urgent(), b, noon)
	over := oncall.End(c.Escalation, "the incident is acknowledged", noon.Add(time.Minute))
	require.Equal(t, oncall.Ended, over.Escalation.Phase)
	require.True(t, over.Timers[0].At.IsZero())
	require.False(t, oncall.End(over.Escalation, "again", noon).Changed)
	require.False(t, oncall.Escalate(over.Escalation, b, noon.Add(time.Hour)).Changed)
	require.False(t, oncall.Unreached(over.Escalation, c.Pages[0].Page, b, noon).Changed)
}

func TestWhoGaveItBackIsAskedLast(t *testing.T) {
	w := urgent()
	w.Except, w.Reason = "ada", "given back by Ada (view)"
	calls, _ := play(t, book(t, pair), w, noon)
	require.Equal(t, []string{"12:00 Bo"}, calls)
	calls, _ = play(t, book(t, "teams: [{id: payments, schedule: first}]"), w, noon)
	require.Equal(t, []string{"12:00 Ada"}, calls, "there is nobody else")
}

func TestAWarningCallsInTheWorkingHours(t *testing.T) {
	hours := "teams: [{id: payments, schedule: first, escalation: [{after: 10m, person: bo}], last_resort: {person: cyd}, working_hours: {time_zone: Europe/Berlin, hours: [{days: [mon, tue, wed, thu, fri], from: 09:00, to: 17:00}]}}]"
	b := book(t, hours)
	calls, _ := play(t, b, wanted(), noon)
	require.Equal(t, []string{"12:00 Ada"}, calls, "Monday noon; nobody else is asked")
	late := oncall.Begin(wanted(), b, time.Date(2026, 3, 6, 16, 0, 0, 0, time.UTC)) // Friday 17:00 in Berlin
	require.Equal(t, oncall.Waiting, late.Escalation.Phase)
	require.Equal(t, time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC), late.Escalation.NextAt.UTC())
	require.Equal(t, "severity warning calls only in the working hours of team payments (mon, tue, wed, thu, fri 09:00-17:00 Europe/Berlin): it waits until Mon 9 Mar, 09:00 CET (08:00 UTC)", late.Ledger[0].Reason)
	calls, end := play(t, b, wanted(), time.Date(2026, 3, 6, 16, 0, 0, 0, time.UTC))
	require.Equal(t, []string{"08:00 Ada"}, calls, "whoever is on call by then")
	require.Equal(t, time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC), end.Pages[0].Page.NotAfter, "it does not get too late while it waits")
	unreached := oncall.Unreached(end.Escalation, end.Pages[0].Page, b, time.Date(2026, 3, 9, 8, 5, 0, 0, time.UTC))
	require.Equal(t, "Bo", unreached.Pages[0].Page.PersonName, "who cannot be reached is no reason to wait")
	unreached = oncall.Unreached(unreached.Escalation, unreached.Pages[0].Page, b, time.Date(2026, 3, 9, 8, 7, 0, 0, time.UTC))
	require.Contains(t, unreached.Nobody, "nobody left", "a warning has no last resort")

	never := oncall.Begin(wanted(), book(t, pair), noon)
	require.Contains(t, never.Ledger[0].Reason, "no working_hours in the catalog): they never begin")
	require.True(t, never.Escalation.NextAt.IsZero())
}

func TestThePageSaysWhereItStands(t *testing.T) {
	b := book(t, "teams: [{id: payments, schedule: first, escalation: [{after: 10m, person: bo}], escalation_rounds: 2}]")
	c := oncall.Begin(urgent(), b, noon)
	c = oncall.Escalate(c.Escalation, b, c.Escalation.NextAt)
	text := oncall.Text(c.Pages[0].Page, oncall.Facts{Headline: "x"}, oncall.Links{}, nil).Text
	require.Contains(t, text, `Why you: named by the escalation of team payments
Escalation: step 2 of 2, round 1 of 2
Asked before you: Ada at 12:00 UTC, no answer
Then: Ada, step 1 of 2 in round 2 of 2, is called when nobody acknowledges within 10 min
`)
	require.Equal(t, "opened/1/round/1/step/2", c.Pages[0].Page.Transition)
}

func TestTheChainOfATeam(t *testing.T) {
	b := book(t, "teams: [{id: payments, schedule: first, escalation: [{after: 5m, schedule: night}, {after: 7m, person: bo}], escalation_rounds: 3, last_resort: {team: chiefs}}, {id: chiefs, schedule: second}]")
	c := oncall.Chain("payments", b.Roster, noon)
	require.Len(t, c, 4, "a round, and the last resort")
	require.Equal(t, "Ada", c[0].Name)
	require.Zero(t, c[0].After)
	require.Contains(t, c[1].Problem, "has nobody at this time")
	require.Equal(t, 5*time.Minute, c[1].After)
	require.Equal(t, oncall.Callee{Step: 3, After: 7 * time.Minute, Person: "bo", Name: "Bo", Reason: "named by the escalation of team payments"}, c[2])
	require.True(t, c[3].LastResort)
	require.Equal(t, "Cyd", c[3].Name)
	require.Equal(t, 7*time.Minute, c[3].After)
}
