package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestAPersonAcceptsTheNewNormal: for nine in ten payments to fail is the usual from
// now on. What was accepted outlives a process that dies before it acted on it.
func TestAPersonAcceptsTheNewNormal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		acme := l.shop("acme")
		_, _, err := acme.put(t, tenant.Tenant{ExpectedTPM: 600}, 0)
		require.NoError(t, err)
		acme.line(150)
		trade(t, 26*time.Hour, acme)
		acme.lines[0].share = .3
		trade(t, 20*time.Minute, acme)
		fired := acme.alerts(t)["payment_errors "]
		require.Equal(t, alert.Firing, fired.State)

		subject := tenant.ID("acme").Subject()
		accept := func(id alert.ID) error {
			err := l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				_, err := l.shared.HandlerOf(subject).Accept(tx, "acme", id, "ann")
				return err
			})
			synctest.Wait()
			return err
		}
		require.True(t, problem.Is(accept(fired.ID), problem.Conflict), "too early")
		require.True(t, problem.Is(accept("alt_other"), problem.NotFound))
		trade(t, time.Hour, acme)
		require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Checkpoint(tx, acme.end) }))
		require.NoError(t, accept(fired.ID))
		l.end() // no step has closed since
		l = w.begin(t)
		acme.life = l
		trade(t, 2*time.Minute, acme)
		over := acme.alerts(t)["payment_errors "]
		require.Equal(t, alert.Resolved, over.State)
		require.Contains(t, over.Reason, "ann accepted")
		require.True(t, problem.Is(accept(fired.ID), problem.Conflict), "it is over")
		trade(t, time.Hour, acme)
		require.Equal(t, alert.Resolved, acme.alerts(t)["payment_errors "].State)

		require.NoError(t, acme.delete(t, 0))
		require.Empty(t, readAt[any](t, l.store, store.PartitionOf(subject), "accepted"))
		l.end()
	})
}
