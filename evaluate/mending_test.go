package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

// Half of all payments fail for ten minutes. What the alert says when it is over is how
// bad that was, not diluted by what went well until it was sure that it is over; while
// only some of it is mended it goes on telling.
func TestWhatIsOverWasAsBadAsItWas(t *testing.T) {
	g := newGateway(8, map[string]float64{"alpha": 4}, map[string]float64{"alpha": .01})
	r := newRig(t, grownUp())
	g.live(r, hours(0), hours(48))
	g.fail["alpha"] = .5
	g.live(r, hours(48), hours(48).Add(10*time.Minute))
	g.fail["alpha"] = .25
	g.live(r, hours(48).Add(10*time.Minute), hours(48).Add(30*time.Minute))
	half := last(r.out.Alerts, alert.Firing)
	require.InDelta(t, 1./3, half.Evidence.K/half.Evidence.N, .04, "a third of all so far")
	g.fail["alpha"] = .01
	g.live(r, hours(48).Add(30*time.Minute), hours(49))
	over := last(r.out.Alerts, alert.Resolved)
	require.InDelta(t, 1./3, over.Evidence.K/over.Evidence.N, .04)
	require.GreaterOrEqual(t, over.Evidence.Score, over.Evidence.Needed)
}

// last is the newest alert of the total in a state.
func last(all []alert.Alert, state alert.State) (out alert.Alert) {
	for _, a := range all {
		if a.State == state && len(a.Slice) == 0 {
			out = a
		}
	}
	return out
}
