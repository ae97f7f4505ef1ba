package flow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

func TestAnAlertBecomesAnIncidentATicketAndAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		a := fault("acme")
		l.offer(t, "1", a)
		require.Len(t, l.incidents(t), 1)
		in := l.incidents(t)[0]
		require.Equal(t, 1, in.Number)
		require.Equal(t, "payments", string(in.Team))
		after(500 * time.Millisecond)
		require.Len(t, l.tickets(t), 1, "the ticket does not wait")
		l.offer(t, "2", fault("bolt")) // another tenant's, of the same step
		require.Empty(t, l.mail.carried(), "the page waits a moment for the others")
		after(3 * time.Second)
		pages := l.mail.carried()
		require.Len(t, pages, 1)
		require.Contains(t, pages[0].Text, "Tenants: 2")
		require.Contains(t, pages[0].Text, "https://tocsin.test/p/"+pages[0].ID)
		require.Contains(t, pages[0].Text, l.tickets(t)[0].Number)
		require.NotNil(t, pages[0].Picture)
		require.Equal(t, "a picture", string(pages[0].Picture.Content))
		require.Len(t, l.pages(t), 1)
		require.Equal(t, oncall.Sent, l.pages(t)[0].State)
		require.Equal(t, "250 ok", l.pages(t)[0].Detail)
		after(10 * time.Second)
		in = l.incidents(t)[0]
		require.NotEmpty(t, in.Dashboard.Blob)
		require.Equal(t, in.Mirror.Desired, in.Mirror.Delivered, "the ticket says the newest")
		tk := l.tickets(t)[0]
		require.Equal(t, string(in.ID), tk.Key)
		pictures := 0
		for _, n := range tk.Notes {
			if n.Attachment != nil {
				pictures++
			}
		}
		require.Equal(t, 1, pictures)

		kinds := l.kinds(t)
		for _, k := range []string{"incident.opened", "incident.joined", "page.requested", "page.sent"} {
			require.Equal(t, 1, kinds[k], "%s in %v", k, kinds)
		}
		syncs := l.desk.syncs
		after(3 * time.Minute)
		require.Equal(t, kinds, l.kinds(t), "nothing happens by itself")
		require.Equal(t, syncs, l.desk.syncs)

		l.offer(t, "3", over(a))
		require.Equal(t, incident.StateOpen, l.incidents(t)[0].State, "the other one still fires")
		l.offer(t, "4", over(fault("bolt")))
		after(5 * time.Second)
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		require.Equal(t, itsm.Resolved, l.tickets(t)[0].State)
		require.Len(t, l.mail.carried(), 1)
		l.end()
	})
}

func TestAFaultThatIsOverBeforeThePageLeavesPagesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		a := fault("acme")
		l.offer(t, "1", a)
		after(time.Second)
		l.offer(t, "2", over(a))
		after(time.Minute)
		require.Empty(t, l.mail.carried())
		require.Len(t, l.pages(t), 1)
		require.Equal(t, oncall.Withdrawn, l.pages(t)[0].State)
		kinds := l.kinds(t)
		require.Equal(t, 1, kinds["page.withdrawn"], "%v", kinds)
		require.Zero(t, kinds["page.sent"])
		require.Equal(t, itsm.Resolved, l.tickets(t)[0].State, "the ticket tells of it all the same")
		l.end()
	})
}

func TestWhoHasTakenItIsNotCalledWhenTheChannelIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		l.mail.breaks(func(context.Context) error { return problem.New(problem.Unavailable, "no mail today") })
		l.offer(t, "1", fault("acme"))
		after(30 * time.Second)
		page := l.pages(t)[0]
		require.Equal(t, oncall.Pending, page.State)
		require.Equal(t, 1, l.kinds(t)["page.delayed"], "trouble is told once")
		subject := response.Subject(env)
		for range 2 { // pressed twice
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				holder, err := l.shared.Incidents().AcknowledgePage(tx, string(page.ID))
				require.Equal(t, page.PersonName, holder.By.String())
				return err
			}))
		}
		require.Equal(t, incident.StateAcknowledged, l.incidents(t)[0].State)
		l.mail.breaks(nil)
		after(2 * time.Minute)
		require.Empty(t, l.mail.carried(), "who has it is not called")
		kinds := l.kinds(t)
		require.Equal(t, 1, kinds["incident.acknowledged"], "%v", kinds)
		require.Equal(t, oncall.Acknowledged, l.pages(t)[0].State)
		require.Equal(t, itsm.Acknowledged, l.tickets(t)[0].State)
		l.end()
	})
}

func TestTheSameStateOfAnAlertIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		a := fault("acme")
		raise := func(a alert.Alert) {
			t.Helper()
			subject := a.Tenant.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Raise(tx, a) }))
			synctest.Wait()
		}
		raise(a)
		after(20 * time.Second)
		before, kinds := l.incidents(t), l.kinds(t)
		require.Len(t, before, 1)
		require.Equal(t, 1, kinds["alert.firing"])
		for range 3 {
			raise(a) // as a replay of the journal does
		}
		old := a
		old.AsOf, old.Evidence.K = a.AsOf.Add(-15*time.Second), 1
		raise(old)
		l.offer(t, "another way", a)
		after(20 * time.Second)
		require.Equal(t, before, l.incidents(t))
		require.Equal(t, kinds, l.kinds(t))
		require.Len(t, l.mail.carried(), 1)

		newer := a
		newer.AsOf, newer.Evidence.N, newer.Evidence.K = time.Now().UTC(), 400, 380
		raise(newer)
		after(5 * time.Second)
		require.Equal(t, kinds, l.kinds(t), "newer evidence of what fires anyway is no decision")
		require.InDelta(t, 380, l.incidents(t)[0].Alerts[0].Evidence.K, 0)

		raise(over(newer))
		raise(newer) // and a replay that comes after the end
		after(20 * time.Second)
		kinds = l.kinds(t)
		require.Equal(t, 1, kinds["alert.firing"])
		require.Equal(t, 1, kinds["alert.resolved"])
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		require.Equal(t, 1, l.incidents(t)[0].Openings)
		l.end()
	})
}

func TestADeliveryThatWasCutShortIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.begin(t)
		var tried []string
		w.mail.breaks(func(ctx context.Context) error {
			tried = append(tried, "cut short")
			<-ctx.Done()
			return ctx.Err()
		})
		l.offer(t, "1", fault("acme"))
		after(4 * time.Second)
		require.Len(t, tried, 1, "it is under way")
		first := l.pages(t)
		l.end()
		require.Equal(t, oncall.Pending, l.pages(t)[0].State)

		after(20 * time.Second) // nobody serves
		require.Empty(t, w.mail.carried())
		w.mail.breaks(nil)
		l = w.begin(t)
		after(5 * time.Second)
		carried := w.mail.carried()
		require.Len(t, carried, 1)
		require.Equal(t, string(first[0].ID), carried[0].ID, "under the same Message-ID")
		require.Equal(t, first[0].Key, carried[0].Key)
		require.Len(t, l.pages(t), 1)
		require.Equal(t, oncall.Sent, l.pages(t)[0].State)
		kinds := l.kinds(t)
		for _, k := range []string{"incident.opened", "page.requested", "page.sent"} {
			require.Equal(t, 1, kinds[k], "%s in %v", k, kinds)
		}
		after(time.Minute)
		require.Len(t, w.mail.carried(), 1)
		require.Len(t, l.tickets(t), 1)
		l.end()

		l = w.begin(t) // what was finished stays so
		after(time.Minute)
		require.Len(t, w.mail.carried(), 1)
		require.Equal(t, kinds["page.sent"], l.kinds(t)["page.sent"])
		l.end()
	})
}

func TestATicketSystemThatIsDownHoldsNoPageUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		l.desk.breaks(problem.New(problem.Unavailable, "the ticket system is down"))
		l.offer(t, "1", fault("acme"))
		after(5 * time.Second)
		require.Len(t, l.mail.carried(), 1)
		after(3 * time.Minute)
		require.Empty(t, l.tickets(t))
		require.Contains(t, l.incidents(t)[0].Mirror.Error, "down")
		require.Less(t, l.desk.syncs, 30, "it is asked less and less often")
		l.desk.breaks(nil)
		after(2 * time.Minute)
		require.Len(t, l.tickets(t), 1)
		in := l.incidents(t)[0]
		require.Empty(t, in.Mirror.Error)
		require.Equal(t, l.tickets(t)[0].Number, in.Mirror.Ref.Number)
		require.Equal(t, 1, l.kinds(t)["incident.opened"])
		l.end()
	})
}

func TestAnInputOfALaterReleaseIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		in := response.Alert("later", fault("acme"))
		in.Version = 2
		home := store.PartitionOf(in.Subject)
		require.NoError(t, l.store.Offer(t.Context(), home, in))
		l.offer(t, "now", fault("bolt"))
		require.Len(t, l.incidents(t), 1, "what comes after it is served")
		_, kept, err := l.store.Record(t.Context(), home, "refused", "later")
		require.NoError(t, err)
		require.True(t, kept)
		l.end()
	})
}
