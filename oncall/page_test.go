package oncall_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/rota"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func wanted() oncall.Wanted {
	return oncall.Wanted{Incident: "inc_1", Number: 12, Environment: "production", Tenant: "acme", Service: "payments", Team: "payments",
		Transition: "opened/1", Reason: "it still fires after the settling time of 30 s", Live: true, At: noon, NotAfter: noon.Add(24 * time.Hour)}
}

func duty(contacts ...catalog.Contact) rota.Duty {
	return rota.Duty{Team: "payments", Schedule: "primary", Reason: "on call for team payments by schedule primary until Mon 9 Mar 09:00 CET",
		Person: catalog.Person{ID: "anna", Name: "Anna Berg", TimeZone: "Europe/Berlin", Contacts: contacts}}
}

var (
	byMail  = catalog.Contact{Channel: "mail", To: "anna@example.com"}
	bySMS   = catalog.Contact{Channel: "sms", To: "+49"}
	byLog   = catalog.Contact{Channel: "log"}
	servers = []string{"log", "mail"}
)

func TestAPageIsRequestedByTheFirstUsableContact(t *testing.T) {
	c := oncall.Request(wanted(), duty(bySMS, byMail, byLog), oncall.Place{}, 2*time.Minute, servers, noon)
	require.Equal(t, oncall.Pending, c.Page.State)
	require.Equal(t, "mail", c.Page.Channel)
	require.Equal(t, []catalog.Contact{byLog}, c.Page.Alternatives)
	require.Equal(t, "channel/mail", c.Call.Destination())
	require.Equal(t, oncall.OnlyIf, c.Call.OnlyIf)
	require.Equal(t, noon.Add(24*time.Hour), c.Call.NotAfter)
	require.Regexp(t, `^pg_[0-9a-z]{26}$`, string(c.Page.ID))
	require.Equal(t, "page.requested", c.Ledger[0].Kind)
	require.Contains(t, c.Ledger[0].Refs, "incident/inc_1")

	again := oncall.Request(wanted(), duty(bySMS, byMail, byLog), oncall.Place{}, 2*time.Minute, servers, noon.Add(time.Hour))
	require.Equal(t, c.Call, again.Call, "decided again later it is the same call")
	require.Equal(t, c.Page.ID, again.Page.ID)
	for name, change := range map[string]func(*oncall.Wanted){
		"environment": func(w *oncall.Wanted) { w.Environment = "staging" },
		"tenant":      func(w *oncall.Wanted) { w.Tenant = "bravo" },
		"incident":    func(w *oncall.Wanted) { w.Incident = "inc_2" },
		"transition":  func(w *oncall.Wanted) { w.Transition = "opened/2" },
	} {
		w := wanted()
		change(&w)
		require.NotEqual(t, c.Call.Key, oncall.Request(w, duty(byMail), oncall.Place{}, 2*time.Minute, servers, noon).Call.Key, name)
	}
	require.NotEqual(t, c.Call.Key, oncall.Request(wanted(), duty(byLog), oncall.Place{}, 2*time.Minute, servers, noon).Call.Key, "destination")
}

func TestObservedTeamsAreToldWhoWouldHaveBeenCalled(t *testing.T) {
	w := wanted()
	w.Live = false
	c := oncall.Request(w, duty(byMail), oncall.Place{}, 2*time.Minute, servers, noon)
	require.Nil(t, c.Call)
	require.Equal(t, oncall.Observed, c.Page.State)
	require.Equal(t, "would have paged Anna Berg by mail at 13:00 CET (12:00 UTC); team payments is observed, nothing leaves", c.Page.Detail)
	require.Equal(t, "page.observed", c.Ledger[0].Kind)
}

func TestAPersonWithoutAUsableContact(t *testing.T) {
	c := oncall.Request(wanted(), duty(bySMS), oncall.Place{}, 2*time.Minute, servers, noon)
	require.Nil(t, c.Call)
	require.Equal(t, oncall.Failed, c.Page.State)
	require.Contains(t, c.Ledger[0].Reason, "add the channel")
}

func TestOutcomes(t *testing.T) {
	p := oncall.Request(wanted(), duty(byMail, byLog), oncall.Place{}, 2*time.Minute, servers, noon).Page
	busy := oncall.Result{Key: p.Key, Detail: "421 busy", Retryable: true}
	c := oncall.Outcome(p, busy, noon)
	require.Equal(t, oncall.Pending, c.Page.State)
	require.Nil(t, c.Call, "the deliverer goes on by itself")
	require.Len(t, c.Ledger, 1)
	c = oncall.Outcome(c.Page, busy, noon)
	require.Empty(t, c.Ledger, "said once")
	require.Equal(t, 2, c.Page.Attempts)

	c = oncall.Outcome(c.Page, oncall.Result{Key: p.Key, Detail: "550 no such user"}, noon)
	require.Equal(t, oncall.Pending, c.Page.State)
	require.Equal(t, "log", c.Call.Channel)
	require.NotEqual(t, p.Key, c.Call.Key)
	require.Equal(t, p.ID, c.Page.ID)
	stale := oncall.Outcome(c.Page, oncall.Result{Key: p.Key, Detail: "550 no such user"}, noon)
	require.False(t, stale.Changed, "the given-up address has no say any more")
	failed := oncall.Outcome(c.Page, oncall.Result{Key: c.Page.Key, Detail: "no"}, noon)
	require.Equal(t, oncall.Failed, failed.Page.State)
	require.Contains(t, failed.Ledger[0].Reason, "stays open")

	sent := oncall.Outcome(c.Page, oncall.Result{Key: c.Page.Key, Sent: true, Detail: "written"}, noon.Add(time.Minute))
	require.Equal(t, oncall.Sent, sent.Page.State)
	require.Equal(t, noon.Add(time.Minute), *sent.Page.SentAt)
	require.False(t, oncall.Outcome(sent.Page, oncall.Result{Key: c.Page.Key, Sent: true}, noon).Changed)
	require.False(t, oncall.Withdraw(sent.Page, "over", noon).Changed, "what was sent stays sent")

	held := oncall.Outcome(p, oncall.Result{Key: p.Key, Withheld: true, Detail: "the incident is over"}, noon)
	require.Equal(t, oncall.Withdrawn, held.Page.State)
}

func TestMaySend(t *testing.T) {
	r := oncall.Request(wanted(), duty(byMail, byLog), oncall.Place{}, 2*time.Minute, servers, noon)
	may := func(p oncall.Page, open bool, now time.Time) string {
		ok, why := oncall.MaySend(p, *r.Call, open, now)
		require.Equal(t, ok, why == "")
		return why
	}
	require.Empty(t, may(r.Page, true, noon))
	require.Contains(t, may(r.Page, false, noon), "over")
	require.Contains(t, may(r.Page, true, noon.Add(25*time.Hour)), "too late")
	require.Contains(t, may(oncall.Withdraw(r.Page, "taken", noon).Page, true, noon), "withdrawn")
	moved := oncall.Outcome(r.Page, oncall.Result{Key: r.Page.Key, Detail: "550"}, noon).Page
	require.Contains(t, may(moved, true, noon), "another address")
}

func TestTheButton(t *testing.T) {
	p := oncall.Request(wanted(), duty(byMail), oncall.Place{}, 2*time.Minute, servers, noon).Page
	p = oncall.Outcome(p, oncall.Result{Key: p.Key, Sent: true}, noon).Page
	c, a := oncall.Acknowledge(p, oncall.Actor{Person: "anna", Name: "Anna Berg"}, noon.Add(time.Minute))
	require.True(t, a.First)
	require.Equal(t, oncall.Acknowledged, c.Page.State)
	again, a := oncall.Acknowledge(c.Page, oncall.Actor{Person: "anna", Name: "Anna Berg"}, noon.Add(2*time.Minute))
	require.False(t, a.First || again.Changed)
	require.Equal(t, "You have incident 12 since 13:01 CET (12:01 UTC).", a.Text)
	other, a := oncall.Acknowledge(c.Page, oncall.Actor{Person: "ben", Name: "Ben Ode"}, noon.Add(3*time.Minute))
	require.Equal(t, "Anna Berg has incident 12 since 13:01 CET (12:01 UTC).", a.Text)
	require.Equal(t, noon.Add(time.Minute), a.Since)
	require.False(t, other.Changed)
	require.Contains(t, other.Ledger[0].Reason, "Ben Ode acknowledged too")
	late := oncall.Outcome(c.Page, oncall.Result{Key: p.Key, Detail: "421", Retryable: true}, noon)
	require.Equal(t, oncall.Acknowledged, late.Page.State)
}

func TestThePagesText(t *testing.T) {
	p := oncall.Request(wanted(), duty(byMail), oncall.Place{}, 2*time.Minute, servers, noon).Page
	f := oncall.Facts{Incident: "inc_1", Number: 12, Headline: "payments through acquirer alpha fail for 7 tenants: 98% of attempts,\r\n41% of their volume",
		Severity: "critical", Since: noon.Add(-3 * time.Minute), Counted: "412 of 420 attempts failed", Usual: "0.8%",
		Tenants: []string{"acme 120 of 122", "b 9 of 9", "c 8 of 8", "d 7 of 7", "e 6 of 6", "f 5 of 5"}, TenantCount: 7,
		Owner: "team payments owns service payments", Runbook: "https://wiki.example.com/r"}
	l := oncall.Links{Incident: "https://t/i/12?c=x", Dashboard: "https://t/d/12", Ticket: "https://rt/7", TicketNumber: "7", Acknowledge: "https://t/ack/abc"}
	got := oncall.Text(p, f, l, &channel.Picture{Name: "d.png"})
	require.Equal(t, `payments through acquirer alpha fail for 7 tenants: 98% of attempts, 41% of their volume

Since 12:57 CET (11:57 UTC), Mon 2 Mar
412 of 420 attempts failed
Usual: 0.8%

Tenants: 7
- acme 120 of 122
- b 9 of 9
- c 8 of 8
- d 7 of 7
- e 6 of 6
- and 2 more

Severity: critical
Why you: on call for team payments by schedule primary until Mon 9 Mar 09:00 CET
Why your team: team payments owns service payments

Runbook: https://wiki.example.com/r
Dashboard: https://t/d/12
Ticket: #7 https://rt/7
Incident: 12 https://t/i/12?c=x

Acknowledge (opens a page with a button):
https://t/ack/abc
`, got.Text)
	require.Equal(t, strings.SplitN(got.Text, "\n", 2)[0], got.Subject)
	require.Equal(t, string(p.ID), got.ID)
	require.Equal(t, "anna@example.com", got.To)
	require.Equal(t, l.Acknowledge, got.AckURL)
	require.Len(t, got.Links, 4)
	require.NotNil(t, got.Picture)

	f.Headline = strings.Repeat("ü", 300)
	require.Len(t, []rune(oncall.Text(p, f, l, nil).Subject), 120)
	said := oncall.Text(p, oncall.Facts{Headline: "payments raise queue for acme", Summary: "Settlements\npile up", Said: "its query gave 5000"}, oncall.Links{}, nil).Text
	require.Contains(t, said, "payments raise queue for acme\nSettlements pile up\n\nSince ")
	require.Contains(t, said, "\nits query gave 5000\n")
	bare := oncall.Text(p, oncall.Facts{Headline: "x", Number: 3}, oncall.Links{}, nil)
	require.NotContains(t, bare.Text, "Ticket")
	require.NotContains(t, bare.Text, "Acknowledge")
	require.Contains(t, bare.Text, "Incident: 3")
}
