package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestTwoTenantsOfOneFaultCallOnce: an acquirer is down. Two tenants ring hard, some
// seconds apart and in two countries, and then it rings over all tenants.
func TestTwoTenantsOfOneFaultCallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		in := func(a alert.Alert, label, value string) alert.Alert {
			a.Slice = sli.Slice{{Label: label, Value: value}}
			a.ID = a.Key.ID()
			return a
		}
		l.offer(t, "1", in(fault("acme"), "country", "DE"))
		after(6 * time.Second)
		require.Len(t, l.mail.carried(), 1)
		l.offer(t, "2", in(fault("bolt"), "country", "FR"))
		after(10 * time.Second)
		require.Len(t, l.incidents(t), 2)
		require.Len(t, l.mail.carried(), 1, "the second page waits")
		all := fault(tenant.Product)
		all.Evidence.Tenants = []tenant.ID{"acme", "bolt", "corp"}
		l.offer(t, "3", all)
		after(5 * time.Minute)
		require.Len(t, l.mail.carried(), 1)
		require.Equal(t, 1, l.kinds(t)["incident.likely"])
		require.Equal(t, 1, l.kinds(t)["incident.merged"])
		l.end()
	})
}

// TestTwoTenantsFaultsCallTwice: nothing rings over all tenants.
func TestTwoTenantsFaultsCallTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		first, second := fault("acme"), fault("bolt")
		second.Slice = sli.Slice{{Label: "acquirer", Value: "beta"}}
		second.ID = second.Key.ID()
		l.offer(t, "1", first)
		l.offer(t, "2", second)
		after(29 * time.Second)
		require.Len(t, l.mail.carried(), 1)
		after(5 * time.Second)
		require.Len(t, l.mail.carried(), 2)
		l.end()
	})
}
