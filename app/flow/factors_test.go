package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestACountrysFactorReachesItsTenants: the pool tells it, the tenants' partitions have it
// once, and after the next start as well.
func TestACountrysFactorReachesItsTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		for id, country := range map[tenant.ID]string{"acme": "DE", "bolt": "FR"} {
			_, _, err := l.shop(id).put(t, tenant.Tenant{State: tenant.Live, Countries: []string{country}}, 0)
			require.NoError(t, err)
		}
		pool := "pool/" + env + "/payments"
		f := exchange.Factor{Environment: env, Service: "payments", Rule: "payment_traffic", Country: "de", Tenants: 40, Value: .4,
			From: time.Now().UTC().Add(2 * time.Minute).Truncate(time.Minute)}
		tell := func() {
			require.NoError(t, l.shared.Owner(pool).Call(t.Context(), func(tx *partition.Tx) error {
				pools.SendFactor(tx, f, l.shared.Directory().List())
				return nil
			}))
			after(time.Second)
		}
		knows := func(id tenant.ID) (out []exchange.Factor) {
			subject := id.Subject()
			require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(*partition.Tx) error {
				out = l.shared.HandlerOf(subject).Factors()
				return nil
			}))
			return out
		}
		tell()
		tell()
		require.Equal(t, []exchange.Factor{f}, knows("acme"))
		require.Empty(t, knows("bolt"), "it does not trade there")
		require.Equal(t, "pool.factor", l.entries(t, pool)[0].Kind)
		require.Contains(t, l.entries(t, pool)[0].Reason, "40% of the usual volume is expected in de")

		l.end()
		l = w.begin(t)
		require.Equal(t, []exchange.Factor{f}, knows("acme"), "steps that are replayed are judged as they were")
		after(4 * time.Hour)
		first := f
		f.From, f.Value = time.Now().UTC().Truncate(time.Minute), 1
		tell()
		l.end()
		l = w.begin(t)
		require.Equal(t, []exchange.Factor{f}, knows("acme"), "what nobody can ask for any more is not kept: %v", first)
		l.end()
	})
}
