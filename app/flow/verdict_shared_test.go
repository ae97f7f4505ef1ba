package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A verdict on what rang over all tenants reaches the home of each; a rule that learns
// nothing is told of, and nobody is taught.
func TestAVerdictOnWhatAllShareReachesEachHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		for _, id := range []tenant.ID{"acme", "bolt"} {
			_, _, err := l.shop(id).put(t, tenant.Tenant{}, 0)
			require.NoError(t, err)
		}
		key := alert.Key{Environment: env, Tenant: tenant.Product, Service: "payments", Rule: "payment_errors", Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}}
		silent := alert.Key{Environment: env, Tenant: "acme", Service: "payments", Rule: "payment_absent", Slice: sli.Slice{}}
		now, over := time.Now().UTC(), time.Now().UTC().Add(10*time.Minute)
		i := incident.Incident{ID: incident.NewID(now, "x"), Number: 7, Environment: env, Service: "payments", Team: "payments", State: incident.StateResolved, OpenedAt: now, ResolvedAt: &over,
			Alerts: []alert.Alert{{Key: key, ID: key.ID(), Kind: rule.Errors, State: alert.Resolved, OnsetAt: now, StartsAt: now, EndsAt: &over},
				{Key: silent, ID: silent.ID(), Kind: rule.Absent, State: alert.Resolved, OnsetAt: now, StartsAt: now, EndsAt: &over}}}
		home := response.Subject(env)
		require.NoError(t, l.shared.Owner(home).Call(t.Context(), func(tx *partition.Tx) error {
			return tx.Put(response.Incidents, string(i.ID), incident.RecordKind, incident.RecordVersion, i)
		}))
		require.NoError(t, l.judge(t, i.ID, alert.VerdictReal, ""))
		for _, id := range []tenant.ID{"acme", "bolt"} {
			list := readAt[evaluate.Lesson](t, l.store, store.PartitionOf(id.Subject()), "lesson")
			require.Len(t, list, 1, id)
			require.Equal(t, key.ID(), list[0].Alert.ID())
			require.Equal(t, alert.VerdictReal, list[0].Word)
			require.False(t, list[0].At.IsZero())
		}
		entries, err := l.store.Ledger(t.Context(), store.PartitionOf(home), "alert/"+string(silent.ID()), 0, 10)
		require.NoError(t, err)
		require.Equal(t, []string{"a rule of kind absent learns nothing, whatever it was"}, said(entries, "alert.verdict"))
		entries, err = l.store.Ledger(t.Context(), store.PartitionOf(home), "alert/"+string(key.ID()), 0, 10)
		require.NoError(t, err)
		require.Len(t, said(entries, "alert.verdict"), 1, "once, not for each tenant")

		require.NoError(t, l.judge(t, i.ID, alert.VerdictFalse, ""))
		list := readAt[evaluate.Lesson](t, l.store, store.PartitionOf(tenant.ID("bolt").Subject()), "lesson")
		require.Len(t, list, 1)
		require.Equal(t, alert.VerdictFalse, list[0].Word, "the newest counts")
		l.end()
	})
}
