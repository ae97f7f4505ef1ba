package lesson_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What cannot be accepted is refused with the reason, and nothing is written of it.
func TestWhatCannotBeAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := partitiontest.Open(t, memory.New(memory.Options{}), acme.Subject(), partitiontest.Decider{})
		e := evaluate.New(evaluate.Options{})
		accept := func(a alert.Alert, of alert.ID) error {
			h.Do(t, func(tx *partition.Tx) error { return tx.Put(raise.Records, string(a.ID), "alert", 1, a) })
			return h.Try(t, func(tx *partition.Tx) error {
				_, err := lesson.Accept(tx, e, acme, of, "ann")
				return err
			})
		}
		good := firing(acme, "payment_errors")
		for why, c := range map[string]struct {
			change func(*alert.Alert)
			kind   problem.Kind
		}{
			"there is no such alert": {func(a *alert.Alert) { a.Tenant = bolt }, problem.NotFound},
			"the alert is over":      {func(a *alert.Alert) { a.State = alert.Resolved }, problem.Conflict},
			"a rule of kind absent learns nothing that could be accepted": {func(a *alert.Alert) { a.Kind = rule.Absent }, problem.Invalid},
			"lasted for less than an hour":                                {func(a *alert.Alert) { a.OnsetAt = time.Now().Add(-time.Hour + time.Second) }, problem.Conflict},
		} {
			a := good
			c.change(&a)
			err := accept(a, a.ID)
			require.ErrorContains(t, err, why)
			require.True(t, problem.Is(err, c.kind), why)
		}
		require.True(t, problem.Is(accept(good, "alt_other"), problem.NotFound))
		require.Empty(t, partitiontest.Values[any](t, h, "accepted"))
		require.Empty(t, h.Ledger(t))

		good.OnsetAt = time.Now().Add(-time.Hour)
		require.NoError(t, accept(good, good.ID))
		kept := partitiontest.Values[evaluate.Acceptance](t, h, "accepted")
		require.Equal(t, []evaluate.Acceptance{{Alert: good.Key, At: time.Now().UTC(), By: "ann"}}, kept)
		require.Equal(t, "ann accepted what it shows as the new normal: 30 of 100 failed", h.Ledger(t)[0].Reason)
	})
}

// market is a tenant's engine with its payments, one of which in a hundred fails.
type market struct {
	e            *evaluate.Engine
	now          time.Time
	good, failed float64
	last         map[alert.ID]alert.Alert
}

func newMarket(t *testing.T) *market {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	at := tenant.Tenant{ID: acme, State: tenant.Live, ExpectedTPM: 600}
	rules, _ := profiles.Compile(p, at, whole.Observe(p, catalog.Default(), 1))
	m := &market{e: evaluate.New(evaluate.Options{Environment: env, YoungFor: time.Hour}), now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), last: map[alert.ID]alert.Alert{}}
	m.e.SetTenant(at, rules, m.now)
	return m
}

func (m *market) trade(d time.Duration, share float64) {
	for range int(d / (15 * time.Second)) {
		m.now = m.now.Add(15 * time.Second)
		m.good, m.failed = m.good+150*(1-share), m.failed+150*share
		for result, v := range map[string]float64{"success": m.good, "error": m.failed} {
			m.e.Add(m.now, acme, labels.FromStrings("__name__", "payment_transactions_total", "environment", env, "tenant", "acme", "result", result, "job", "gw", "instance", "gw-1"),
				[]evaluate.Sample{{T: m.now.UnixMilli(), V: v}})
		}
		for _, a := range m.e.Advance(m.now).Alerts {
			m.last[a.ID] = a
		}
	}
}

// What was accepted last is what a start goes by, however much a tenant had accepted
// before: the engine keeps the latest only.
func TestTheLastAcceptanceOutlivesAStart(t *testing.T) {
	m := newMarket(t)
	m.trade(6*time.Hour, .01)
	m.trade(80*time.Minute, .3)
	k := alert.Key{Environment: env, Tenant: acme, Service: "payments", Rule: "payment_errors"}
	require.Equal(t, alert.Firing, m.last[k.ID()].State)

	s := memory.New(memory.Options{})
	home := store.PartitionOf(acme.Subject())
	lease, err := s.Acquire(t.Context(), home)
	require.NoError(t, err)
	var b store.Batch
	put := func(a evaluate.Acceptance) {
		b.Puts = append(b.Puts, store.Record{Collection: "accepted", Key: "acme/" + string(a.Alert.ID()), Kind: "acceptance", Version: 1, Value: partition.Payload(a)})
	}
	for n := 0; len(b.Puts) < 64; n++ {
		old := alert.Key{Environment: env, Tenant: acme, Service: "payments", Rule: fmt.Sprintf("rule-%d", n)}
		if old.ID() > k.ID() {
			put(evaluate.Acceptance{Alert: old, At: m.now.Add(-time.Duration(n) * time.Hour), By: "eve"})
		}
	}
	put(evaluate.Acceptance{Alert: k, At: m.now, By: "ann"})
	require.NoError(t, lease.Commit(t.Context(), b))

	require.NoError(t, lesson.Load(t.Context(), home, s, m.e))
	m.trade(2*time.Minute, .3)
	require.Equal(t, alert.Resolved, m.last[k.ID()].State)
	require.Contains(t, m.last[k.ID()].Reason, "ann accepted")
}
