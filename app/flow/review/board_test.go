package review_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// office is the reviews' home, with the tickets that it asks for.
type office struct {
	*partitiontest.Home
	store  *memory.Store
	rules  policy.Rules
	system string // that a team's tickets go to
	live   bool
	told   int // how often a tenant told something
}

func open(t *testing.T) *office {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	o := &office{store: memory.New(memory.Options{}), rules: policy.Rules{Policy: p, Revision: 1, Catalog: catalog.Default()}, system: "rt", live: true}
	o.begin(t)
	return o
}

func (o *office) begin(t *testing.T) {
	t.Helper()
	b := &review.Board{Catalog: func() *catalog.Catalog { return o.rules.Catalog }, Ticket: func(team catalog.Team) (string, string, bool) {
		if team.ITSM.System != "" {
			return team.ITSM.System, team.ITSM.Queue, o.live
		}
		return o.system, "queue of " + o.system, o.live
	}}
	o.Home = partitiontest.Open(t, o.store, review.Subject, partitiontest.Decider{
		Input: func(tx *partition.Tx, in store.Input) error {
			if in.Kind == outbox.InputOutcome {
				return b.Outcome(tx, in)
			}
			o.told++
			return b.Told(tx, in)
		},
		Timer: func(tx *partition.Tx, timer store.Timer) error { return b.Look(tx, timer.Subject) },
	})
}

// waits is a tenant of which a proposal waits for a person; number 0: nothing does.
func waits(number int, since time.Time) evolution.State {
	if number == 0 {
		return evolution.State{}
	}
	return evolution.State{Proposal: &evolution.Proposal{Number: number, From: "few", To: "many", Cause: "the volume grew", Held: "only a person promotes", WaitsSince: &since}}
}

func (o *office) tell(t *testing.T, id tenant.ID, was, is evolution.State) {
	t.Helper()
	o.Do(t, func(tx *partition.Tx) error { review.Tell(tx, o.rules, tenant.Tenant{ID: id}, was, is); return nil })
}

// asked are the documents that were asked for of a system's tickets, in order.
func (o *office) asked(t *testing.T, system string) (out []outbox.TicketJob) {
	t.Helper()
	for _, in := range partitiontest.Arrived(t, o.store, store.DestinationSubject("itsm/"+system)) {
		d, err := partition.DecodeInput[delivery.Delivery](in)
		require.NoError(t, err)
		require.Equal(t, review.Subject, d.Subject)
		job, err := partition.DecodeInput[outbox.TicketJob](store.Input{Version: 1, Payload: d.Payload})
		require.NoError(t, err)
		out = append(out, job)
	}
	return out
}

func (o *office) wrote(t *testing.T, ref string, got itsm.Result) {
	t.Helper()
	o.Offer(t, store.Input{ID: "outcome/" + ref + "/" + got.Ref.ID, Kind: outbox.InputOutcome, Version: 1, Subject: review.Subject,
		Payload: partition.Payload(delivery.Outcome{Verb: outbox.Ticket, Ref: ref, Final: true, OK: true, Data: partition.Payload(got)})})
}

// Two tenants of one hour are one ticket; a third is a change of it; when nothing waits any
// more it is closed, where it is.
func TestOneTicketForAllOfATeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		first := time.Now().UTC()
		o.tell(t, "acme", waits(0, first), waits(1, first))
		partitiontest.Pass(30 * time.Second)
		o.tell(t, "bolt", waits(0, first), waits(1, first))
		require.Empty(t, o.asked(t, "rt"))
		partitiontest.Pass(2 * time.Minute)
		jobs := o.asked(t, "rt")
		require.Len(t, jobs, 1)
		require.Equal(t, "2 tenants' profiles wait for somebody to decide", jobs[0].Ticket.Title)
		require.Equal(t, "review-payments-1", jobs[0].Ticket.Key)
		require.Equal(t, itsm.Open, jobs[0].Ticket.State)
		o.wrote(t, "review/payments/1", itsm.Result{Ref: itsm.Ref{ID: "17"}})

		o.tell(t, "acme", waits(1, first), waits(1, first))
		partitiontest.Pass(2 * time.Minute)
		require.Len(t, o.asked(t, "rt"), 1)
		require.Equal(t, 2, o.told, "that is no news")

		o.End()
		o.begin(t)
		o.system = "other" // the team moves: its open ticket does not
		o.tell(t, "acme", waits(1, first), waits(0, first))
		partitiontest.Pass(2 * time.Minute)
		o.tell(t, "bolt", waits(1, first), waits(0, first))
		partitiontest.Pass(2 * time.Minute)
		require.Empty(t, o.asked(t, "other"))
		jobs = o.asked(t, "rt")
		require.Len(t, jobs, 3)
		require.Equal(t, "1 tenant's profile waits for somebody to decide", jobs[1].Ticket.Title)
		require.Equal(t, itsm.Resolved, jobs[2].Ticket.State)
		for i, j := range jobs[1:] {
			require.Equal(t, "17", j.Known.ID, "the ticket that is there is written to")
			require.Greater(t, j.Ticket.Version, jobs[i].Ticket.Version)
			require.Equal(t, "review-payments-1", j.Ticket.Key)
		}
		list, err := review.Waits(t.Context(), o.store)
		require.NoError(t, err)
		require.Empty(t, list)

		// What waits then is a ticket of its own, in the system of then; what an earlier
		// one's attempt still reports is not taken for it.
		o.tell(t, "acme", waits(0, first), waits(2, first))
		partitiontest.Pass(2 * time.Minute)
		o.wrote(t, "review/payments/1", itsm.Result{Ref: itsm.Ref{ID: "18"}})
		o.tell(t, "bolt", waits(0, first), waits(2, first))
		partitiontest.Pass(2 * time.Minute)
		require.Len(t, o.asked(t, "rt"), 3)
		jobs = o.asked(t, "other")
		require.Len(t, jobs, 2)
		require.Equal(t, "review-payments-2", jobs[1].Ticket.Key)
		require.Empty(t, jobs[1].Known.ID)
		var said []string
		for _, e := range o.Ledger(t) {
			require.Equal(t, "team/payments", e.Subject)
			said = append(said, e.Reason)
		}
		require.Equal(t, []string{"team payments is told by ticket: 2 tenants' profiles wait for somebody to decide", "nothing waits for team payments any more",
			"team payments is told by ticket: 1 tenant's profile waits for somebody to decide"}, said)
	})
}

// A notice that nobody heeds is reminded of once a week, also by the next process.
func TestANoticeIsRemindedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		first := time.Now().UTC()
		o.tell(t, "acme", waits(0, first), waits(1, first))
		partitiontest.Pass(2 * time.Minute)
		o.End()
		partitiontest.Pass(7*24*time.Hour - time.Hour)
		o.begin(t)
		require.Len(t, o.asked(t, "rt"), 1)
		partitiontest.Pass(2 * time.Hour)
		jobs := o.asked(t, "rt")
		require.Len(t, jobs, 2)
		require.Len(t, jobs[1].Ticket.Notes, 1)
		require.Contains(t, jobs[1].Ticket.Notes[0].Text, "waits for somebody to decide still")
	})
}

// Where nothing may be written nothing is asked for; what waits is listed all the same, the
// longest first, and is a ticket once the team is live.
func TestATeamThatIsNotLiveYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.live = false
		late := time.Now().UTC()
		o.tell(t, "acme", waits(0, late), waits(1, late))
		o.tell(t, "bolt", waits(0, late), waits(1, late.Add(-time.Hour)))
		partitiontest.Pass(2 * time.Minute)
		require.Empty(t, o.asked(t, "rt"))
		list, err := review.Waits(t.Context(), o.store)
		require.NoError(t, err)
		require.Equal(t, []string{"bolt", "acme"}, []string{list[0].Tenant, list[1].Tenant})
		require.Equal(t, "payments", list[0].Team)

		o.live = true
		o.tell(t, "coop", waits(0, late), waits(1, late))
		partitiontest.Pass(2 * time.Minute)
		require.Len(t, o.asked(t, "rt"), 1)
	})
}

// A team that goes live when nothing waits any more gets no ticket of what is over; its next
// notice is one.
func TestATeamThatGoesLiveTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.live = false
		first := time.Now().UTC()
		o.tell(t, "acme", waits(0, first), waits(1, first))
		partitiontest.Pass(2 * time.Minute)
		o.live = true
		o.tell(t, "acme", waits(1, first), waits(0, first))
		partitiontest.Pass(2 * time.Minute)
		require.Empty(t, o.asked(t, "rt"))
		o.tell(t, "acme", waits(0, first), waits(2, first))
		partitiontest.Pass(2 * time.Minute)
		jobs := o.asked(t, "rt")
		require.Len(t, jobs, 1)
		require.Equal(t, "review-payments-2", jobs[0].Ticket.Key)
		require.Equal(t, itsm.Open, jobs[0].Ticket.State)
	})
}
