package evaluate

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

// From one day to the next a tenant fails at twice the rate, for good. That rings once,
// not again and again; after a day the alert says what it may be, after seven it is the
// usual, and is said to be. What is worse than that rings.
func TestALastingChangeRingsOnceAndIsAcceptedAtLast(t *testing.T) {
	g := newGateway(5, map[string]float64{"alpha": 4, "beta": 4}, map[string]float64{"alpha": .01, "beta": .01})
	r := newRig(t, grownUp())
	day := func(d float64) time.Time { return hours(24 * d) }
	g.live(r, day(0), day(2))
	require.Empty(t, r.out.Alerts)
	g.fail["alpha"], g.fail["beta"] = .025, .025
	g.live(r, day(2), day(2.9))
	seen := map[alert.ID]int{}
	offered := func() (some bool) {
		for _, a := range r.out.Alerts {
			some = some || a.State == alert.Firing && a.Slice.Key() == "" && len(a.Reason) > 0 && strings.Contains(a.Reason, "may be the new normal")
		}
		return some
	}
	require.NotEmpty(t, firing(r.out.Alerts))
	require.False(t, offered())
	g.live(r, day(2.9), day(4))
	require.True(t, offered())
	state, err := r.e.Checkpoint("shop") // a restart in between changes nothing
	require.NoError(t, err)
	require.NoError(t, r.e.Restore("shop", state))
	g.live(r, day(4), day(10))
	for _, a := range ofState(r.out.Alerts, alert.Resolved) {
		seen[a.ID]++
		require.Contains(t, a.Reason, "after seven days 2.5% is taken as the usual")
	}
	require.Len(t, seen, 3, "the total and both acquirers")
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	r.out = Output{}
	g.live(r, day(10), day(11))
	require.Empty(t, r.out.Alerts)
	g.fail["alpha"] = .5
	g.live(r, day(11), day(11).Add(5*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.InDelta(t, .025, fired[0].Evidence.Usual, .003)
}

// Somebody says that it is the new normal: the alert ends with the next step and says
// who; what comes after it is judged by the new level.
func TestAPersonAcceptsALastingChange(t *testing.T) {
	g := newGateway(6, map[string]float64{"alpha": 4, "beta": 4}, map[string]float64{"alpha": .01, "beta": .01})
	r := newRig(t, grownUp())
	day := func(d float64) time.Time { return hours(24 * d) }
	g.live(r, day(0), day(2))
	g.fail["alpha"], g.fail["beta"] = .05, .05
	g.live(r, day(2), day(2.2))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	other := fired[0].Key
	other.Rule = "other"
	r.e.Accept(Acceptance{Alert: other, At: day(2.2), By: "ann"})
	g.live(r, day(2.2), day(2.21))
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved), "another rule's alert was accepted")
	ids := map[alert.ID]bool{}
	for _, a := range fired {
		if !ids[a.ID] {
			ids[a.ID] = true
			r.e.Accept(Acceptance{Alert: a.Key, At: day(2.21), By: "ann"})
		}
	}
	g.live(r, day(2.21), day(2.22))
	over := ofState(r.out.Alerts, alert.Resolved)
	require.Len(t, over, len(ids))
	for _, a := range over {
		require.Contains(t, a.Reason, "ann accepted ")
	}
	r.out = Output{}
	g.live(r, day(2.22), day(4))
	require.Empty(t, r.out.Alerts)
	g.fail["alpha"] = .5
	g.live(r, day(4), day(4).Add(5*time.Minute))
	require.NotEmpty(t, firing(r.out.Alerts))
}
