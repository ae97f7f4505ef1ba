package fuzz

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

var shop = tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: noon, Features: []string{"refunds"}}

func engine(f testing.TB) *evaluate.Engine {
	p, err := profiles.Default()
	require.NoError(f, err)
	rules, _ := profiles.Compile(p, shop, profiles.Observation{Tenants: 4})
	e := evaluate.New(evaluate.Options{})
	e.SetTenant(shop, rules, noon)
	return e
}

// trade moves an engine by some minutes in which one acquirer fails.
func trade(e *evaluate.Engine, from time.Time) (contributed []exchange.Contribution) {
	for i := range 20 {
		now := from.Add(time.Duration(15*i) * time.Second)
		contributed = append(contributed, e.Advance(now).Contributions...)
		for a, bad := range map[string]float64{"alpha": float64(90 * i), "beta": float64(i)} {
			for result, v := range map[string]float64{"error": bad, "success": float64(100*i) - bad} {
				e.Add(now, shop.ID, labels.FromStrings("__name__", "payment_transactions_total", "acquirer", a, "result", result, "job", "gw", "instance", "1"),
					[]evaluate.Sample{{T: now.UnixMilli(), V: v}})
			}
			e.Add(now, shop.ID, labels.FromStrings("__name__", "payment_duration_seconds_bucket", "acquirer", a, "le", fmt.Sprint(i%3)), []evaluate.Sample{{T: now.UnixMilli(), V: float64(i)}})
		}
	}
	return contributed
}

// FuzzTenantCheckpoint: bytes that are no checkpoint are refused, or make a state
// that works on and is written the same way again.
func FuzzTenantCheckpoint(f *testing.F) {
	e := engine(f)
	f.Add([]byte{})
	for i := range 3 {
		state, err := e.Checkpoint(shop.ID)
		require.NoError(f, err)
		f.Add(state)
		trade(e, noon.Add(time.Duration(i)*10*time.Minute))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		e := engine(t)
		if err := e.Restore(shop.ID, state); err != nil {
			require.NotEqual(t, problem.Internal, problem.From(err).Kind, "%v", err)
			before, err := engine(t).Checkpoint(shop.ID)
			require.NoError(t, err)
			after, err := e.Checkpoint(shop.ID)
			require.NoError(t, err)
			require.Equal(t, before, after, "what cannot be read changes nothing")
			return
		}
		once, err := e.Checkpoint(shop.ID)
		require.NoError(t, err)
		again := engine(t)
		require.NoError(t, again.Restore(shop.ID, once))
		twice, err := again.Checkpoint(shop.ID)
		require.NoError(t, err)
		require.Equal(t, once, twice)
		_ = e.Status(shop.ID, noon)
	})
}

// FuzzPoolCheckpoint does the same for what is judged over all tenants.
func FuzzPoolCheckpoint(f *testing.F) {
	p, err := profiles.Default()
	require.NoError(f, err)
	fresh := func() *pool.Pool {
		x := pool.New(pool.Options{}, "production", "payments")
		x.SetRules(profiles.Pooled(p, "payments", profiles.Observation{Tenants: 4}))
		return x
	}
	x := fresh()
	for _, c := range trade(engine(f), noon) {
		x.Contribute(&c)
		x.Advance(noon.Add(time.Minute))
	}
	state, err := x.Checkpoint()
	require.NoError(f, err)
	f.Add(state)
	f.Add([]byte{'P', 1})
	f.Fuzz(func(t *testing.T, state []byte) {
		x := fresh()
		if err := x.Restore(state); err != nil {
			require.NotEqual(t, problem.Internal, problem.From(err).Kind, "%v", err)
			return
		}
		once, err := x.Checkpoint()
		require.NoError(t, err)
		y := fresh()
		require.NoError(t, y.Restore(once))
		twice, err := y.Checkpoint()
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}
