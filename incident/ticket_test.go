package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func opened() incident.Incident {
	return incident.Open(fires("acme", alpha, noon, 49, 50, 0.41), opening("x"), at(time.Minute)).Incident
}

func TestTheTicketsOutcomesAreRememberedAndSaidOnce(t *testing.T) {
	i := opened()
	require.Equal(t, i.Version, i.Mirror.Desired)
	down := incident.TicketResult{System: "rt", Version: i.Mirror.Desired, Error: "the ticket system does not answer"}
	c := incident.TicketOutcome(i, down, at(time.Minute))
	require.Equal(t, []string{"ticket_failed"}, kinds(t, c))
	i = c.Incident
	c = incident.TicketOutcome(i, down, at(2*time.Minute))
	require.Empty(t, c.Ledger, "the same failure again is no news")
	require.False(t, c.Changed)
	up := incident.TicketResult{System: "rt", Version: i.Mirror.Desired, Ref: itsm.Ref{ID: "7", Number: "7", URL: "https://rt/7"}, State: itsm.Open, Created: true}
	c = incident.TicketOutcome(i, up, at(3*time.Minute))
	require.Equal(t, []string{"ticket", "ticket_recovered", "ticket_state"}, kinds(t, c))
	require.Contains(t, c.Ledger[0].Reason, "#7 in rt (https://rt/7)")
	require.False(t, c.Ticket, "an outcome asks for no further delivery")
	i = c.Incident
	require.Equal(t, i.Mirror.Desired, i.Mirror.Delivered)
	require.Empty(t, i.Mirror.Error)
	c = incident.TicketOutcome(i, incident.TicketResult{System: "rt", Version: 1, Ref: up.Ref, State: itsm.Open}, at(4*time.Minute))
	require.False(t, c.Changed, "an older delivery reported late takes nothing back")
}

func TestWhatPeopleDoInTheTicketSystem(t *testing.T) {
	ref := itsm.Ref{ID: "7", Number: "7"}
	saw := func(s itsm.State, owner string, d time.Duration) itsm.Observed {
		return itsm.Observed{Key: "k", Ref: ref, State: s, Owner: owner, Actor: "aberg", At: at(d)}
	}
	delivered := func(i incident.Incident, s itsm.State) incident.Incident {
		return incident.TicketOutcome(i, incident.TicketResult{System: "rt", Version: i.Mirror.Desired, Ref: ref, State: s}, noon).Incident
	}
	i := delivered(opened(), itsm.Open)

	c := incident.TicketObserved(i, saw(itsm.Open, "", 2*time.Minute), incident.Actor{}, at(2*time.Minute))
	require.Empty(t, c.Ledger, "a comment there decides nothing")
	require.Equal(t, incident.StateOpen, c.Incident.State)

	c = incident.TicketObserved(i, saw(itsm.Open, "aberg", 2*time.Minute), anna, at(2*time.Minute))
	require.Equal(t, incident.StateAcknowledged, c.Incident.State, "taking the ticket takes the incident")
	require.Equal(t, "ticket", c.Incident.AcknowledgedVia)
	require.True(t, c.Withdraw && c.Ticket)
	stranger := incident.TicketObserved(i, saw(itsm.Acknowledged, "", 2*time.Minute), incident.Actor{}, at(2*time.Minute))
	require.Equal(t, "aberg", stranger.Incident.AcknowledgedBy.ITSMUser, "somebody the catalog does not know may take it too")

	i = delivered(c.Incident, itsm.Acknowledged)
	c = incident.TicketObserved(i, saw(itsm.Acknowledged, "aberg", 3*time.Minute), anna, at(3*time.Minute))
	require.Empty(t, c.Ledger, "an echo")
	c = incident.TicketObserved(i, saw(itsm.Open, "", 3*time.Minute), ben, at(3*time.Minute))
	require.Equal(t, incident.StateAcknowledged, c.Incident.State, "nothing there takes an acknowledgement back")

	c = incident.TicketObserved(i, saw(itsm.Resolved, "aberg", 4*time.Minute), anna, at(4*time.Minute))
	require.Equal(t, incident.StateResolved, c.Incident.State)
	require.Equal(t, anna, c.Incident.ResolvedBy)
	require.Contains(t, c.Ledger[0].Reason, "alerts of it still fire")
	i = delivered(c.Incident, itsm.Resolved)

	// The same firing goes on: not reopened. It fires anew: reopened, and the
	// old owner still on the ticket is no news.
	still := i.Alerts[0]
	still.AsOf = at(5 * time.Minute)
	i = incident.WithAlert(i, still, nil, "part of it", at(5*time.Minute)).Incident
	require.Equal(t, incident.StateResolved, i.State)
	i = incident.WithAlert(i, over(i.Alerts[0], at(6*time.Minute)), nil, "part of it", at(6*time.Minute)).Incident
	still.AsOf = at(7 * time.Minute)
	i = incident.Reopen(i, still, nil, "it fires again", 0, at(7*time.Minute)).Incident
	c = incident.TicketObserved(i, saw(itsm.Resolved, "aberg", 8*time.Minute), anna, at(8*time.Minute))
	require.Equal(t, incident.StateOpen, c.Incident.State, "the reopened document is still on its way")
	i = delivered(c.Incident, itsm.Open)
	c = incident.TicketObserved(i, saw(itsm.Open, "aberg", 9*time.Minute), anna, at(9*time.Minute))
	require.Equal(t, incident.StateOpen, c.Incident.State)
	c = incident.TicketObserved(i, saw(itsm.Resolved, "aberg", 10*time.Minute), anna, at(10*time.Minute))
	require.Equal(t, incident.StateResolved, c.Incident.State)

	i = delivered(c.Incident, itsm.Resolved)
	c = incident.TicketObserved(i, saw(itsm.Open, "aberg", 11*time.Minute), anna, at(11*time.Minute))
	require.Equal(t, incident.StateResolved, c.Incident.State)
	require.Equal(t, []string{"ticket_reopened"}, kinds(t, c))
}

func TestResolvedByAPerson(t *testing.T) {
	i := opened()
	c := incident.Resolve(i, ben, "view", "switched to beta", at(5*time.Minute))
	require.Equal(t, "resolved by Ben Ode (view): switched to beta", c.Incident.ResolutionReason)
	require.True(t, c.Withdraw && c.Ticket)
	require.Equal(t, []string{"resolved"}, kinds(t, c))
	again := incident.Resolve(c.Incident, anna, "view", "", at(6*time.Minute))
	require.Equal(t, ben, again.Incident.ResolvedBy)
	late, h := incident.Acknowledge(c.Incident, anna, "page", at(6*time.Minute))
	require.True(t, h.Over)
	require.Equal(t, "incident 12 is over since 12:05 UTC: resolved by Ben Ode (view): switched to beta.", h.Text)
	require.Equal(t, incident.StateResolved, late.Incident.State)
	require.False(t, late.Changed)
}

func TestDashboardPagesAndNotesStandOnTheTicketOnce(t *testing.T) {
	i := opened()
	d := incident.Dashboard{URL: "https://tocsin/d/1", Blob: "0123456789abcdef"}
	c := incident.DashboardAttached(i, d, at(time.Minute))
	i = c.Incident
	require.True(t, c.Ticket)
	require.False(t, incident.DashboardAttached(i, d, at(2*time.Minute)).Changed)
	doc := i.Ticket(incident.Links{Queue: "payments"})
	require.Equal(t, d.URL, doc.Dashboard)
	require.Equal(t, "payments", doc.Queue)
	require.Equal(t, &itsm.Attachment{Name: "incident-12-01234567.png", ContentType: "image/png", Blob: d.Blob}, doc.Notes[1].Attachment)
	blind := incident.DashboardAttached(opened(), incident.Dashboard{URL: d.URL, Error: "no samples"}, at(time.Minute))
	require.Contains(t, blind.Incident.Notes[1].Text, "no samples")
	require.Nil(t, blind.Incident.Notes[1].Attachment)

	sent := incident.PageResult{Page: "pg_1", State: "sent", Person: "Anna Berg", Via: "mail"}
	i = incident.PageOutcome(i, sent, at(time.Minute)).Incident
	require.False(t, incident.PageOutcome(i, sent, at(2*time.Minute)).Changed)
	require.Equal(t, []string{"pg_1"}, i.Pages)
	c = incident.PageOutcome(i, incident.PageResult{Page: "pg_2", State: "failed", Person: "Anna Berg", Via: "mail", Detail: "550"}, at(time.Minute))
	require.Contains(t, c.Ledger[0].Reason, "stays open")
	i = incident.Unpaged(c.Incident, "nobody is on call for team payments", at(time.Minute)).Incident
	require.Equal(t, incident.StateOpen, i.State)
	require.False(t, incident.Unpaged(i, "nobody is on call for team payments", at(2*time.Minute)).Changed)
	i = incident.Note(i, ben, "n1", "called the vendor", at(3*time.Minute)).Incident
	i = incident.Note(i, ben, "n1", "called the vendor", at(3*time.Minute)).Incident
	texts := []string{}
	for _, n := range i.Notes {
		texts = append(texts, n.Text)
	}
	require.Equal(t, []string{"Paged Anna Berg by mail.", "Anna Berg could not be paged by mail: 550",
		"Nobody could be paged: nobody is on call for team payments", "Ben Ode: called the vendor"}, texts[2:])
	for n := 1; n < len(i.Notes); n++ {
		require.False(t, i.Notes[n].At.Before(i.Notes[n-1].At.Add(-time.Minute)))
	}
}

func TestHeadlines(t *testing.T) {
	many := opened()
	for n, id := range []tenant.ID{"b", "c"} {
		many = incident.WithAlert(many, fires(id, alpha, noon, 20, 20, 0.2), nil, "same", at(time.Duration(n+2)*time.Minute)).Incident
	}
	seen := opened()
	seen = incident.WithAlert(seen, fires("acme", nil, noon, 50, 120, 1), nil, "above", at(2*time.Minute)).Incident
	country := fires("acme", sli.Slice{{Label: "country", Value: "DE"}}, noon, 1000, 1001, 0.0004)
	for _, c := range []struct {
		name string
		i    incident.Incident
		want string
	}{
		{"one tenant", opened(), "payments through acquirer alpha fail for acme: 98% of attempts, 41% of its volume"},
		{"a tenant's own total is no second count", seen, "payments through acquirer alpha fail for acme: 98% of attempts, 41% of its volume"},
		// 90 attempts of 50/0.41 + 20/0.2 + 20/0.2 = 321.95
		{"several", many, "payments through acquirer alpha fail for 3 tenants: 99% of attempts, 28% of their volume"},
		{"nearly all is not all, little is not nothing", incident.Open(country, opening("y"), noon).Incident, "payments in DE fail for acme: over 99% of attempts, under 0.1% of its volume"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.i.Headline()) })
	}
	require.Equal(t, "refund fails for acme: 50% of attempts", func() string {
		a := fires("acme", nil, noon, 5, 10, 1)
		a.Service = "refund"
		return incident.Open(a, opening("z"), noon).Incident.Headline()
	}())
}

func TestTheBodyTellsWhatIsKnown(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	body := opened().Body(berlin)
	for _, want := range []string{"Since: Mon 2 Mar 2026 13:00 CET (12:00 UTC)", "Counted: 49 of 50 attempts failed; usual: 1%", "Tenants (1): acme 49 of 50",
		"Owner: team payments owns service payments", "Runbook: https://wiki.example.com/errors", "Why: rule errors for tenant acme, through acquirer alpha: many more fail than usual"} {
		require.Contains(t, body, want)
	}
	require.Contains(t, opened().Body(time.UTC), "Since: Mon 2 Mar 2026 12:00:00 UTC\n")
	for l := range strings.Lines(body) {
		require.Less(t, len(l), 130)
	}
}

func TestSeverityChangesAreKept(t *testing.T) {
	a := fires("acme", alpha, noon, 5, 50, 0.4)
	a.Severity = "warning"
	i := incident.Open(a, opening("x"), at(time.Minute)).Incident
	c := incident.WithAlert(i, fires("bravo", alpha, noon, 5, 50, 0.4), nil, "same", at(2*time.Minute))
	require.Equal(t, []string{"severity", "settling", "joined"}, kinds(t, c))
	require.Len(t, c.Incident.History, 1)
	require.Equal(t, "severity", c.Incident.History[0].Name)
	require.Equal(t, alert.Firing, c.Incident.Alerts[0].State)
}
