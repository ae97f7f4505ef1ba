package flow_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestAFeatureBringsItsRule: what a tenant opted in to is watched on its own
// signal, and only then.
func TestAFeatureBringsItsRule(t *testing.T) {
	for feature, c := range map[string]struct {
		operation, rule string
		severity        rule.Severity
	}{
		"refunds":        {"refund", "refund_errors", rule.Warning},
		"payouts":        {"payout", "payout_errors", rule.Critical},
		"captures":       {"capture", "capture_errors", rule.Critical},
		"three_d_secure": {"challenge", "challenge_errors", rule.Critical},
		"subscriptions":  {"renewal", "renewal_errors", rule.Critical},
	} {
		t.Run(feature, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newMarket(t).begin(t)
				with, without := l.shop("acme"), l.shop("bolt")
				var signals []*line
				for _, s := range []*shop{with, without} {
					_, _, err := s.put(t, tenant.Tenant{}, 0)
					require.NoError(t, err)
					s.line(150)
					for _, op := range []string{"refund", "payout", "capture", "challenge", "renewal"} {
						if x := s.line(60, "operation", op, "acquirer", "alpha"); op == c.operation {
							signals = append(signals, x)
						}
					}
				}
				p := with.optIn(t, feature, true)
				require.Contains(t, names(p.Rules), c.rule)
				trade(t, 5*time.Minute, with, without)
				require.Empty(t, with.alerts(t))
				for _, x := range signals {
					x.share = 0.9
				}
				trade(t, 2*time.Minute, with, without)
				require.Equal(t, []string{c.rule + " "}, with.firing(t), "the feature's own rule and no other")
				require.Empty(t, without.alerts(t), "who did not opt in is not watched for it")
				a := with.alerts(t)[c.rule+" "]
				require.Equal(t, c.severity, a.Severity)
				require.Equal(t, tenant.ID("acme"), a.Tenant)
				require.Len(t, l.incidents(t), 1)
				l.end()
			})
		})
	}
}

func names(rules []rule.Rule) (out []string) {
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return out
}

// TestOptingOutEndsWhatFires: in the middle of an incident the feature is
// switched off, and everything says why the alert is over.
func TestOptingOutEndsWhatFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		s := l.shop("acme")
		_, _, err := s.put(t, tenant.Tenant{Features: []string{"payouts"}}, 0)
		require.NoError(t, err)
		s.line(150)
		x := s.line(60, "operation", "payout", "acquirer", "alpha")
		s.trade(t, 10*time.Minute)
		x.share = 0.9
		s.trade(t, 3*time.Minute)
		require.Equal(t, []string{"payout_errors "}, s.firing(t))
		require.Equal(t, incident.StateOpen, l.incidents(t)[0].State)
		pages := len(l.mail.carried())
		require.Equal(t, 1, pages)

		s.opt(t, "payouts", false, "they move to another provider")
		after(5 * time.Second)
		a := s.alerts(t)["payout_errors "]
		require.Equal(t, alert.Resolved, a.State)
		require.Contains(t, a.Reason, "the tenant opted out of payouts")
		require.NotNil(t, a.EndsAt)
		i := l.incidents(t)[0]
		require.Equal(t, incident.StateResolved, i.State)
		const why = "all its alerts have ended, not because it is over: the tenant opted out of payouts: they move to another provider"
		require.Equal(t, why, i.ResolutionReason)
		require.Equal(t, "Resolved: "+why+".", i.Notes[len(i.Notes)-1].Text, "the ticket says so")
		s.trade(t, 2*time.Minute)
		require.Empty(t, s.firing(t), "the fault goes on, and nobody watches it")
		require.Len(t, l.mail.carried(), pages)

		revisions := s.revisions(t)
		last := revisions[len(revisions)-1]
		require.Equal(t, "the tenant opted out of payouts: they move to another provider", last.Cause)
		require.Equal(t, "test", last.Author)
		require.Contains(t, last.Diff.Words, "payout_errors is removed: what it has firing ends")
		require.Equal(t, []string{"payout_errors"}, names(last.Diff.Removed))
		require.Len(t, last.Reasons, len(revisions[0].Reasons)-1)
		l.end()
	})
}

// TestACountryOptedInToIsAlwaysJudged: among more countries than are judged, the
// smallest is seen by the tenant that opted in to it.
func TestACountryOptedInToIsAlwaysJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		var shops []*shop
		var small []*line
		for _, id := range []tenant.ID{"acme", "bolt"} {
			s := l.shop(id)
			_, _, err := s.put(t, tenant.Tenant{}, 0)
			require.NoError(t, err)
			for i := range 12 {
				s.line(300, "country", "C"+strconv.Itoa(i))
			}
			small = append(small, s.line(30, "country", "PT"))
			shops = append(shops, s)
		}
		shops[0].trade(t, time.Minute) // it trades there already when it opts in
		p := shops[0].optIn(t, "country.pt", true)
		require.Contains(t, p.Reasons[0], "country=pt judged whatever the volume")
		trade(t, 10*time.Minute, shops...)
		for _, x := range small {
			x.share = 0.95
		}
		trade(t, 3*time.Minute, shops...)
		require.Contains(t, shops[0].alerts(t), "payment_errors country=PT")
		require.NotContains(t, shops[1].alerts(t), "payment_errors country=PT")
		l.end()
	})
}

// TestWhatAStateMeans for evaluating, tickets and pages.
func TestWhatAStateMeans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		s := l.shop("acme")
		p, _, err := s.put(t, tenant.Tenant{State: tenant.Onboarding}, 0)
		require.NoError(t, err)
		require.Equal(t, rule.Warning, p.Rules[0].Severity)
		require.Contains(t, p.Reasons[0], "onboarding")
		x := s.line(150)
		s.trade(t, 10*time.Minute)
		x.share = 0.9
		s.trade(t, 3*time.Minute)
		require.Equal(t, rule.Warning, s.alerts(t)["payment_errors "].Severity)
		require.Len(t, l.tickets(t), 1, "onboarding: a ticket")
		require.Empty(t, l.mail.carried(), "and nobody is woken")

		_, _, err = s.put(t, tenant.Tenant{State: tenant.Live}, 0)
		require.NoError(t, err)
		s.trade(t, 3*time.Minute)
		require.Equal(t, rule.Critical, s.alerts(t)["payment_errors "].Severity, "live: as the rule says")
		require.Len(t, l.mail.carried(), 1, "what still fails calls somebody now")

		_, _, err = s.put(t, tenant.Tenant{State: tenant.Paused}, 0)
		require.NoError(t, err)
		after(5 * time.Second)
		require.Contains(t, s.alerts(t)["payment_errors "].Reason, "the tenant is paused")
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		s.trade(t, 10*time.Minute)
		require.Empty(t, s.firing(t), "paused: not judged")
		learned := s.status(t)
		require.NotEmpty(t, learned.SLIs, "and nothing is forgotten")

		x.share = 0
		_, _, err = s.put(t, tenant.Tenant{State: tenant.Live}, 0)
		require.NoError(t, err)
		s.trade(t, 10*time.Minute)
		require.Empty(t, s.firing(t))
		for _, e := range l.entries(t, tenant.ID("acme").Subject()) {
			require.NotEqual(t, "tenant.blind", e.Kind, "nobody listened while it was paused")
		}

		_, stored, err := s.put(t, tenant.Tenant{State: tenant.Retired}, 0)
		require.NoError(t, err)
		require.Empty(t, s.status(t).SLIs, "retired: what was learned is forgotten")
		s.trade(t, time.Minute)
		require.Nil(t, s.status(t).LastReceivedAt)
		_, back, err := s.put(t, tenant.Tenant{State: tenant.Live}, stored.Revision)
		require.NoError(t, err)
		require.True(t, back.OnboardedAt.After(stored.OnboardedAt), "it begins anew")
		_, _, err = s.put(t, tenant.Tenant{Name: "late"}, stored.Revision)
		require.True(t, problem.Is(err, problem.Conflict), "%v", err)
		l.end()
	})
}

// TestAnIdUsedAgainStartsFresh: the tenant that gets the id of one that left has
// its own profile and is young again.
func TestAnIdUsedAgainStartsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		w.youngFor = 30 * time.Minute
		l := w.begin(t)
		s := l.shop("acme")
		first, _, err := s.put(t, tenant.Tenant{Features: []string{"payouts"}, Name: "the first"}, 0)
		require.NoError(t, err)
		s.optIn(t, "refunds", true)
		x := s.line(150)
		s.trade(t, 45*time.Minute)
		require.False(t, s.status(t).Young)
		x.share = 0.9
		s.trade(t, 3*time.Minute)
		require.NotEmpty(t, s.firing(t))
		require.True(t, problem.Is(s.delete(t, 7), problem.Conflict), "somebody else changed it")
		require.NoError(t, s.delete(t, 2))
		require.Empty(t, s.firing(t), "its alerts end with it")
		require.True(t, problem.Is(s.delete(t, 0), problem.NotFound))
		require.Len(t, s.revisions(t), 2, "how its profile came to be stays readable")
		l.end()

		l = w.begin(t) // the end of the process in between changes nothing
		s = l.shop("acme")
		p, stored, err := s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		require.Equal(t, 1, stored.Revision)
		require.Equal(t, 1, p.Revision.Number)
		require.Empty(t, stored.Features)
		require.Less(t, len(p.Rules), len(first.Rules))
		require.Len(t, s.revisions(t), 1)
		st := s.status(t)
		require.True(t, st.Young)
		require.Nil(t, st.LastSampleAt)
		y := s.line(150)
		s.end = journal.Position{Segment: 2}
		s.trade(t, 10*time.Minute)
		y.share = 0.05 // no hard fault: a grown-up tenant would alert
		s.trade(t, 10*time.Minute)
		require.Empty(t, s.firing(t))
		require.True(t, s.status(t).Young)
		l.end()
	})
}

// TestAnIdUsedAgainIsItsOwnFromThenOn: who had it before is noted when that one leaves and
// when the next one comes, also where a release before left only the revisions.
func TestAnIdUsedAgainIsItsOwnFromThenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		s := l.shop("acme")
		since := func() time.Time { return s.shared.Since(t.Context(), "acme") }
		_, _, err := s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		require.Zero(t, since(), "nobody had it before: history that is sent for it later is its own")
		after(time.Minute)
		require.NoError(t, s.delete(t, 0))
		require.Equal(t, time.Now().UTC(), since())
		after(time.Minute)
		require.NoError(t, s.shared.Owner(s.id.Subject()).Call(t.Context(), func(tx *partition.Tx) error {
			tx.Delete("former", "acme")
			return nil
		}))
		l.end()
		l = w.begin(t)
		s = l.shop("acme")
		require.Zero(t, since())
		_, _, err = s.put(t, tenant.Tenant{OnboardedAt: time.Now().AddDate(-1, 0, 0)}, 0)
		require.NoError(t, err)
		began := time.Now().UTC()
		require.Equal(t, began, since(), "whatever its document says")
		after(time.Minute)
		_, _, err = s.put(t, tenant.Tenant{Name: "changed"}, 0)
		require.NoError(t, err)
		require.Equal(t, began, since())
		require.NoError(t, s.delete(t, 0))
		after(time.Minute)
		_, _, err = s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		began = time.Now().UTC()
		require.Equal(t, began, since(), "what came in between is not its own either")
		l.end()
		l = w.begin(t)
		require.Equal(t, began, l.shared.Since(t.Context(), "acme"))
		l.end()
	})
}

// TestAnIdUsedAgainIsAsLargeAsItPromises: what was observed was of somebody else.
func TestAnIdUsedAgainIsAsLargeAsItPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		acme, bolt := l.shop("acme"), l.shop("bolt")
		_, first, err := acme.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		_, _, err = bolt.put(t, tenant.Tenant{ExpectedTPM: 3}, 0)
		require.NoError(t, err)
		l.shared.Profiles().Scale.Set("acme", 1e6)
		after(2 * time.Minute)
		require.Greater(t, l.shared.Profiles().Scale.Stake(first, time.Now()).Share, 0.99)
		require.NoError(t, acme.delete(t, 0))
		_, second, err := acme.put(t, tenant.Tenant{ExpectedTPM: 1}, 0)
		require.NoError(t, err)
		after(2 * time.Minute)
		require.InDelta(t, 0.25, l.shared.Profiles().Scale.Stake(second, time.Now()).Share, 0.01)
		l.end()
	})
}

func TestRevisionsOfTheVersionBeforeAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		s := l.shop("acme")
		_, _, err := s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		require.NoError(t, s.shared.Owner(s.id.Subject()).Call(t.Context(), func(tx *partition.Tx) error {
			list, err := course.Revisions(tx, s.id)
			require.NoError(t, err)
			list[0].Document = nil
			return tx.Put("profile", "acme/00000001", "profile", 1, list[0])
		}))
		l.end()
		l = w.begin(t)
		s = l.shop("acme")
		s.optIn(t, "refunds", true)
		list := s.revisions(t)
		require.Len(t, list, 2)
		require.Contains(t, list[0].Diff.Words[0], "did not keep")
		require.Contains(t, list[1].Diff.Words[0], "not known")
		require.NotEmpty(t, list[1].Reasons)
		s.optIn(t, "payouts", true)
		last := s.revisions(t)[2]
		require.Equal(t, "the tenant opted in to payouts", last.Cause)
		require.Equal(t, []string{"payout_errors"}, names(last.Diff.Added))
		l.end()
	})
}
