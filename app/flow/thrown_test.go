package flow_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// fail decides and throws it away.
func (s *shop) fail(t *testing.T, f func(*partition.Tx, *flow.Handler) error) {
	t.Helper()
	subject, thrown := s.id.Subject(), errors.New("what else is decided with it fails")
	err := s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		if err := f(tx, s.shared.HandlerOf(subject)); err != nil {
			return err
		}
		return thrown
	})
	require.ErrorIs(t, err, thrown)
	synctest.Wait()
}

// TestAnOffboardingThatFailsChangesNothing: the tenant is watched as before, with all that
// was learned and what fires; so it is when it is to be retired.
func TestAnOffboardingThatFailsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		s := l.shop("acme")
		_, doc, err := s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		x := s.line(150)
		s.trade(t, 10*time.Minute)
		x.share = 0.9
		s.trade(t, 3*time.Minute)
		fires := s.firing(t)
		require.NotEmpty(t, fires)
		before := s.status(t)
		for _, do := range []func(*partition.Tx, *flow.Handler) error{
			func(tx *partition.Tx, h *flow.Handler) error { return s.shared.DeleteTenant(tx, h, s.id, 0, "test") },
			func(tx *partition.Tx, h *flow.Handler) error {
				_, err := s.shared.BeginPurge(tx, h, s.id, 0, "test")
				return err
			},
			func(tx *partition.Tx, h *flow.Handler) error {
				gone := doc
				gone.State = tenant.Retired
				_, _, _, err := s.shared.PutTenant(tx, h, gone, 0, "test")
				return err
			},
		} {
			s.fail(t, do)
			after(2 * time.Second)
			require.Equal(t, fires, s.firing(t))
			require.Equal(t, before.SLIs[0].Slices[0].Firing, s.status(t).SLIs[0].Slices[0].Firing)
			require.Zero(t, s.shared.Since(t.Context(), s.id))
		}
		received := s.status(t).LastReceivedAt
		s.trade(t, time.Minute)
		require.True(t, s.status(t).LastReceivedAt.After(*received), "what comes is taken")
		require.Equal(t, fires, s.firing(t))
		x.share = 0
		s.trade(t, 30*time.Minute)
		require.Empty(t, s.firing(t), "it ends as every fault")

		x.share = 0.9
		s.trade(t, 3*time.Minute)
		require.NotEmpty(t, s.firing(t))
		require.NoError(t, s.delete(t, 0))
		require.Empty(t, s.firing(t))
		l.end()
	})
}

// TestBlindnessIsSaidAgain when the decision that said it was thrown away, and counted once.
func TestBlindnessIsSaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMarket(t).begin(t)
		s := l.shop("acme")
		_, _, err := s.put(t, tenant.Tenant{}, 0)
		require.NoError(t, err)
		s.fail(t, func(tx *partition.Tx, h *flow.Handler) error {
			return h.Evaluated(tx, evaluate.Output{Blind: []evaluate.BlindChange{{Tenant: s.id, Blind: true, Since: tx.Now(), At: tx.Now()}}})
		})
		require.Zero(t, testutil.ToFloat64(s.shared.Metrics.Blind), "nothing was decided")
		after(5 * time.Second)
		require.InDelta(t, 1, testutil.ToFloat64(s.shared.Metrics.Blind), 0)
		said := 0
		for _, e := range l.entries(t, s.id.Subject()) {
			if e.Kind == "tenant.blind" {
				said++
			}
		}
		require.Equal(t, 1, said)
		l.end()
	})
}
