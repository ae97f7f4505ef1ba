package response_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const env = "production"

// room is an environment's incidents in one life of the process. Nothing leaves: the test
// reads what is asked for, and reports.
type room struct {
	*partitiontest.Home
	store  *memory.Store
	desk   *response.Desk
	system string // that tickets go to
	silent bool   // nothing may be written there
	taught []alert.Verdict
}

func (r *room) begin(t *testing.T) {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	c, err := catalog.Parse(catalog.File{Name: "catalog.yaml", Text: []byte(`
teams:
  - id: payments
    oncall: [ada]
    escalation: [{after: 10m, person: bo}]
services: [{id: payments, team: payments, runbook: https://wiki.example.com/payments}]
people:
  - {id: ada, name: Ada, itsm_user: ada-rt, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, name: Bo, contacts: [{channel: mail, to: bo@example.com}]}
`)})
	require.NoError(t, err)
	var all directory.Directory
	for _, id := range []tenant.ID{"acme", "bolt"} {
		all.Put(tenant.Tenant{ID: id, State: tenant.Live, ExpectedTPM: 600})
	}
	of := func() *catalog.Catalog { return c }
	live := func(catalog.TeamID) bool { return true }
	r.desk = &response.Desk{Rules: func() policy.Rules { return policy.Rules{Policy: p, Revision: 1, Catalog: c} }, Directory: &all, Scale: &whole.Scale{List: all.List},
		Duty: &standby.Book{Store: r.store, Catalog: of, Default: live, Here: func() bool { return false }}, Metrics: response.NewMetrics(prometheus.NewRegistry()),
		Logger: slog.New(slog.DiscardHandler), Environment: env,
		Ticket: func(team catalog.Team) (string, string, bool) {
			if team.ITSM.System != "" {
				return team.ITSM.System, team.ITSM.Queue, !r.silent
			}
			return r.system, "queue of " + r.system, !r.silent
		},
		Channels: func() []string { return []string{"mail"} }, IncidentURL: func(id string) string { return "https://tocsin.test/" + id }, Opened: func(string) {},
		Teach: func(_ *partition.Tx, i incident.Incident) { r.taught = append(r.taught, i.Verdict.Verdict) }}
	require.NoError(t, r.desk.Duty.Load(t.Context()))
	r.Home = partitiontest.Open(t, r.store, response.Subject(env), partitiontest.Decider{Input: r.desk.Input, Timer: r.desk.Timer})
}

func open(t *testing.T) *room {
	t.Helper()
	r := &room{store: memory.New(memory.Options{}), system: "rt"}
	r.begin(t)
	return r
}

// fault is a hard fault of acquirer alpha at a tenant, that fires now.
func fault(id tenant.ID) alert.Alert {
	now := time.Now().UTC()
	k := alert.Key{Environment: env, Tenant: id, Service: "payments", Rule: "payment_errors", Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}}
	return alert.Alert{ID: k.ID(), Key: k, Kind: rule.Errors, Severity: rule.Critical, State: alert.Firing, OnsetAt: now.Add(-30 * time.Second), StartsAt: now, AsOf: now,
		Evidence: alert.Evidence{N: 100, K: 90, Usual: .01, Score: 40, Needed: 12, Share: .5, RatePerMinute: 100, Test: "cusum", Hard: true}, Reason: "90 of 100 failed"}
}

func over(a alert.Alert) alert.Alert {
	now := time.Now().UTC()
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &now, now
	return a
}

func (r *room) alert(t *testing.T, a alert.Alert) {
	t.Helper()
	r.Offer(t, response.Alert(string(a.ID)+"/"+string(a.State)+a.AsOf.String(), a))
}

func (r *room) incidents(t *testing.T) []incident.Incident {
	t.Helper()
	return partitiontest.Values[incident.Incident](t, r.Home, response.Incidents)
}

func (r *room) pages(t *testing.T) []oncall.Page {
	t.Helper()
	return partitiontest.Values[oncall.Page](t, r.Home, response.Pages)
}

// asked are the deliveries that were asked for of a destination, in order.
func (r *room) asked(t *testing.T, destination string) (out []delivery.Delivery) {
	t.Helper()
	for _, in := range partitiontest.Arrived(t, r.store, store.DestinationSubject(destination)) {
		d, err := partition.DecodeInput[delivery.Delivery](in)
		require.NoError(t, err)
		out = append(out, d)
	}
	return out
}

// reports tells what became of a delivery.
func (r *room) reports(t *testing.T, id string, d delivery.Delivery, o delivery.Outcome) {
	t.Helper()
	o.Key, o.Verb, o.Ref, o.Version = d.Key, d.Verb, d.Ref, d.Version
	r.Offer(t, store.Input{ID: id, Kind: outbox.InputOutcome, Version: 1, Subject: response.Subject(env), Payload: partition.Payload(o)})
}

// An alert opens one incident, with a ticket, a picture and one page, whoever offers its
// state again and whatever process decides; a second tenant's joins it and calls nobody more.
func TestOneIncidentAndOnePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		a := fault("acme")
		r.alert(t, a)
		r.alert(t, a)
		r.End()
		r.begin(t)
		r.Offer(t, response.Alert("the same by another id", a))
		other := fault("bolt")
		r.alert(t, other)
		list := r.incidents(t)
		require.Len(t, list, 1)
		require.Equal(t, 1, list[0].Number)
		require.Len(t, list[0].Alerts, 2)
		require.Len(t, r.pages(t), 1)
		require.Len(t, r.asked(t, "channel/mail"), 1)
		require.Len(t, r.asked(t, "pictures"), 1)
		tickets := r.asked(t, "itsm/rt")
		require.Len(t, tickets, 2, "the ticket says that there are two")
		require.Equal(t, tickets[0].Key, tickets[1].Key)
		require.Greater(t, tickets[1].Version, tickets[0].Version)
		require.Equal(t, 1, partitiontest.Kinds(t, r.store)["incident.opened"])

		partitiontest.Pass(time.Minute)
		r.alert(t, over(a))
		require.Equal(t, incident.StateOpen, r.incidents(t)[0].State)
		r.alert(t, over(other))
		require.Equal(t, incident.StateResolved, r.incidents(t)[0].State)
		require.Equal(t, oncall.Withdrawn, r.pages(t)[0].State, "it was not sent yet")
		partitiontest.Pass(time.Hour)
		require.Len(t, r.asked(t, "channel/mail"), 1, "nobody is asked next")
	})
}

// The second person is called at the step's time, by whatever process serves then, once; and
// at once when the first cannot be reached.
func TestTheNextStep(t *testing.T) {
	for name, c := range map[string]struct {
		refused bool
		after   time.Duration
	}{"at its time": {false, 10 * time.Minute}, "unreached": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t)
				r.alert(t, fault("acme"))
				first := r.asked(t, "channel/mail")[0]
				if c.refused {
					r.reports(t, "o1", first, delivery.Outcome{Final: true, Error: "no such mailbox"})
				} else {
					r.reports(t, "o1", first, delivery.Outcome{Final: true, OK: true, Data: partition.Payload("250 ok")})
					require.Equal(t, 1, testutil.CollectAndCount(r.desk.Metrics.PageSeconds))
					partitiontest.Pass(c.after - time.Minute)
					require.Len(t, r.asked(t, "channel/mail"), 1)
					r.End()
					r.begin(t)
					partitiontest.Pass(2 * time.Minute)
				}
				calls := r.asked(t, "channel/mail")
				require.Len(t, calls, 2)
				require.NotEqual(t, first.Key, calls[1].Key)
				r.reports(t, "o1 again", first, delivery.Outcome{Final: true, Error: "no such mailbox"})
				partitiontest.Pass(time.Second)
				require.Len(t, r.asked(t, "channel/mail"), 2)
				var who []catalog.PersonID
				for _, p := range r.pages(t) {
					who = append(who, p.Person)
				}
				require.ElementsMatch(t, []catalog.PersonID{"ada", "bo"}, who)
				said := partitiontest.Kinds(t, r.store)
				require.Equal(t, map[bool]int{true: 1}[c.refused], said["incident.page_failed"], "the incident says why, once")
				require.Equal(t, [2]int{1, 2}, [2]int{said["escalation.step"], said["page.requested"]})
			})
		})
	}
}

// The button of a page takes the incident: once, and for whoever pressed first; nobody is
// called after that.
func TestTheButtonOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.alert(t, fault("acme"))
		partitiontest.Pass(11 * time.Minute)
		pages := map[catalog.PersonID]string{}
		for _, p := range r.pages(t) {
			pages[p.Person] = string(p.ID)
		}
		press := func(who catalog.PersonID) (h incident.Holder) {
			r.Do(t, func(tx *partition.Tx) (err error) { h, err = r.desk.AcknowledgePage(tx, pages[who]); return err })
			return h
		}
		require.True(t, press("bo").Taken)
		second := press("ada")
		require.False(t, second.Taken)
		require.Equal(t, catalog.PersonID("bo"), second.By.Person)
		press("bo")
		require.Equal(t, 1, partitiontest.Kinds(t, r.store)["incident.acknowledged"])
		partitiontest.Pass(2 * time.Hour)
		require.Len(t, r.pages(t), 2)
		require.Error(t, r.Try(t, func(tx *partition.Tx) error { _, err := r.desk.AcknowledgePage(tx, "pg_other"); return err }))
		require.Error(t, r.Try(t, func(tx *partition.Tx) error { return r.desk.Release(tx, "inc_other", incident.Actor{}, "api", "") }))
	})
}

// What was seen in the ticket system is of the person it names, and a verdict said there
// teaches, once.
func TestWhatIsSeenInTheTicketSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.alert(t, fault("acme"))
		key := string(r.incidents(t)[0].ID)
		ticket := r.asked(t, "itsm/rt")[0]
		r.reports(t, "o1", ticket, delivery.Outcome{Final: true, OK: true, Data: partition.Payload(itsm.Result{Ref: itsm.Ref{ID: "17"}, Version: ticket.Version, State: itsm.Open, Created: true})})
		require.Equal(t, "17", r.incidents(t)[0].Mirror.Ref.ID)
		r.system = "other"
		seen := itsm.Observed{Key: key, Actor: "ada-rt", State: itsm.Resolved, At: time.Now()}
		for _, id := range []string{"seen", "seen", "seen again"} {
			r.Offer(t, response.Observed(env, id, seen, alert.VerdictFalse, time.Now()))
		}
		i := r.incidents(t)[0]
		require.Equal(t, incident.StateResolved, i.State)
		require.Equal(t, catalog.PersonID("ada"), i.ResolvedBy.Person)
		require.Equal(t, alert.VerdictFalse, i.Verdict.Verdict)
		require.Equal(t, []alert.Verdict{alert.VerdictFalse}, r.taught)
		require.Empty(t, r.asked(t, "itsm/other"), "a ticket stays where it is")
		require.Zero(t, len(partitiontest.Values[any](t, r.Home, "refused")))
	})
}

// A resolved incident is taken up again by the same fault soon after, and calls again; later
// it is another one.
func TestAFaultThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		a := fault("acme")
		a.RunbookURL = "https://wiki.example.com/errors"
		r.alert(t, a)
		partitiontest.Pass(10 * time.Second)
		r.alert(t, over(a))
		open, err := response.Open(t.Context(), r.store, env)
		require.NoError(t, err)
		require.Empty(t, open)
		partitiontest.Pass(5 * time.Minute)
		again := fault("acme")
		r.alert(t, again)
		require.Len(t, r.incidents(t), 1)
		require.Equal(t, 2, r.incidents(t)[0].Openings)
		require.Equal(t, "https://wiki.example.com/payments", r.incidents(t)[0].RunbookURL, "what fires names none: the service's")
		open, err = response.Open(t.Context(), r.store, env)
		require.NoError(t, err)
		require.Len(t, open, 1)
		partitiontest.Pass(12 * time.Hour)
		open, err = response.Open(t.Context(), r.store, env)
		require.NoError(t, err)
		require.Len(t, open, 1, "what is open is never forgotten")
		r.alert(t, over(again))
		partitiontest.Pass(24 * time.Hour)
		require.Empty(t, partitiontest.Values[any](t, r.Home, "active"), "what is over is looked at no more")
		r.alert(t, fault("acme"))
		list := r.incidents(t)
		require.Len(t, list, 2)
		require.ElementsMatch(t, []int{1, 2}, []int{list[0].Number, list[1].Number})
		none, err := response.Open(t.Context(), r.store, "staging")
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// Erasing a tenant leaves what others share and what is not over; of the latter the picture
// goes. Who was called for an incident of the tenant alone is the tenant's data, too.
func TestErasingATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		a := fault("acme")
		r.alert(t, a)
		erase := func(id tenant.ID) (pictures []string, erased, kept int) {
			r.Do(t, func(tx *partition.Tx) (err error) { pictures, erased, kept, err = r.desk.Erase(tx, id); return err })
			return pictures, erased, kept
		}
		id := r.incidents(t)[0].ID
		pictures, erased, kept := erase("acme")
		require.Equal(t, []string{response.Picture(id, 1)}, pictures)
		require.Equal(t, [2]int{0, 1}, [2]int{erased, kept})
		require.Equal(t, "erased with the tenant's data", r.incidents(t)[0].Dashboard.Error)
		_, erased, kept = erase("bolt")
		require.Equal(t, [2]int{0, 0}, [2]int{erased, kept})

		partitiontest.Pass(time.Minute)
		r.alert(t, over(a))
		_, erased, kept = erase("acme")
		require.Equal(t, [2]int{0, 1}, [2]int{erased, kept}, "its ticket does not say so yet")
		last := r.asked(t, "itsm/rt")
		d := last[len(last)-1]
		r.reports(t, "o1", d, delivery.Outcome{Final: true, OK: true, Data: partition.Payload(itsm.Result{Ref: itsm.Ref{ID: "17"}, Version: d.Version, State: itsm.Resolved})})
		require.Len(t, partitiontest.Values[any](t, r.Home, response.Escalations), 1)
		_, erased, kept = erase("acme")
		require.Equal(t, [2]int{1, 0}, [2]int{erased, kept})
		require.Empty(t, r.incidents(t))
		require.Empty(t, r.pages(t))
		require.Empty(t, partitiontest.Values[any](t, r.Home, response.Escalations))
		r.alert(t, fault("acme"))
		require.Len(t, r.incidents(t), 1, "the others are routed among what is there")
		require.Equal(t, 2, r.incidents(t)[0].Number, "a number is given once")
	})
}

// What nobody may write is not waited for: the incidents of a team that is observed only are
// erased when they are over.
func TestErasingWhatHasNoTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.silent = true
		a := fault("acme")
		r.alert(t, a)
		require.Empty(t, r.asked(t, "itsm/rt"))
		partitiontest.Pass(time.Minute)
		r.alert(t, over(a))
		r.Do(t, func(tx *partition.Tx) error {
			_, erased, kept, err := r.desk.Erase(tx, "acme")
			require.Equal(t, [2]int{1, 0}, [2]int{erased, kept})
			return err
		})
		require.Empty(t, r.incidents(t))
	})
}
