package revision_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const acme = tenant.ID("acme")

// room is a tenant's home in one life of the process.
type room struct {
	*partitiontest.Home
	store   *memory.Store
	keeper  *revision.Keeper
	awaited prometheus.Gauge
	watched []string // the rules in force, by name
	why     string
	loaded  []string // the rules that a start found
}

func names(rules []rule.Rule) (out []string) {
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return out
}

// begin starts a process whose policy in force has edits of the built-in one.
func (r *room) begin(t *testing.T, number int, edits ...string) {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	text := string(p.Text)
	for i := 0; i < len(edits); i += 2 {
		require.Contains(t, text, edits[i])
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	p, err = profiles.Parse("test", []byte(text))
	require.NoError(t, err)
	lease, err := r.store.Acquire(t.Context(), store.PartitionOf(rollout.Subject))
	require.NoError(t, err)
	require.NoError(t, lease.Commit(t.Context(), policy.Batch(rollout.Change{Revision: &rollout.Revision{Number: number, Sha: p.Sha, Text: text}})))
	require.NoError(t, lease.Release(t.Context()))

	var all directory.Directory
	log := slog.New(slog.DiscardHandler)
	book := &policy.Book{Store: r.store, Directory: &all}
	book.Set(policy.Rules{Policy: p, Revision: number, Catalog: catalog.Default()})
	scale := &whole.Scale{List: all.List}
	maker := &revision.Maker{Rules: book.Rules, Policies: book, Directory: &all, Scale: scale, Priors: &whole.Priors{}, Environment: "production", Logger: log,
		Observe: func(p *profiles.Policy) profiles.Observation { return whole.Observe(p, catalog.Default(), 1) }}
	r.awaited = prometheus.NewGauge(prometheus.GaugeOpts{Name: "awaited"})
	r.keeper = revision.New(revision.Options{Maker: maker, Engine: evaluate.New(evaluate.Options{}), Woken: func() bool { return true }, Awaited: r.awaited,
		Trials: trial.New(trial.Options{Rules: book.Rules, Directory: &all, Scale: scale, Logger: log}),
		Watch: func(_ tenant.Tenant, rules []rule.Rule, _ time.Time, why string) {
			r.watched, r.why = names(rules), why
		}})
	document := tenant.Tenant{ID: acme, State: tenant.Live, ExpectedTPM: 600, Revision: 1}
	r.Home = partitiontest.Open(t, r.store, acme.Subject(), partitiontest.Decider{})
	r.Do(t, func(tx *partition.Tx) error {
		if ok, err := tx.Get(directory.Tenants, string(acme), &document); err != nil || ok {
			return err
		}
		return tx.Put(directory.Tenants, string(acme), "tenant", 1, document)
	})
	all.Put(document)
	rules, err := r.keeper.Load(t.Context(), r.store, r.At, document)
	require.NoError(t, err)
	r.loaded = names(rules)
}

func open(t *testing.T) *room {
	t.Helper()
	r := &room{store: memory.New(memory.Options{})}
	r.begin(t, 1)
	r.follow(t, "it was onboarded")
	return r
}

func (r *room) follow(t *testing.T, cause string) profiles.Triple {
	t.Helper()
	var out profiles.Triple
	r.Do(t, func(tx *partition.Tx) error {
		d, err := directory.Document(tx, acme)
		if err != nil {
			return err
		}
		out, err = r.keeper.Follow(tx, d, "tocsin", cause)
		return err
	})
	return out
}

func (r *room) steer(t *testing.T, f func(s evolution.State, now time.Time) (evolution.Change, error)) error {
	t.Helper()
	return r.Try(t, func(tx *partition.Tx) error {
		return r.keeper.Steer(tx, acme, "ann", func(c course.Course) (evolution.Change, error) { return f(c.State, tx.Now()) })
	})
}

func (r *room) document(t *testing.T, change func(*tenant.Tenant)) {
	t.Helper()
	r.Do(t, func(tx *partition.Tx) error {
		d, err := directory.Document(tx, acme)
		if err != nil {
			return err
		}
		change(&d)
		d.Revision++
		return tx.Put(directory.Tenants, string(acme), "tenant", 1, d)
	})
}

// What ends so late that it is forgotten is taken, and said with where the tenant stands.
func TestALongOverrideIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		stands := func() (words []string) {
			r.Do(t, func(tx *partition.Tx) (err error) {
				_, words, err = r.keeper.Standing(tx, tenant.Tenant{ID: acme, State: tenant.Live})
				return err
			})
			return words
		}
		until := time.Now().Add(90 * 24 * time.Hour)
		o := profiles.Override{Tenant: string(acme), Off: true, Until: until.Add(-time.Second), Reason: "a move", By: "ann"}
		require.NoError(t, r.override(t, o))
		require.NotContains(t, strings.Join(stands(), " "), "forgotten")
		o.Until = until
		require.NoError(t, r.override(t, o))
		require.Contains(t, strings.Join(stands(), " "), "The override of every rule: it lasts until "+until.UTC().Format(time.DateOnly)+", 90 days or more from now")
		r.End()
	})
}

func (r *room) override(t *testing.T, o profiles.Override) error {
	t.Helper()
	return r.Try(t, func(tx *partition.Tx) error { return r.keeper.Override(tx, o) })
}

// A look that finds nothing new makes no revision; a changed document or policy makes one,
// which says why, and puts its rules in force.
func TestARevisionIsMadeForAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		require.Contains(t, r.watched, "payment_errors")
		require.NotContains(t, r.watched, "refund_errors")
		for range 3 {
			partitiontest.Pass(time.Hour)
			require.Equal(t, 1, r.follow(t, "").Number)
		}
		r.document(t, func(d *tenant.Tenant) { d.Features = []string{"refunds"} })
		last := r.follow(t, "")
		require.Equal(t, 2, last.Number)
		require.Equal(t, "the tenant's document is followed again", last.Cause)
		require.Contains(t, r.watched, "refund_errors")
		require.Equal(t, last.Cause, r.why)

		r.End()
		r.begin(t, 2, "payment_errors", "pay_errors")
		require.Contains(t, r.loaded, "pay_errors", "the policy that is in force now")
		last = r.follow(t, "")
		require.Equal(t, [2]int{3, 2}, [2]int{last.Number, last.PolicyRevision})
		require.Equal(t, "the policy is at revision 2", last.Cause)
		require.Contains(t, r.watched, "pay_errors")
		require.Equal(t, 3, r.follow(t, "").Number)

		var all []profiles.Triple
		r.Do(t, func(tx *partition.Tx) (err error) { all, err = course.Revisions(tx, acme); return err })
		explained := r.keeper.Explain(t.Context(), all)
		require.Len(t, explained, 3)
		require.Contains(t, strings.Join(explained[1].Diff.Words, "; "), "refund_errors")
		var p profiles.Profile
		r.Do(t, func(tx *partition.Tx) (err error) { p, err = r.keeper.Profile(tx, acme); return err })
		require.Equal(t, r.watched, names(p.Rules))
	})
}

// As long as no volume was observed, the tier is that of the promised one: when another is
// promised, and under a policy that is planned; but not when it is pinned.
func TestAnotherPromiseIsAnotherTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.document(t, func(d *tenant.Tenant) { d.ExpectedTPM = 20 })
		require.Equal(t, "medium", r.follow(t, "").Observation.Tier)
		r.Do(t, func(tx *partition.Tx) error {
			_, words, err := r.keeper.Standing(tx, tenant.Tenant{ID: acme, State: tenant.Live})
			require.Contains(t, strings.Join(words, " "), "its volume is not known yet (12 hours of the last day must be observed first)")
			return err
		})
		in, _ := r.keeper.Rules().Of(acme)
		next, err := profiles.Parse("next", []byte(strings.ReplaceAll(string(in.Text), "from_tpm: 10,", "from_tpm: 50,")))
		require.NoError(t, err)
		under := func(expected float64) string {
			require.NotEqual(t, in.Sha, next.Sha)
			return r.keeper.Under(next, tenant.Tenant{ID: acme, ExpectedTPM: expected}, time.Now()).Tier
		}
		require.Equal(t, "small", under(20))
		require.NoError(t, r.steer(t, func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.PinAt(s, evolution.Pin{Tier: "large", By: "ann", Reason: "a launch"}, now)
		}))
		require.Equal(t, "large", under(20))
	})
}

// A profile that is pinned at a revision, or frozen, stays as it is: through a changed
// document, a changed policy and a start; what waited comes when it follows again.
func TestAProfileThatIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		hold, release func(evolution.State, time.Time) (evolution.Change, error)
	}{
		"pinned": {func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.PinAt(s, evolution.Pin{Revision: 1, By: "ann", Reason: "too loud"}, now)
		}, func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.Unpin(s, "ann", "it was right", now)
		}},
		"frozen": {func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.FreezeFor(s, evolution.Freeze{By: "ann", Reason: "too loud"}, now)
		}, func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.Thaw(s, "ann", "it was right", now)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t)
				require.NoError(t, r.steer(t, c.hold))
				r.document(t, func(d *tenant.Tenant) { d.Features = []string{"refunds"} })
				held := r.follow(t, "").Number
				require.Equal(t, held, r.follow(t, "the document changed").Number, "what it says waits")
				require.NotContains(t, r.watched, "refund_errors")
				reasons := func() string {
					var p profiles.Profile
					r.Do(t, func(tx *partition.Tx) (err error) { p, err = r.keeper.Profile(tx, acme); return err })
					return strings.Join(p.Reasons, "; ")
				}
				require.Contains(t, reasons(), "revision 1 of the tenant's document, which is at 2; what changed in between waits")
				r.End()
				r.begin(t, 2, "payment_errors", "pay_errors")
				require.Contains(t, r.loaded, "payment_errors")
				require.NotContains(t, r.loaded, "refund_errors")
				before := r.follow(t, "").Number
				partitiontest.Pass(time.Hour)
				require.Equal(t, before, r.follow(t, "").Number)
				require.NoError(t, r.steer(t, c.release))
				require.Contains(t, r.watched, "refund_errors")
				require.Contains(t, r.watched, "pay_errors")
				require.NotContains(t, reasons(), "waits")
			})
		})
	}
}

// An override holds until its time and not longer, a start in between or not; what cannot be
// meant is refused, all faults at once, and changes nothing.
func TestAnOverrideUntilItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		o := profiles.Override{Tenant: string(acme), Rule: "payment_errors", Off: true, Until: time.Now().Add(30 * time.Minute), Reason: "a move", By: "ann"}
		bad := o
		bad.Rule, bad.Reason, bad.Until = "nonsense", "", time.Now()
		err := r.override(t, bad)
		require.True(t, problem.Is(err, problem.Invalid))
		require.ErrorContains(t, err, "reason")
		require.ErrorContains(t, err, "until is over already")
		require.NotContains(t, err.Error(), "nonsense", "what was refused is not repeated")
		require.Contains(t, r.watched, "payment_errors")

		require.NoError(t, r.override(t, o))
		require.NotContains(t, r.watched, "payment_errors")
		require.Contains(t, r.why, "ann overrides payment_errors until")
		r.End()
		r.begin(t, 1)
		require.NotContains(t, r.loaded, "payment_errors")
		require.True(t, r.keeper.Due(r.At, time.Now()), "a start looks at once")
		r.follow(t, "")
		require.False(t, r.keeper.Due(r.At, o.Until.Add(-time.Second)))
		require.True(t, r.keeper.Due(r.At, o.Until), "not only with the hour")
		partitiontest.Pass(2 * time.Hour)
		r.follow(t, "")
		require.Contains(t, r.watched, "payment_errors")
		require.Equal(t, "an override has ended", r.why)

		end := func(rule string) error {
			return r.Try(t, func(tx *partition.Tx) error { return r.keeper.EndOverride(tx, acme, rule, "ann") })
		}
		require.True(t, problem.Is(end("payment_errors"), problem.NotFound))
		o.Until = time.Now().Add(time.Hour)
		require.NoError(t, r.override(t, o))
		require.True(t, problem.Is(end(""), problem.NotFound), "that is another one's")
		require.NoError(t, end("payment_errors"))
		require.Contains(t, r.watched, "payment_errors")
		for range 50 {
			require.NoError(t, r.override(t, o))
		}
		require.True(t, problem.Is(r.override(t, o), problem.TooMany))
	})
}

// A pin must be at something that there is.
func TestWhatAProfileCanBePinnedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		can := func(p evolution.Pin) error {
			return r.Try(t, func(tx *partition.Tx) error { return r.keeper.CanPin(tx, acme, p) })
		}
		require.NoError(t, can(evolution.Pin{Revision: 1}))
		err := can(evolution.Pin{Revision: 7})
		require.True(t, problem.Is(err, problem.Invalid))
		require.Contains(t, problem.From(err).Hint, "tocsin tenant revisions")
		err = can(evolution.Pin{Tier: "nonsense"})
		require.True(t, problem.Is(err, problem.Invalid))
		require.NotContains(t, err.Error(), "nonsense")
		require.Contains(t, problem.From(err).Hint, "one of ")
	})
}

// What waits for a person is told to the reviews' home once, and counted by whoever serves
// the tenant; a decision that is refused tells nobody.
func TestWhatWaitsForAPersonIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		waits := func(s evolution.State, now time.Time) (evolution.Change, error) {
			s.Proposal = &evolution.Proposal{Number: 1, From: s.Tier, To: s.Tier, WaitsSince: &now}
			return evolution.Change{State: s, Changed: true}, nil
		}
		require.NoError(t, r.steer(t, waits))
		require.InDelta(t, 1, testutil.ToFloat64(r.awaited), 0)
		require.Len(t, partitiontest.Arrived(t, r.store, review.Subject), 1)
		require.Error(t, r.steer(t, func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.Refuse(s, "ann", "", now)
		}))
		require.InDelta(t, 1, testutil.ToFloat64(r.awaited), 0)
		require.Error(t, r.Try(t, func(tx *partition.Tx) error {
			r.keeper.Tell(tx, tenant.Tenant{ID: acme}, evolution.State{}, evolution.State{})
			return errors.New("what else is decided with it fails")
		}))
		require.InDelta(t, 1, testutil.ToFloat64(r.awaited), 0, "nothing was decided")
		r.End()
		r.keeper.Left()
		require.Zero(t, testutil.ToFloat64(r.awaited))
		r.begin(t, 1)
		require.InDelta(t, 1, testutil.ToFloat64(r.awaited), 0)
		require.NoError(t, r.steer(t, func(s evolution.State, now time.Time) (evolution.Change, error) {
			return evolution.Refuse(s, "ann", "not yet", now)
		}))
		require.Zero(t, testutil.ToFloat64(r.awaited))
		require.Len(t, partitiontest.Arrived(t, r.store, review.Subject), 2)
	})
}
