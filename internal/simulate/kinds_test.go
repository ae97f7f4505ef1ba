package simulate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFaultsThatAreNoFailures(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	world := func(duration time.Duration, faults ...Fault) *Gateway {
		g, err := New(Options{Seed: 5, Start: start, Duration: duration, Faults: faults,
			Tenants: []Tenant{{ID: "acme", TPS: 5, Acquirers: []Share{{"alpha", 1}, {"beta", 1}}}}})
		require.NoError(t, err)
		g.Advance(start.Add(20 * time.Minute))
		return g
	}
	from := start.Add(10 * time.Minute)
	calm := world(0)
	timed := world(300 * time.Millisecond)
	require.Equal(t, calm.Total("acme", ""), timed.Total("acme", ""), "durations change nothing else")

	lost := world(0, Fault{Kind: TrafficLost, Acquirer: "alpha", From: from})
	require.InDelta(t, .75*float64(calm.Total("acme", "")), float64(lost.Total("acme", "")), 200)
	require.Equal(t, lost.Truth()[0].Events, lost.Truth()[0].Injected)
	require.Equal(t, calm.Total("acme", ""), lost.Total("acme", "")+lost.Truth()[0].Injected)

	declined := world(0, Fault{Kind: Declining, From: from, Size: .5})
	require.Equal(t, calm.Total("acme", ""), declined.Total("acme", ""))
	require.Equal(t, calm.Total("acme", Declined)+declined.Truth()[0].Injected, declined.Total("acme", Declined))

	over := func(g *Gateway) (share float64) {
		var below, all float64
		for _, s := range g.Snapshot(start.Add(20 * time.Minute)) {
			if s.Labels.Get("__name__") == DurationMetric+"_bucket" && s.Labels.Get("acquirer") == "alpha" {
				switch s.Labels.Get("le") {
				case "1":
					below += s.Value
				case "+Inf":
					all += s.Value
				}
			}
		}
		require.InDelta(t, float64(g.Total("acme", ""))/2, all, 200)
		return 1 - below/all
	}
	require.InDelta(t, .022, over(timed), .01)
	require.InDelta(t, .022/2+.43/2, over(world(300*time.Millisecond, Fault{Kind: Slow, Acquirer: "alpha", From: from})), .03)
	_, err := New(Options{Start: start, Tenants: []Tenant{{ID: "a"}}, Faults: []Fault{{Kind: Slow, Size: .5, From: from}}})
	require.Error(t, err)
}
