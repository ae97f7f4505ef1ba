package trial_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const acme = tenant.ID("acme")

// faulty is a store of which some records cannot be read for a while.
type faulty struct {
	store.Store
	key   string
	fails int // how often yet
}

func (f *faulty) Record(ctx context.Context, p store.Partition, collection, key string) (store.Record, bool, error) {
	if collection == "trial" && key == f.key && f.fails > 0 {
		f.fails--
		return store.Record{}, false, errors.New("a disk fails")
	}
	return f.Store.Record(ctx, p, collection, key)
}

// stage is a tenant's home while it tries revision 2 of the policy.
type stage struct {
	*partitiontest.Home
	store *faulty
	bench *trial.Bench
}

func open(t *testing.T) *stage {
	t.Helper()
	s := &stage{store: &faulty{Store: memory.New(memory.Options{})}}
	s.begin(t, trial.Attempt{Policy: 2})
	return s
}

func (s *stage) begin(t *testing.T, a trial.Attempt) {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	var all directory.Directory
	all.Put(tenant.Tenant{ID: acme, State: tenant.Live, ExpectedTPM: 600})
	s.bench = trial.New(trial.Options{Rules: func() policy.Rules { return policy.Rules{Policy: p, Revision: 1, Catalog: catalog.Default()} }, Directory: &all,
		Scale: &whole.Scale{List: all.List}, Logger: slog.New(slog.DiscardHandler)})
	s.bench.Set(acme, a, nil)
	s.Home = partitiontest.Open(t, s.store, acme.Subject(), partitiontest.Decider{
		Timer: func(tx *partition.Tx, timer store.Timer) error { return s.bench.Compare(tx, timer.Subject) },
	})
}

func (s *stage) note(t *testing.T, inForce, inShadow []alert.Alert) {
	t.Helper()
	s.Do(t, func(tx *partition.Tx) error { s.bench.Note(tx, inForce, inShadow); return nil })
}

// told is what the policy's home was told of pages.
func (s *stage) told(t *testing.T) (out []rollout.Page) {
	t.Helper()
	for _, in := range partitiontest.Arrived(t, s.store, rollout.Subject) {
		require.Equal(t, policy.InputPage, in.Kind)
		p, err := partition.DecodeInput[policy.Page](in)
		require.NoError(t, err)
		require.Equal(t, 2, p.Revision)
		out = append(out, p.Page)
	}
	return out
}

// What was noted in a Tx that is thrown away is noted with the next one, and not again after.
func TestWhatIsThrownAwayIsNotedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		require.Error(t, s.Try(t, func(tx *partition.Tx) error {
			s.bench.Note(tx, []alert.Alert{firing("payment_errors")}, nil)
			return errors.New("what else is decided with it fails")
		}))
		require.Empty(t, partitiontest.Values[struct{}](t, s.Home, "trial"))
		s.note(t, nil, nil)
		require.Len(t, partitiontest.Values[struct{}](t, s.Home, "trial"), 1)
		s.Do(t, func(tx *partition.Tx) error { _, err := trial.Forget(tx, acme); return err })
		s.note(t, nil, nil)
		require.Empty(t, partitiontest.Values[struct{}](t, s.Home, "trial"))
		s.End()
	})
}

func verdicts(pages []rollout.Page) (out []rollout.Verdict) {
	for _, p := range pages {
		out = append(out, p.Verdict)
	}
	return out
}

func (s *stage) records(t *testing.T) int {
	t.Helper()
	return len(partitiontest.Values[any](t, s.Home, "trial"))
}

func firing(name string, slice ...sli.Dim) alert.Alert {
	now := time.Now().UTC()
	k := alert.Key{Environment: "production", Tenant: acme, Service: "payments", Rule: name, Slice: slice}
	return alert.Alert{ID: k.ID(), Key: k, Kind: rule.Errors, Severity: rule.Critical, State: alert.Firing, OnsetAt: now.Add(-time.Minute), StartsAt: now, AsOf: now,
		Evidence: alert.Evidence{N: 300, K: 270, Usual: .01, Score: 40, Needed: 12, Share: 1, RatePerMinute: 600, Test: "cusum", Hard: true}, Reason: "270 of 300 failed"}
}

func over(a alert.Alert) alert.Alert {
	now := time.Now().UTC()
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &now, now
	return a
}

func list(as ...alert.Alert) []alert.Alert { return as }

// A page of one side alone is told once, when the other has had its time; a process that
// starts meanwhile tells it all the same.
func TestAPageOfOneSideIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		shadow bool
		want   rollout.Verdict
	}{"extra": {true, rollout.Extra}, "gone": {false, rollout.Gone}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				a := firing("payment_errors")
				note := func(a alert.Alert) {
					if c.shadow {
						s.note(t, nil, list(a))
					} else {
						s.note(t, list(a), nil)
					}
				}
				note(a)
				note(a)
				partitiontest.Pass(trial.Wait - time.Minute)
				require.Empty(t, s.told(t))
				s.End()
				s.begin(t, trial.Attempt{Policy: 2})
				partitiontest.Pass(2 * time.Minute)
				pages := s.told(t)
				require.Equal(t, []rollout.Verdict{c.want}, verdicts(pages))
				require.Equal(t, a.StartsAt, pages[0].At)
				require.Equal(t, "payments", pages[0].Team)
				side := pages[0].Old
				if c.shadow {
					side = pages[0].New
				}
				require.NotNil(t, side, "what was at stake goes with it")
				partitiontest.Pass(2*time.Hour + 20*time.Minute)
				require.Len(t, s.told(t), 1)
				note(over(a))
				partitiontest.Pass(10 * time.Minute)
				require.Equal(t, 1, s.records(t), "the other side may come still")
				partitiontest.Pass(30 * time.Minute)
				require.Zero(t, s.records(t))
				require.Len(t, s.told(t), 1)
			})
		})
	}
}

// Both sides of one fault are one word: the same slice, or one above, up to a quarter of an
// hour apart. Of another slice, or later, it is two.
func TestWhichAlertsAreOneFault(t *testing.T) {
	alpha, beta := sli.Dim{Label: "acquirer", Value: "alpha"}, sli.Dim{Label: "acquirer", Value: "beta"}
	for name, c := range map[string]struct {
		after time.Duration
		slice []sli.Dim
		want  []rollout.Verdict
	}{
		"the same slice":   {10 * time.Minute, []sli.Dim{alpha}, []rollout.Verdict{rollout.Agreed}},
		"one above":        {10 * time.Minute, nil, []rollout.Verdict{rollout.Agreed}},
		"another slice":    {10 * time.Minute, []sli.Dim{beta}, []rollout.Verdict{rollout.Gone, rollout.Extra}},
		"after it is over": {28 * time.Minute, []sli.Dim{alpha}, []rollout.Verdict{rollout.Gone, rollout.Extra}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				a := firing("payment_errors", alpha)
				s.note(t, list(a), nil)
				partitiontest.Pass(5 * time.Minute)
				s.note(t, list(over(a)), nil)
				partitiontest.Pass(c.after - 5*time.Minute)
				s.note(t, nil, list(firing("many_errors", c.slice...)))
				partitiontest.Pass(time.Hour)
				require.Equal(t, c.want, verdicts(s.told(t)))
			})
		})
	}
}

// What has fired since before the stage began is the policy's in force, though nobody noted it.
func TestWhatFiresSinceBeforeTheStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		before := firing("payment_errors")
		s.Do(t, func(tx *partition.Tx) error { return tx.Put(raise.Records, string(before.ID), "alert", 1, before) })
		partitiontest.Pass(time.Hour)
		s.note(t, nil, list(firing("many_errors")))
		partitiontest.Pass(time.Hour)
		require.Equal(t, []rollout.Verdict{rollout.Agreed}, verdicts(s.told(t)))
	})
}

// What would wake nobody is not noted, nor what a tenant raises that tries nothing; what is
// noted of an attempt that is over is told nobody.
func TestWhatIsNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		warns, backlog, other, ended := firing("a"), firing("b"), firing("c"), firing("d")
		warns.Severity = rule.Warning
		backlog.Backlog = true
		other.Tenant = "bolt"
		s.note(t, list(warns, backlog, other, over(ended)), list(warns, backlog, other, over(ended)))
		require.Zero(t, s.records(t))
		s.note(t, nil, list(firing("payment_errors")))
		require.Equal(t, 1, s.records(t))
		s.Do(t, func(*partition.Tx) error { s.bench.Set(acme, trial.Attempt{Policy: 3}, nil); return nil })
		partitiontest.Pass(time.Hour)
		require.Zero(t, s.records(t))
		s.Do(t, func(*partition.Tx) error { s.bench.Drop(acme); return nil })
		s.note(t, nil, list(firing("payment_errors")))
		require.Zero(t, s.records(t))
		require.Empty(t, s.told(t))
	})
}

// What the store cannot take of one alert holds those of others up no more than it does in
// force, and is noted later: a stage whose pages are not known would pass.
func TestWhatCannotBeNotedNowHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		stuck, other := firing("payment_errors"), firing("payout_errors", sli.Dim{Label: "bank", Value: "x"})
		other.Service = "payouts"
		s.store.key, s.store.fails = "acme/new/"+string(stuck.ID), 2
		s.note(t, nil, list(stuck, other))
		require.Equal(t, 1, s.records(t))
		partitiontest.Pass(time.Minute)
		ended := over(stuck)
		s.note(t, nil, list(ended))
		require.Equal(t, 1, s.records(t), "its end does not come before its beginning")
		s.note(t, nil, nil)
		require.Equal(t, 2, s.records(t))
		partitiontest.Pass(2 * time.Hour)
		require.Equal(t, []rollout.Verdict{rollout.Extra, rollout.Extra}, verdicts(s.told(t)))
		require.Equal(t, 1, s.records(t), "the one that ended is over")
	})
}

// What somebody says reaches the rollout, whether before the two sides are compared or after.
func TestAWordOnATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		a := firing("payment_errors")
		s.note(t, list(a), nil)
		l := evaluate.Lesson{Alert: a.Key, Word: alert.VerdictReal, From: a.OnsetAt, At: time.Now(), By: "ann"}
		earlier := evaluate.Lesson{Alert: a.Key, Word: alert.VerdictFalse, From: a.OnsetAt, At: l.At.Add(-time.Minute), By: "eve"}
		s.Do(t, func(tx *partition.Tx) error {
			require.NoError(t, tx.Put("lesson", "acme/1", "lesson", 1, l))
			return tx.Put("lesson", "acme/2", "lesson", 1, earlier)
		})
		partitiontest.Pass(time.Hour)
		pages := s.told(t)
		require.Len(t, pages, 1)
		require.Equal(t, alert.VerdictReal, pages[0].Said, "what was said last")
		require.Equal(t, "ann", pages[0].By)

		s.Do(t, func(tx *partition.Tx) error { return s.bench.Heed(tx, "in_1", l) })
		in := partitiontest.Arrived(t, s.store, rollout.Subject)
		require.Len(t, in, 2)
		require.Equal(t, policy.InputWord, in[1].Kind)
		w, err := partition.DecodeInput[policy.Word](in[1])
		require.NoError(t, err)
		require.Equal(t, 2, w.Revision)
		require.Equal(t, alert.VerdictReal, w.Word.Said)
		require.Equal(t, a.OnsetAt.Add(-trial.Wait), w.Word.From)
		s.Do(t, func(*partition.Tx) error { s.bench.Drop(acme); return nil })
		s.Do(t, func(tx *partition.Tx) error { return s.bench.Heed(tx, "in_2", l) })
		require.Len(t, partitiontest.Arrived(t, s.store, rollout.Subject), 2)
	})
}

// The pages of a tenant's own proposal are noted with the tenant, once each, and the ledger
// says what they are.
func TestThePagesOfAProposal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		s.End()
		s.begin(t, trial.Attempt{Proposal: 4})
		s.Do(t, func(tx *partition.Tx) error {
			return course.Put(tx, acme, course.Course{State: evolution.State{Tier: "few", Proposal: &evolution.Proposal{Number: 4, From: "few", To: "many"}}})
		})
		agreed, extra, gone := firing("payment_errors"), firing("refund_errors"), firing("payout_errors")
		extra.Service, gone.Service = "refunds", "payouts"
		s.note(t, list(agreed, gone), list(agreed, extra))
		partitiontest.Pass(3 * time.Hour)
		var c course.Course
		s.Do(t, func(tx *partition.Tx) (err error) { c, err = course.Read(tx, acme); return err })
		require.Equal(t, [3]int{1, 1, 1}, [3]int{c.Proposal.Agreed, c.Proposal.Extra, c.Proposal.Missed})
		require.Len(t, c.Proposal.Pages, 3)
		require.Empty(t, s.told(t), "it is no business of the policy's")
		var said []string
		for _, e := range s.Ledger(t) {
			require.Equal(t, "profile.shadow_page", e.Kind)
			require.Equal(t, acme.Subject(), e.Subject)
			said = append(said, e.Reason[:len("proposal 4 would have paged")])
		}
		require.Len(t, said, 3)
		s.Do(t, func(tx *partition.Tx) error {
			return s.bench.Heed(tx, "in_1", evaluate.Lesson{Alert: gone.Key, Word: alert.VerdictReal, From: gone.OnsetAt, At: tx.Now(), By: "ann"})
		})
		s.Do(t, func(tx *partition.Tx) (err error) { c, err = course.Read(tx, acme); return err })
		for _, p := range c.Proposal.Pages {
			require.Equal(t, p.Service == "payouts", p.Said == alert.VerdictReal)
		}
	})
}

// What a tenant tries: the policy's next revision before a proposal of its own, and nothing
// when its profile is kept as it is or nobody watches it.
func TestWhatATenantTries(t *testing.T) {
	beside := policy.Rules{Revision: 1, Next: &policy.Next{Revision: 2, Rollout: rollout.Draft(rollout.State{Standing: rollout.Standing{Newest: 1}}, rollout.Settings{Stages: []float64{100}}, nil)}}
	beside.Next.Rollout.State = rollout.Shadow
	proposed := course.Course{State: evolution.State{Proposal: &evolution.Proposal{Number: 4}}}
	pinned := proposed
	pinned.Pin = &evolution.Pin{Tier: "few"}
	live := tenant.Tenant{ID: acme, State: tenant.Live}
	require.Equal(t, trial.Attempt{Policy: 2}, trial.Of(beside, live, proposed, false))
	require.Equal(t, trial.Attempt{Proposal: 4}, trial.Of(policy.Rules{Revision: 1}, live, proposed, false))
	require.Equal(t, trial.Attempt{}, trial.Of(policy.Rules{Revision: 1}, live, pinned, false))
	require.Equal(t, trial.Attempt{}, trial.Of(beside, live, proposed, true))
	require.Equal(t, trial.Attempt{}, trial.Of(beside, tenant.Tenant{ID: acme, State: tenant.Paused}, proposed, false))
	require.Equal(t, trial.Attempt{}, trial.Of(policy.Rules{Revision: 1}, live, course.Course{}, false))
}
