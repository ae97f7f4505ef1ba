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
