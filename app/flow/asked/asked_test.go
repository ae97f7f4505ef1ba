package asked_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/asked"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const acme = tenant.ID("acme")

// room is a tenant's home in one life of the process.
type room struct {
	*partitiontest.Home
	store *memory.Store
	set   *asked.Set
	bench *trial.Bench
}

func (r *room) begin(t *testing.T, rules ...rule.Rule) {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	var all directory.Directory
	all.Put(tenant.Tenant{ID: acme, State: tenant.Live, ExpectedTPM: 600})
	log := slog.New(slog.DiscardHandler)
	r.bench = trial.New(trial.Options{Rules: func() policy.Rules { return policy.Rules{Policy: p, Revision: 1, Catalog: catalog.Default()} }, Directory: &all,
		Scale: &whole.Scale{List: all.List}, Logger: log})
	r.set = asked.New(asked.Options{Raised: raise.New(raise.Options{Changes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "changes"}, []string{"state"}), Logger: log}), Trials: r.bench})
	r.set.Watch(tenant.Tenant{ID: acme, State: tenant.Live}, rules)
	r.Home = partitiontest.Open(t, r.store, acme.Subject(), partitiontest.Decider{})
}

func open(t *testing.T, rules ...rule.Rule) *room {
	t.Helper()
	r := &room{store: memory.New(memory.Options{})}
	r.begin(t, rules...)
	return r
}

func ask(name string, wait time.Duration) rule.Rule {
	return rule.Rule{Name: name, Kind: rule.PromQL, Service: "payments", Severity: rule.Critical, Query: &rule.Query{Expr: name + " > 0", For: wait.Seconds()}}
}

// gives is an answer in which each of some rules has a series of the tenant.
func gives(names ...string) asked.Answers {
	out := asked.Answers{}
	for _, n := range names {
		out[n+" > 0"] = map[tenant.ID][]question.Found{acme: {{Environment: "production", Tenant: acme, Value: 7}}}
	}
	return out
}

// nothing is an answer of queries that found nothing.
func nothing(names ...string) asked.Answers {
	out := asked.Answers{}
	for _, n := range names {
		out[n+" > 0"] = nil
	}
	return out
}

func (r *room) answer(t *testing.T, a asked.Answers) {
	t.Helper()
	r.Do(t, func(tx *partition.Tx) error { return r.set.Answer(tx, a, tx.Now()) })
}

// states are those of the tenant's alerts, by rule.
func (r *room) states(t *testing.T) map[string]alert.State {
	t.Helper()
	out := map[string]alert.State{}
	for _, a := range partitiontest.Values[alert.Alert](t, r.Home, raise.Records) {
		out[a.Rule] = a.State
	}
	return out
}

func (r *room) stands(t *testing.T, collection string) int {
	t.Helper()
	return len(partitiontest.Values[question.Asked](t, r.Home, collection))
}

// What a query gives fires once it was there for long enough, a start in between
// notwithstanding, and ends when it gives it no more; a query that failed ends nothing.
func TestAQuerysAlertAcrossAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, ask("lag", 2*time.Minute))
		r.answer(t, nothing("lag"))
		require.Zero(t, r.stands(t, "asked"))
		r.answer(t, gives("lag"))
		require.Empty(t, r.states(t), "it waits")
		partitiontest.Pass(time.Minute)
		r.End()
		r.begin(t, ask("lag", 2*time.Minute))
		partitiontest.Pass(time.Minute)
		r.answer(t, gives("lag"))
		require.Equal(t, map[string]alert.State{"lag": alert.Firing}, r.states(t))

		partitiontest.Pass(time.Minute)
		r.answer(t, gives("lag"))
		r.answer(t, asked.Answers{}) // it failed
		r.End()
		r.begin(t, ask("lag", 2*time.Minute))
		partitiontest.Pass(time.Minute)
		r.answer(t, asked.Answers{})
		require.Equal(t, map[string]alert.State{"lag": alert.Firing}, r.states(t))
		r.answer(t, nothing("lag"))
		require.Equal(t, map[string]alert.State{"lag": alert.Resolved}, r.states(t))
		require.Zero(t, r.stands(t, "asked"))
		require.Len(t, r.Ledger(t), 2, "one beginning, one end")
	})
}

// What fires ends when the tenant has the rule no longer, is paused, or is gone; not that of
// a tenant whose id begins alike.
func TestWhatFiresEndsWithItsRule(t *testing.T) {
	for name, end := range map[string]struct {
		f   func(*room, *partition.Tx) error
		why string
	}{
		"rule": {func(r *room, tx *partition.Tx) error {
			r.set.Watch(tenant.Tenant{ID: acme, State: tenant.Live}, []rule.Rule{ask("other", 0), {Name: "lag", Kind: rule.Errors}})
			return r.set.Answer(tx, gives("lag"), tx.Now())
		}, "the rule no longer applies to the tenant"},
		"paused": {func(r *room, tx *partition.Tx) error {
			r.set.Watch(tenant.Tenant{ID: acme, State: tenant.Paused}, []rule.Rule{ask("lag", 0)})
			return r.set.Answer(tx, gives("lag"), tx.Now())
		}, "the rule no longer applies to the tenant"},
		"gone": {func(r *room, tx *partition.Tx) error { return r.set.End(tx, acme, "the tenant was removed") }, "the tenant was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, ask("lag", 0))
				r.Do(t, func(*partition.Tx) error {
					r.set.Watch(tenant.Tenant{ID: "acme-2", State: tenant.Live}, []rule.Rule{ask("lag", 0)})
					return nil
				})
				both := gives("lag")
				both["lag > 0"]["acme-2"] = []question.Found{{Environment: "production", Tenant: "acme-2", Value: 1}}
				r.answer(t, both)
				partitiontest.Pass(time.Minute)
				r.Do(t, func(tx *partition.Tx) error { return end.f(r, tx) })
				for _, a := range partitiontest.Values[alert.Alert](t, r.Home, raise.Records) {
					if a.Tenant == acme {
						require.Equal(t, alert.Resolved, a.State)
						require.Contains(t, a.Reason, end.why)
					}
				}
				if name == "gone" { // the others were answered nothing for their own
					require.Equal(t, 1, r.stands(t, "asked"))
				}
				partitiontest.Pass(time.Minute)
				before := len(r.Ledger(t))
				r.answer(t, asked.Answers{})
				require.Len(t, r.Ledger(t), before, "it is said once")
			})
		})
	}
}

// A rule in shadow raises nothing but is tried; when it comes in force it has waited already,
// and raises at once what it had in shadow.
func TestARuleInShadowHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		slow := ask("slow", 10*time.Minute)
		r.Do(t, func(*partition.Tx) error {
			r.bench.Set(acme, trial.Attempt{Policy: 2}, []rule.Rule{slow})
			return nil
		})
		for range 11 {
			r.answer(t, gives("slow"))
			partitiontest.Pass(time.Minute)
		}
		require.Empty(t, r.states(t))
		require.Equal(t, 1, r.stands(t, "asked_shadow"))
		require.Len(t, partitiontest.Values[any](t, r.Home, "trial"), 1, "it would have paged")
		r.Do(t, func(*partition.Tx) error {
			r.bench.Set(acme, trial.Attempt{}, nil)
			r.set.Watch(tenant.Tenant{ID: acme, State: tenant.Live}, []rule.Rule{slow})
			return nil
		})
		r.answer(t, gives("slow"))
		require.Equal(t, map[string]alert.State{"slow": alert.Firing}, r.states(t))
		require.Zero(t, r.stands(t, "asked_shadow"))
		require.Equal(t, 1, r.stands(t, "asked"))
		r.Do(t, func(*partition.Tx) error { r.bench.Set(acme, trial.Attempt{Policy: 2}, []rule.Rule{slow}); return nil })
		r.answer(t, gives("slow"))
		r.Do(t, func(tx *partition.Tx) error { return r.set.End(tx, acme, "the tenant was removed") })
		require.Zero(t, r.stands(t, "asked_shadow"))
		require.Zero(t, r.stands(t, "asked"))
	})
}

// Answers that change nothing write nothing.
func TestTheSameAnswerWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, ask("lag", 0))
		r.answer(t, gives("lag"))
		at := partitiontest.Values[question.Asked](t, r.Home, "asked")[0].At
		partitiontest.Pass(time.Minute)
		r.answer(t, gives("lag"))
		require.Equal(t, at, partitiontest.Values[question.Asked](t, r.Home, "asked")[0].At)
	})
}

// An end that is thrown away ends nothing: the tenant's queries go on being asked.
func TestAnEndThatIsThrownAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, ask("lag", 0))
		r.answer(t, gives("lag"))
		partitiontest.Pass(time.Minute)
		require.Error(t, r.Try(t, func(tx *partition.Tx) error {
			require.NoError(t, r.set.End(tx, acme, "the tenant was removed"))
			return errors.New("what else is decided with it fails")
		}))
		partitiontest.Pass(time.Minute)
		r.answer(t, gives("lag"))
		require.Equal(t, map[string]alert.State{"lag": alert.Firing}, r.states(t))
		require.Equal(t, 1, r.stands(t, "asked"))
		require.Len(t, r.Ledger(t), 1)
	})
}
