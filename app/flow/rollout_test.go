package flow_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/asked"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// staged is the built-in policy, whose successor comes in two stages of an hour.
func staged(t *testing.T, extra string, edits ...string) *profiles.Policy {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	text := string(p.Text) + "\nevolution: {stages: [50, 100], stage_for: 1h}\n" + extra
	for i := 0; i < len(edits); i += 2 {
		require.Contains(t, text, edits[i])
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	p, err = profiles.Parse("test", []byte(text))
	require.NoError(t, err)
	return p
}

const refundsWarn = "  - name: refund_errors\n    kind: errors\n    sli: refunds\n    service: payments\n    severity: warning\n"

// home runs f at the policy's home.
func (l *life) home(t *testing.T, f func(tx *partition.Tx) (rollout.State, error)) (s rollout.State, err error) {
	t.Helper()
	err = l.shared.Owner(rollout.Subject).Call(t.Context(), func(tx *partition.Tx) (err error) {
		s, err = f(tx)
		return err
	})
	synctest.Wait()
	return s, err
}

// follow puts in force what the store says, as a start does.
func (l *life) follow(t *testing.T) {
	t.Helper()
	c := l.shared.Rules().Catalog
	l.shared.SetRules(policy.Rules{})
	require.NoError(t, l.shared.Policy().Follow(t.Context(), c))
}

func (l *life) edit(t *testing.T, p *profiles.Policy, now bool) (rollout.State, error) {
	t.Helper()
	return l.home(t, func(tx *partition.Tx) (rollout.State, error) {
		s, _, err := l.shared.Policy().Edit(tx, policy.Edit{Policy: p, Now: now, By: "ada", Reason: "a test"})
		return s, err
	})
}

func (l *life) standing(t *testing.T) rollout.State {
	t.Helper()
	s, err := policy.Read(t.Context(), l.store)
	require.NoError(t, err)
	return s
}

// newStage is a market with a policy in force and two tenants, the first of which
// comes with the first stage of the next one.
func newStage(t *testing.T, in *profiles.Policy) (w *world, l *life, first, second *shop) {
	t.Helper()
	w = newMarket(t)
	first2, second2 := tenant.ID("acme"), tenant.ID("bolt")
	draft := rollout.Draft(rollout.State{Standing: rollout.Standing{Newest: 1}}, rollout.Settings{Stages: []float64{50, 100}}, nil)
	for n := 0; draft.Adds([]tenant.ID{first2})[0] == 0 || draft.Adds([]tenant.ID{second2})[0] == 1; n++ {
		first2, second2 = tenant.ID(fmt.Sprintf("acme-%d", n)), tenant.ID(fmt.Sprintf("bolt-%d", n/7))
	}
	w.only = append(w.only, rollout.Subject, first2.Subject(), second2.Subject())
	l = w.begin(t)
	_, err := l.home(t, func(tx *partition.Tx) (rollout.State, error) {
		c := rollout.Put(rollout.State{}, rollout.Revision{Sha: in.Sha, Text: string(in.Text), Author: "tocsin", Reason: "it was read at the start", Origin: rollout.FromFile}, tx.Now())
		policy.Put(tx, c)
		return c.State, nil
	})
	require.NoError(t, err)
	l.follow(t)
	w.follows = true
	first, second = l.shop(first2), l.shop(second2)
	for _, s := range []*shop{first, second} {
		_, _, err := s.put(t, tenant.Tenant{Features: []string{"refunds"}}, 0)
		require.NoError(t, err)
		s.line(150)
	}
	return w, l, first, second
}

func (s *shop) policy(t *testing.T) int {
	t.Helper()
	all := s.revisions(t)
	return all[len(all)-1].PolicyRevision
}

// TestAPolicyComesInStages: what fires goes on firing under the new policy, and
// nothing that was learned is forgotten.
func TestAPolicyComesInStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l, first, second := newStage(t, staged(t, ""))
		trade(t, 10*time.Minute, first, second)
		s, err := l.edit(t, staged(t, "", "name: payment_errors\n", "name: payment_errors\n    sensitivity: early\n"), false)
		require.NoError(t, err)
		require.Equal(t, [2]any{rollout.Shadow, 0}, [2]any{s.Rollout.State, s.Rollout.Stage})
		_, err = l.edit(t, staged(t, "# another\n"), false)
		require.Equal(t, problem.Conflict, problem.From(err).Kind)

		first.lines[0].share = 0.9
		trade(t, 5*time.Minute, first, second)
		require.Equal(t, []string{"payment_errors "}, first.firing(t))
		began := first.alerts(t)["payment_errors "].StartsAt
		pages := len(l.mail.carried())
		trade(t, 30*time.Minute, first, second)
		require.Equal(t, 1, first.policy(t), "it is in shadow still")

		for _, s := range []*shop{first, second} {
			subject := s.id.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Checkpoint(tx, s.end) }))
		}
		l.end() // in the middle of a stage
		l = w.begin(t)
		first.life, second.life = l, l
		trade(t, 20*time.Minute, first, second)
		s = l.standing(t)
		require.Equal(t, 1, s.Rollout.Stages[0].Agreed, "both policies page the fault: %+v", s.Rollout)
		require.Zero(t, s.Rollout.Stages[0].Extra)
		trade(t, 25*time.Minute, first, second)
		require.Equal(t, [2]int{2, 1}, [2]int{first.policy(t), second.policy(t)})
		require.Equal(t, 1, l.standing(t).Standing.InForce)
		require.Equal(t, []string{"payment_errors "}, first.firing(t))
		require.Equal(t, began, first.alerts(t)["payment_errors "].StartsAt, "it is the same firing")
		require.Len(t, l.mail.carried(), pages, "nobody is called again")

		first.lines[0].share = 0
		trade(t, 80*time.Minute, first, second)
		s = l.standing(t)
		require.Equal(t, [2]any{rollout.Done, 2}, [2]any{s.Rollout.State, s.Standing.InForce})
		require.Equal(t, 2, second.policy(t))
		require.Empty(t, first.firing(t))

		s, err = l.home(t, func(tx *partition.Tx) (rollout.State, error) {
			return l.shared.Policy().RollBack(tx, 0, "ada", "too early", nil)
		})
		require.NoError(t, err)
		after(5 * time.Second)
		require.Equal(t, 1, s.Standing.InForce)
		require.Equal(t, [2]int{1, 1}, [2]int{first.policy(t), second.policy(t)})
		all := first.revisions(t)
		require.Contains(t, strings.Join(all[len(all)-1].Diff.Words, ";"), "sensitivity balanced, before: early")
		l.end()
	})
}

// TestPagesInShadowHaltARollout: the new policy would wake somebody for refunds.
func TestPagesInShadowHaltARollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, first, second := newStage(t, staged(t, ""))
		refunds := first.line(60, "operation", "refund")
		trade(t, 10*time.Minute, first, second)
		loud := staged(t, "", refundsWarn, strings.Replace(refundsWarn, "warning", "critical", 1))
		_, err := l.edit(t, loud, false)
		require.NoError(t, err)
		trade(t, 5*time.Minute, first, second)
		refunds.share = 0.9
		trade(t, 10*time.Minute, first, second)
		require.Equal(t, rule.Warning, first.alerts(t)["refund_errors "].Severity, "what is in force warns only")
		require.Empty(t, l.mail.carried(), "a shadow pages nobody")
		require.Equal(t, rollout.Shadow, l.standing(t).Rollout.State, "the other policy has some time to see it too")
		trade(t, 10*time.Minute, first, second)
		s := l.standing(t)
		require.Equal(t, rollout.Halted, s.Rollout.State)
		require.Contains(t, s.Rollout.Why, "1 page(s) beyond those of revision 1, of 0 allowed")
		require.Equal(t, [2]any{"refund_errors", first.id}, [2]any{s.Rollout.Pages[0].Rule, s.Rollout.Pages[0].Tenant})
		trade(t, time.Hour, first, second)
		require.Equal(t, 1, first.policy(t), "nothing goes on by itself")

		_, err = l.home(t, func(tx *partition.Tx) (rollout.State, error) {
			return l.shared.Policy().Resume(tx, "ada", "refunds are worth a night")
		})
		require.NoError(t, err)
		refunds.share = 0
		trade(t, 80*time.Minute, first, second)
		require.Equal(t, 2, first.policy(t), "%+v", l.standing(t).Rollout)
		require.Equal(t, alert.Resolved, first.alerts(t)["refund_errors "].State)
		_, err = l.home(t, func(tx *partition.Tx) (rollout.State, error) {
			return l.shared.Policy().RollBack(tx, 0, "ada", "no", nil)
		})
		require.NoError(t, err)
		after(5 * time.Second)
		require.Equal(t, [2]int{1, 1}, [2]int{first.policy(t), second.policy(t)})
		require.Equal(t, rollout.RolledBack, l.standing(t).Rollout.State)
		l.end()
	})
}

// TestTheLastPagesOfAStageCount: what the other policy makes of them is known when the
// shadow's time is over.
func TestTheLastPagesOfAStageCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, first, second := newStage(t, staged(t, ""))
		refunds := first.line(60, "operation", "refund")
		trade(t, 10*time.Minute, first, second)
		_, err := l.edit(t, staged(t, "", refundsWarn, strings.Replace(refundsWarn, "warning", "critical", 1)), false)
		require.NoError(t, err)
		trade(t, 53*time.Minute, first, second)
		refunds.share = 0.9
		trade(t, 20*time.Minute, first, second)
		require.Equal(t, rollout.Halted, l.standing(t).Rollout.State)
		require.Equal(t, 1, first.policy(t))
		l.end()
	})
}

// TestATicketInShadowIsNoPage: what the new policy would raise is weighed by what is at
// stake, as a real page is.
func TestATicketInShadowIsNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const floor = "impact: {day: {share: 1, tenants: 50}, night: {share: 1, tenants: 50}}\n"
		_, l, first, second := newStage(t, staged(t, floor))
		for s, tpm := range map[*shop]float64{first: 100, second: 1300} {
			_, _, err := s.put(t, tenant.Tenant{Features: []string{"refunds"}, ExpectedTPM: tpm}, 0)
			require.NoError(t, err)
		}
		refunds := first.line(60, "operation", "refund")
		trade(t, 10*time.Minute, first, second)
		_, err := l.edit(t, staged(t, floor, refundsWarn, strings.Replace(refundsWarn, "warning", "critical", 1)), false)
		require.NoError(t, err)
		trade(t, 5*time.Minute, first, second)
		refunds.share = 0.9
		trade(t, 20*time.Minute, first, second)
		s := l.standing(t)
		require.Equal(t, rollout.Shadow, s.Rollout.State, s.Rollout.Why)
		require.Equal(t, [2]int{0, 1}, [2]int{s.Rollout.Stages[0].Extra, s.Rollout.Stages[0].Tickets})
		require.Equal(t, rollout.Small, s.Rollout.Pages[0].Verdict)
		require.Equal(t, "payments", s.Rollout.Pages[0].Team)
		require.Contains(t, s.Rollout.Pages[0].Weighed, "certain but small")
		trade(t, 60*time.Minute, first, second)
		require.Equal(t, 2, first.policy(t), "it is no reason to halt")
		require.Contains(t, fmt.Sprint(l.entries(t, rollout.Subject)), "of 0 allowed, and 1 ticket(s) that call nobody")
		l.end()
	})
}

// TestAQueryIsTriedInShadow: its rule is asked beside those in force, and has waited when it
// comes in force.
func TestAQueryIsTriedInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const expr = `payment_disputes_open > 10`
		query := staged(t, "", "\nrules:\n", "\nrules:\n  - {name: disputes, kind: promql, expr: '"+expr+"', for: 20m, service: payments, severity: critical, summary: Too many disputes, runbook_url: 'https://example.com/r'}\n")
		_, l, first, second := newStage(t, staged(t, ""))
		ask := func(s *shop, found ...question.Found) {
			t.Helper()
			subject := s.id.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				return l.shared.HandlerOf(subject).Answer(tx, asked.Answers{expr: {s.id: found}}, tx.Now())
			}))
			synctest.Wait()
		}
		run := func(d time.Duration) {
			t.Helper()
			for range int(d / time.Minute) {
				trade(t, time.Minute, first, second)
				ask(first, question.Found{Environment: env, Tenant: first.id, Value: 12})
				ask(second, question.Found{Environment: env, Tenant: second.id, Value: 12})
			}
		}
		trade(t, 5*time.Minute, first, second)
		_, err := l.edit(t, query, false)
		require.NoError(t, err)
		run(19 * time.Minute)
		l.end() // over a restart
		l = l.begin(t)
		first.life, second.life = l, l
		run(12 * time.Minute)
		require.Equal(t, rollout.Shadow, l.standing(t).Rollout.State)
		run(8 * time.Minute)
		require.Empty(t, first.firing(t))
		s := l.standing(t)
		require.Equal(t, rollout.Halted, s.Rollout.State)
		require.Equal(t, [2]any{"disputes", first.id}, [2]any{s.Rollout.Pages[0].Rule, s.Rollout.Pages[0].Tenant})
		_, err = l.home(t, func(tx *partition.Tx) (rollout.State, error) {
			return l.shared.Policy().Resume(tx, "ada", "disputes are worth a night")
		})
		require.NoError(t, err)
		run(55 * time.Minute)
		require.Equal(t, 1, first.policy(t))
		run(25 * time.Minute)
		require.Equal(t, [2]int{2, 1}, [2]int{first.policy(t), second.policy(t)})
		require.Equal(t, []string{"disputes "}, first.firing(t), "it has waited in shadow")
		require.Empty(t, second.firing(t))
		l.end()
	})
}

// TestACalendarHoldsARollout: while revisions are held, for everybody or for a tenant of
// the stage, nobody gets the new policy.
func TestACalendarHoldsARollout(t *testing.T) {
	for name, whom := range map[string]string{"for everybody": "", "for one": "countries: [DE], ", "for others": "countries: [FR], "} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until := time.Now().UTC().Add(3 * time.Hour).Format(time.RFC3339)
				p := staged(t, "calendar: [{name: sales, effect: hold_revisions, "+whom+"starts_at: 2000-01-01T00:00:00Z, ends_at: "+until+", why: peak, by: ada}]\n")
				_, l, first, _ := newStage(t, p)
				_, _, err := first.put(t, tenant.Tenant{Countries: []string{"DE"}}, 0)
				require.NoError(t, err)
				_, err = l.edit(t, staged(t, ""), false)
				require.NoError(t, err)
				after(2 * time.Hour)
				if name == "for others" {
					require.Equal(t, 2, first.policy(t))
					l.end()
					return
				}
				require.Equal(t, "sales", l.standing(t).Rollout.Held)
				announced, err := l.shared.Announcements(t.Context(), nil, time.Now())
				require.NoError(t, err)
				require.Equal(t, []string{"the rollout of policy revision 2 waits at the end of stage 1"}, announced[0].Holding)
				require.True(t, announced[0].Holds)
				require.Equal(t, map[string]int{"for everybody": 2, "for one": 1}[name], announced[0].Tenants)
				require.Equal(t, 1, first.policy(t))
				after(62 * time.Minute)
				require.Equal(t, 2, first.policy(t))
				l.end()
			})
		})
	}
}

// TestAPolicyIsTriedWithWhatItSaysOfATenant: overrides of the new policy count in its
// shadow and in a plan, those of the one in force do not, those made by API do in both.
func TestAPolicyIsTriedWithWhatItSaysOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().UTC().Add(24 * time.Hour)
		_, l, first, _ := newStage(t, staged(t, ""))
		subject := first.id.Subject()
		override := func(rule, severity string) string {
			return fmt.Sprintf("overrides: [{tenant: %s, rule: %s, severity: %s, until: %s, reason: r, by: ada}]\n", first.id, rule, severity, until.Format(time.RFC3339))
		}
		put := func(extra string) {
			t.Helper()
			_, err := l.edit(t, staged(t, extra), true)
			require.NoError(t, err)
			after(2 * time.Second)
		}
		put(override("payment_errors", "info"))
		require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
			return l.shared.HandlerOf(subject).Profiles().Override(tx, profiles.Override{Tenant: string(first.id), Rule: "refund_errors", Severity: "info", Until: until, Reason: "r", By: "bo"})
		}))
		after(2 * time.Second)
		next := staged(t, override("payment_absent", "info"))
		doc, _ := l.shared.Directory().Get(first.id)
		rules, _ := profiles.Compile(next, doc, l.shared.Profiles().Under(next, doc, time.Now()))
		got := map[string]rule.Severity{}
		for _, r := range rules {
			got[r.Name] = r.Severity
		}
		require.Equal(t, [3]rule.Severity{rule.Critical, rule.Info, rule.Info}, [3]rule.Severity{got["payment_errors"], got["payment_absent"], got["refund_errors"]})
		l.end()
	})
}

// TestAPinnedTenantKeepsItsPolicy: it gets nothing by stages, and runs nothing in shadow.
func TestAPinnedTenantKeepsItsPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, first, second := newStage(t, staged(t, ""))
		subject := first.id.Subject()
		steer := func(f func(course.Course) (evolution.Change, error)) {
			t.Helper()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				return l.shared.HandlerOf(subject).Profiles().Steer(tx, first.id, "ada", f)
			}))
			synctest.Wait()
		}
		steer(func(c course.Course) (evolution.Change, error) {
			return evolution.FreezeFor(c.State, evolution.Freeze{By: "ada", Reason: "an audit", At: time.Now()}, time.Now())
		})
		_, err := l.edit(t, staged(t, "", "name: payment_errors\n", "name: payment_errors\n    sensitivity: early\n"), false)
		require.NoError(t, err)
		trade(t, 155*time.Minute, first, second)
		require.Equal(t, rollout.Done, l.standing(t).Rollout.State)
		require.Equal(t, [2]int{1, 2}, [2]int{first.policy(t), second.policy(t)})
		require.Equal(t, "every tenant but 1 whose profile is frozen or pinned at a revision ("+string(first.id)+") has policy revision 2", l.standing(t).Rollout.Why)
		steer(func(c course.Course) (evolution.Change, error) {
			return evolution.Thaw(c.State, "ada", "it is over", time.Now())
		})
		require.Equal(t, 2, first.policy(t))
		l.end()
	})
}

// TestWhatWasRealHaltsARollout: a page that goes away is wanted as long as nobody says that
// it was real, before both policies are compared or after.
func TestWhatWasRealHaltsARollout(t *testing.T) {
	for name, soon := range map[string]bool{"said at once": true, "said later": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				loud := staged(t, "", refundsWarn, strings.Replace(refundsWarn, "warning", "critical", 1))
				_, l, first, second := newStage(t, loud)
				refunds := first.line(60, "operation", "refund")
				trade(t, 10*time.Minute, first, second)
				_, err := l.edit(t, staged(t, ""), false)
				require.NoError(t, err)
				trade(t, 5*time.Minute, first, second)
				refunds.share = 0.9
				trade(t, 5*time.Minute, first, second)
				require.Equal(t, rule.Critical, first.alerts(t)["refund_errors "].Severity)
				say := func() { require.NoError(t, l.judge(t, l.incidents(t)[0].ID, alert.VerdictReal, "")) }
				if soon {
					say()
				}
				trade(t, 20*time.Minute, first, second)
				if !soon {
					require.Equal(t, rollout.Shadow, l.standing(t).Rollout.State)
					require.Equal(t, rollout.Gone, l.standing(t).Rollout.Pages[0].Verdict)
					say()
					after(5 * time.Second)
				}
				s := l.standing(t)
				require.Equal(t, rollout.Halted, s.Rollout.State)
				require.Contains(t, s.Rollout.Why, "in shadow it would have called nobody for what ann said was real: refund_errors of "+string(first.id))
				require.Equal(t, alert.VerdictReal, s.Rollout.Pages[0].Said)
				l.end()
			})
		})
	}
}
