package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestAFaultOfAllIsOneIncident: two tenants fire, each by another dimension, a moment
// before it rings over all tenants. One incident, one page, one open ticket.
func TestAFaultOfAllIsOneIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		in := func(a alert.Alert, label, value string) alert.Alert {
			a.Slice = sli.Slice{{Label: label, Value: value}}
			a.ID = a.Key.ID()
			a.Evidence.K, a.Evidence.Hard = 20, false
			return a
		}
		card, de := in(fault("acme"), "method", "card"), in(fault("bolt"), "country", "DE")
		l.offer(t, "1", card)
		l.offer(t, "2", de)
		require.Len(t, l.incidents(t), 2)
		require.Empty(t, l.mail.carried(), "neither is hard: they settle")
		pool := in(fault(tenant.Product), "acquirer", "alpha")
		pool.Evidence.K, pool.Evidence.Tenants = 25, []tenant.ID{"acme", "bolt", "corp"}
		l.offer(t, "3", pool)
		after(2 * time.Minute)

		var open, closed []incident.Incident
		for _, i := range l.incidents(t) {
			if i.State == incident.StateResolved {
				closed = append(closed, i)
			} else {
				open = append(open, i)
			}
		}
		require.Len(t, open, 1)
		require.Len(t, closed, 1)
		require.Equal(t, 1, open[0].Number, "the elder goes on")
		require.Equal(t, "acquirer=alpha", open[0].Slice.Key())
		require.Len(t, open[0].Alerts, 3)
		require.Len(t, open[0].Tenants, 3)
		require.Contains(t, closed[0].ResolutionReason, "duplicate of incident 1")
		require.Len(t, l.mail.carried(), 1)
		states := map[itsm.State]int{}
		for _, tk := range l.tickets(t) {
			states[tk.State]++
		}
		require.Equal(t, map[itsm.State]int{itsm.Open: 1, itsm.Resolved: 1}, states)
		require.Equal(t, 1, l.kinds(t)["incident.merged"])
		require.Equal(t, 1, l.kinds(t)["incident.duplicate"])

		// The end of what came by the merge is news of the elder.
		left := func() (n int) {
			for _, i := range l.incidents(t) {
				if i.State != incident.StateResolved {
					n++
				}
			}
			return n
		}
		for n, a := range []alert.Alert{card, de, pool} {
			require.Equal(t, 1, left())
			l.offer(t, "4"+string(rune('a'+n)), over(a))
		}
		require.Zero(t, left())
		l.end()
	})
}
