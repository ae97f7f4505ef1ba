package flow_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// tiered is the built-in policy with two tiers, the larger of which has a rule more.
func tiered(t *testing.T) *profiles.Policy {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	text := string(p.Text)
	require.Contains(t, text, "\nrules:\n")
	require.NotContains(t, text, "\nevolution:")
	own := regexp.MustCompile(`(?m)^tiers:\n(?:[ #].*\n)+`)
	require.Regexp(t, own, text)
	text = own.ReplaceAllString(text, "")
	text = strings.Replace(text, "\nrules:\n", `
tiers:
  - {name: few, from_tpm: 0}
  - {name: many, from_tpm: 200}
evolution: {grow_after: 1h, shrink_after: 1h, shadow_for: 1h}
calendar:
  - {name: sale, effect: hold_revisions, starts_at: 2000-01-01T00:00:00Z, ends_at: 2001-01-01T00:00:00Z, tenants: [corp], why: a sale, by: eve}
rules:
  - name: many_errors
    kind: errors
    sli: payments
    service: payments
    severity: critical
    summary: Payments of a large tenant fail
    runbook_url: https://example.com/runbooks/many
    tiers: [many]
`, 1)
	p, err = profiles.Parse("test", []byte(text))
	require.NoError(t, err)
	return p
}

func (s *shop) course(t *testing.T) course.Course {
	t.Helper()
	all := readAt[course.Course](t, s.store, store.PartitionOf(s.id.Subject()), "course")
	require.NotEmpty(t, all)
	return all[0]
}

func (s *shop) steer(t *testing.T, f func(course.Course, time.Time) (evolution.Change, error)) error {
	t.Helper()
	subject := s.id.Subject()
	h := s.shared.HandlerOf(subject)
	err := s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		return h.Profiles().Steer(tx, s.id, "eve", func(c course.Course) (evolution.Change, error) { return f(c, tx.Now()) })
	})
	synctest.Wait()
	return err
}

func (s *shop) rules(t *testing.T) []string {
	t.Helper()
	var p profiles.Profile
	require.NoError(t, s.shared.Owner(s.id.Subject()).Call(t.Context(), func(tx *partition.Tx) (err error) {
		p, err = s.shared.Profiles().Profile(tx, s.id)
		return err
	}))
	return names(p.Rules)
}

// TestAProfileGrowsWithItsTenant: the volume grows thirtyfold, another tier is
// proposed, runs in shadow over a restart, and comes in force in the middle of a
// fault: what fires goes on firing. A pin and a calendar entry keep others as they
// are.
func TestAProfileGrowsWithItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		w.only = append(w.only, tenant.ID("corp").Subject())
		w.policy = tiered(t)
		l := w.begin(t)
		acme, bolt, corp := l.shop("acme"), l.shop("bolt"), l.shop("corp")
		shops := []*shop{acme, bolt, corp}
		for _, s := range shops {
			p, _, err := s.put(t, tenant.Tenant{ExpectedTPM: 30}, 0)
			require.NoError(t, err)
			require.Equal(t, "few", p.Revision.Observation.Tier)
			require.NotContains(t, names(p.Rules), "many_errors")
			s.line(7.5)
		}
		require.NoError(t, bolt.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
			return evolution.PinAt(c.State, evolution.Pin{Tier: "few", By: "eve", Reason: "a test account"}, now)
		}))
		trade(t, 13*time.Hour, shops...)
		require.Equal(t, 32.0, acme.course(t).TPM)
		require.Nil(t, acme.course(t).Toward)

		for _, s := range shops {
			s.lines[0].perStep = 250
		}
		for acme.course(t).Proposal == nil {
			trade(t, time.Hour, shops...)
		}
		c := acme.course(t)
		require.Equal(t, [2]string{"few", "many"}, [2]string{c.Proposal.From, c.Proposal.To})
		require.Contains(t, c.Proposal.Cause, "above 200 by a margin of 20%")
		require.Nil(t, bolt.course(t).Proposal)
		require.Nil(t, corp.course(t).Proposal, "the calendar holds it")
		require.NotContains(t, acme.rules(t), "many_errors", "it is in shadow")

		acme.lines[0].share = 0.9
		trade(t, 10*time.Minute, shops...)
		fired := acme.alerts(t)
		require.Contains(t, fired, "payment_errors ")
		require.NotContains(t, fired, "many_errors ")
		for _, s := range shops {
			subject := s.id.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Checkpoint(tx, s.end) }))
		}
		l.end() // in the middle of shadow and fault
		l = w.begin(t)
		for _, s := range shops {
			s.life = l
		}
		for i := 0; acme.course(t).Proposal != nil; i++ {
			require.Less(t, i, 8)
			trade(t, 15*time.Minute, shops...)
		}
		require.Equal(t, "many", acme.course(t).Tier)
		require.Equal(t, "few", bolt.course(t).Tier)
		trade(t, 2*time.Minute, shops...)
		now := acme.alerts(t)
		require.Equal(t, alert.Firing, now["payment_errors "].State)
		require.Equal(t, fired["payment_errors "].StartsAt, now["payment_errors "].StartsAt, "what fires goes on firing")
		require.Equal(t, alert.Firing, now["many_errors "].State)
		require.WithinDuration(t, fired["payment_errors "].OnsetAt, now["many_errors "].OnsetAt, time.Minute, "the new rule knows what it saw in shadow")

		all := acme.revisions(t)
		last := all[len(all)-1]
		require.Contains(t, last.Cause, "tier many instead of few: the volume is")
		require.Contains(t, last.Cause, "would have made the pages that were made")
		require.Contains(t, strings.Join(last.Diff.Words, "; "), "many_errors")
		kinds := map[string]int{}
		for _, e := range acme.entries(t, tenant.ID("acme").Subject()) {
			kinds[e.Kind]++
		}
		require.Equal(t, 1, kinds["profile.proposed"])
		require.Equal(t, 1, kinds["profile.promoted"])
		require.Positive(t, kinds["profile.shadow_page"])

		rollBack(t, acme, len(all))
		l.end()
	})
}

// TestWhatWaitsForAPersonIsATicket: one for all tenants of a team, without a call; it is
// reminded of, survives a restart, and is over when somebody has decided or the tenant is
// gone.
func TestWhatWaitsForAPersonIsATicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		w.only = append(w.only, review.Subject, store.DestinationSubject("itsm/register"), store.DestinationSubject("register"))
		w.policy = tiered(t)
		text := strings.Replace(string(w.policy.Text), "evolution: {", "evolution: {promote: person, ", 1)
		p, err := profiles.Parse("test", []byte(text))
		require.NoError(t, err)
		w.policy = p
		l := w.begin(t)
		acme, bolt := l.shop("acme"), l.shop("bolt")
		shops := []*shop{acme, bolt}
		for _, s := range shops {
			_, _, err := s.put(t, tenant.Tenant{ExpectedTPM: 30}, 0)
			require.NoError(t, err)
			s.line(250)
		}
		for acme.course(t).Proposal == nil || acme.course(t).Proposal.WaitsSince == nil || bolt.course(t).Proposal == nil || bolt.course(t).Proposal.WaitsSince == nil {
			trade(t, time.Hour, shops...)
		}
		trade(t, 5*time.Minute, shops...)
		waits, err := review.Waits(t.Context(), l.store)
		require.NoError(t, err)
		require.Len(t, waits, 2)
		require.Equal(t, "payments", waits[0].Team)
		tickets := l.tickets(t)
		require.Len(t, tickets, 1)
		require.Equal(t, "2 tenants' profiles wait for somebody to decide", tickets[0].Title)
		require.Equal(t, [3]any{rule.Info, itsm.Open, "review-payments-1"}, [3]any{tickets[0].Severity, tickets[0].State, tickets[0].Key})
		require.Contains(t, tickets[0].Description, "- acme: tier many instead of few, because the volume is")
		require.Empty(t, l.mail.carried(), "it calls nobody")
		require.Equal(t, 1, l.kinds(t)["team.reviews"])

		for _, s := range shops {
			subject := s.id.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Checkpoint(tx, s.end) }))
		}
		l.end()
		all := w.only
		w.only = []string{review.Subject, store.DestinationSubject("itsm/register")}
		l = w.begin(t)
		after(7 * 24 * time.Hour)
		tickets = l.tickets(t)
		require.Len(t, tickets, 1)
		require.Len(t, tickets[0].Notes, 1)
		l.end()
		w.only = all
		l = w.begin(t)
		acme.life, bolt.life = l, l
		require.Contains(t, tickets[0].Notes[0].Text, "wait for somebody to decide still, the longest since")

		require.NoError(t, acme.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
			return evolution.Refuse(c.State, "eve", "not yet", now)
		}))
		require.NoError(t, bolt.delete(t, 0))
		after(2 * time.Minute)
		waits, err = review.Waits(t.Context(), l.store)
		require.NoError(t, err)
		require.Empty(t, waits)
		require.Equal(t, itsm.Resolved, l.tickets(t)[0].State)
		l.end()
	})
}

// rollBack takes the profile back in the middle of the fault, and lets it follow again.
func rollBack(t *testing.T, s *shop, newest int) {
	t.Helper()
	require.NoError(t, s.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
		return evolution.PinAt(c.State, evolution.Pin{Revision: 1, By: "eve", Reason: "too loud"}, now)
	}))
	s.trade(t, time.Minute)
	require.NotContains(t, s.rules(t), "many_errors")
	ended := s.alerts(t)["many_errors "]
	require.Equal(t, alert.Resolved, ended.State)
	require.Contains(t, ended.Reason, "pinned at revision 1 by eve: too loud")
	require.Equal(t, alert.Firing, s.alerts(t)["payment_errors "].State)
	s.optIn(t, "refunds", true)
	require.NotContains(t, s.rules(t), "refund_errors", "a pin goes before an opt-in")
	require.Len(t, s.revisions(t), newest+1)
	require.NoError(t, s.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
		return evolution.Unpin(c.State, "eve", "it was right", now)
	}))
	require.Contains(t, s.rules(t), "many_errors")
	require.Contains(t, s.rules(t), "refund_errors", "what waited comes with it")
}

// TestAnOverrideEndsByItself: it changes a rule for one tenant until its time.
func TestAnOverrideEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		acme := l.shop("acme")
		_, _, err := acme.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		subject := tenant.ID("acme").Subject()
		override := func(o profiles.Override) error {
			o.Tenant, o.By = "acme", "eve"
			err := l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Profiles().Override(tx, o) })
			synctest.Wait()
			return err
		}
		err = override(profiles.Override{Rule: "payment_errors", Until: time.Now().Add(-time.Hour), Reason: "late", Off: true})
		require.Equal(t, problem.Invalid, problem.From(err).Kind)
		err = override(profiles.Override{Rule: "nothing", Until: time.Now().Add(time.Hour), Reason: "wrong", Off: true})
		require.Equal(t, problem.Invalid, problem.From(err).Kind)
		require.NoError(t, override(profiles.Override{Rule: "payment_errors", Until: time.Now().Add(3 * time.Hour), Reason: "a migration", Off: true}))
		require.NotContains(t, acme.rules(t), "payment_errors")
		after(time.Hour)
		l.end()
		l = w.begin(t)
		acme.life = l
		require.NotContains(t, acme.rules(t), "payment_errors", "over a restart")
		after(119 * time.Minute)
		require.NotContains(t, acme.rules(t), "payment_errors")
		after(2 * time.Minute)
		require.Contains(t, acme.rules(t), "payment_errors", "by its time, not by the hour")
		all := acme.revisions(t)
		require.Contains(t, all[len(all)-1].Cause, "an override has ended")
		require.Len(t, all, 3)
		l.end()
	})
}

// TestAFrozenProfileFollowsNothing, not even an opt-in, until it is thawed.
func TestAFrozenProfileFollowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		acme := l.shop("acme")
		_, _, err := acme.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		until := time.Now().Add(90 * time.Minute)
		require.NoError(t, acme.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
			return evolution.FreezeFor(c.State, evolution.Freeze{Until: &until, By: "eve", Reason: "an audit"}, now)
		}))
		require.NoError(t, acme.steer(t, func(c course.Course, now time.Time) (evolution.Change, error) {
			return evolution.PinAt(c.State, evolution.Pin{Tier: "large", Until: &until, By: "eve", Reason: "a test"}, now)
		}))
		require.NotContains(t, names(acme.optIn(t, "refunds", true).Rules), "refund_errors")
		after(89 * time.Minute)
		require.NotContains(t, acme.rules(t), "refund_errors")
		after(2 * time.Minute)
		require.Contains(t, acme.rules(t), "refund_errors")
		all := acme.revisions(t)
		require.Len(t, all, 3)
		require.Equal(t, "the freeze has ended", all[2].Cause)
		l.end()
	})
}

// TestRevisionsAreBounded: the oldest go, but for the one that is pinned.
func TestRevisionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		acme := l.shop("acme")
		for i := range 130 {
			_, _, err := acme.put(t, tenant.Tenant{ExpectedTPM: float64(i)}, 0)
			require.NoError(t, err)
		}
		all := acme.revisions(t)
		require.Len(t, all, 100)
		require.Equal(t, [2]int{31, 130}, [2]int{all[0].Number, all[99].Number})
		l.end()
	})
}
