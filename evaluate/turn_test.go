package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

// busy is a gateway with a thousand payments a second.
func busy(t *testing.T) (*rig, *gateway, func(minutes float64)) {
	r, g := newRig(t, grownUp()), newGateway(7, map[string]float64{"alpha": 700, "beta": 300}, map[string]float64{"alpha": .01, "beta": .012})
	at := 0.0
	return r, g, func(minutes float64) {
		for range int(minutes * 4) {
			at += 15
			g.run(15 * time.Second)
			r.at(at + 1)
			for _, k := range g.keys {
				r.add(g.series[k], at, g.counts[k])
			}
			r.at(at + 2)
		}
	}
}

// TestALeakOfALargeTenantRingsInMinutes: a tenth of a point a minute.
func TestALeakOfALargeTenantRingsInMinutes(t *testing.T) {
	r, g, pass := busy(t)
	pass(5 * 60)
	require.Empty(t, r.out.Alerts)
	began := r.now
	for range 7 {
		pass(1)
		g.fail["alpha"] += .00083
	}
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Less(t, fired[0].StartsAt.Sub(began), 6*time.Minute)
	require.Equal(t, "change", fired[0].Evidence.Test)
	require.Contains(t, fired[0].Reason, "1.1% in the hour before; evidence ")

	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.NoError(t, r.e.Restore("shop", data))
	r.out = Output{}
	g.fail["alpha"] = .01
	pass(20)
	require.NotEmpty(t, r.out.Alerts, "what fired is still known")
	require.Equal(t, alert.Resolved, r.out.Alerts[len(r.out.Alerts)-1].State)
}

// TestADeploymentOfALargeTenantIsNoChange: a third of most fails for 45 s.
func TestADeploymentOfALargeTenantIsNoChange(t *testing.T) {
	r, g, pass := busy(t)
	pass(3 * 60)
	for range 5 {
		g.fail["alpha"] = .3
		pass(.75)
		g.fail["alpha"] = .01
		pass(40)
	}
	require.Empty(t, r.out.Alerts)
}
