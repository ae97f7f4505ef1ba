package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
)

// busy is a gateway with a thousand payments a second.
func busy(t *testing.T) (*rig, *gateway, func(minutes float64)) {
	return busyOf(t, grownUp(), failing())
}

func busyOf(t *testing.T, o Options, rules ...rule.Rule) (*rig, *gateway, func(minutes float64)) {
	r, g := newRig(t, o, rules...), newGateway(7, map[string]float64{"alpha": 700, "beta": 300}, map[string]float64{"alpha": .01, "beta": .012}, "method", "card")
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
	require.Regexp(t, `1\.[01]% in the hour before; evidence `, fired[0].Reason)

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

// While a combination is young, as after an opt-in, what its mix makes one expect is not known
// well enough for a change of a tenth: the test waits until it has grown up twice.
func TestWhatIsNewIsNotHeldAgainstItsLastHour(t *testing.T) {
	cut := failing()
	cut.SLI.Slices = []string{"acquirer", "method"}
	r, g, pass := busyOf(t, Options{YoungFor: 3 * time.Hour}, cut)
	changes := func() (n int) {
		for range 7 {
			pass(1)
			g.fail["alpha"] += .00083
		}
		for _, a := range firing(r.out.Alerts) {
			if a.Evidence.Test == "change" {
				n++
			}
		}
		g.fail["alpha"] = .01
		return n
	}
	pass(5 * 60)
	require.Zero(t, changes())
	pass(3 * 60)
	require.NotZero(t, changes())
}

// TestTrafficThatComesBackIsNoChange: what fails more often was lost for an hour, so that less
// failed of what came.
func TestTrafficThatComesBackIsNoChange(t *testing.T) {
	lost := failing()
	lost.Name, lost.Kind = "PaymentsMissing", rule.Traffic
	r, g, pass := busyOf(t, grownUp(), failing(), lost)
	g.fail["beta"] = .03
	pass(30 * 60)
	g.tps["beta"] = 0
	pass(60)
	require.NotEmpty(t, firing(r.out.Alerts), "its traffic is lost")
	g.tps["beta"] = 300
	pass(40)
	for _, a := range firing(r.out.Alerts) {
		require.NotEqual(t, "change", a.Evidence.Test, a.Reason)
	}
}
