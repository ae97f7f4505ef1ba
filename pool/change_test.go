package pool

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestALeakThatAllShareRingsInMinutes: two tenths of a point more every two minutes, of
// which the usual ratios say nothing for a quarter of an hour.
func TestALeakThatAllShareRingsInMinutes(t *testing.T) {
	c := newCrowd(3, many(60, 25)...).run(2 * time.Hour)
	require.Empty(t, c.alerts)
	began := c.now
	c.fail = func(int) float64 { return .01 + .15*c.now.Sub(began).Hours()/3 }
	c.run(6 * time.Minute)
	fired := firing(c.alerts)
	require.NotEmpty(t, fired)
	a := fired[0]
	require.Less(t, a.StartsAt.Sub(began), 5*time.Minute)
	require.Equal(t, "change", a.Evidence.Test)
	require.Contains(t, a.Reason, "payments through acquirer alpha of 20 tenants failed for ")
	require.Contains(t, a.Reason, "1.0% in the hour before; evidence ")
	require.InDelta(t, 0.01, a.Evidence.Usual, 0.001)
	c.alerts, c.fail = nil, func(int) float64 { return .01 }
	c.run(15 * time.Minute)
	require.True(t, strings.HasPrefix(c.alerts[len(c.alerts)-1].Reason, "over since "))
}

// TestTwoTenantsFaultsAreNoChangeOfAll: one loses a tenth of all since an hour, another one
// begins to.
func TestTwoTenantsFaultsAreNoChangeOfAll(t *testing.T) {
	c := newCrowd(4, append(many(40, 20), 200, 200)...).run(2 * time.Hour)
	c.fail = func(i int) float64 {
		if i == 40 {
			return .012
		}
		return .01
	}
	c.run(time.Hour)
	c.fail = func(i int) float64 {
		if i >= 40 {
			return .013
		}
		return .01
	}
	c.run(15 * time.Minute)
	require.Empty(t, c.alerts)
}

// TestTwoTenantsOutagesAreNoFaultOfAll: both lose everything within a minute.
func TestTwoTenantsOutagesAreNoFaultOfAll(t *testing.T) {
	c := newCrowd(6, many(6, 5)...).run(2 * time.Hour)
	c.fail = func(i int) float64 {
		if i < 2 {
			return .9
		}
		return .01
	}
	c.run(20 * time.Minute)
	require.Empty(t, c.alerts)
	c.fail = func(i int) float64 {
		if i < 3 {
			return .9
		}
		return .01
	}
	c.run(5 * time.Minute)
	require.NotEmpty(t, firing(c.alerts), "three are what they share")
}

// TestATenantThatFallsSilentIsNoChange: the level is each tenant's own.
func TestATenantThatFallsSilentIsNoChange(t *testing.T) {
	tps := append(many(40, 20), 500)
	c := newCrowd(5, tps...)
	c.fail = func(i int) float64 {
		if i == 40 {
			return .0095
		}
		return .0115
	}
	c.run(2 * time.Hour)
	require.Empty(t, c.alerts)
	tps[40] = 0
	c.run(30 * time.Minute)
	require.Empty(t, c.alerts)
	require.NotContains(t, c.p.streams[0].active, tenant.ID("t040"))
}

// TestABacklogIsNoChange: what comes late of a silent source is skewed, and what follows is
// held against a level of its own.
func TestABacklogIsNoChange(t *testing.T) {
	c := newCrowd(7, many(40, 30)...).run(2 * time.Hour)
	c.late, c.fail = true, func(int) float64 { return .006 }
	c.run(10 * time.Minute)
	c.late, c.fail = false, func(int) float64 { return .01 }
	c.run(15 * time.Minute)
	c.fail = func(int) float64 { return .012 }
	c.run(4 * time.Minute)
	require.Empty(t, c.alerts)
}
