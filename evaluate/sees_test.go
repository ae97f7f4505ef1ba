package evaluate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
)

// TestWhatIsSeenIsSaid: the delay that is told is the one that a fault has.
func TestWhatIsSeenIsSaid(t *testing.T) {
	r := newRig(t, Options{})
	g := newGateway(5, map[string]float64{"alpha": .5, "beta": .5}, map[string]float64{"alpha": .01, "beta": .01}) // in one of them alone it might be a customer
	g.live(r, epoch, epoch.Add(30*time.Hour))
	total := r.e.Status("shop", r.now).SLIs[0].Slices[0]
	require.NotNil(t, total.FivePointsSeenSeconds)
	require.NotNil(t, total.OutageSeenSeconds)
	require.Less(t, *total.OutageSeenSeconds, *total.FivePointsSeenSeconds)
	require.Regexp(t, `^five points more failures: after \d+ (minutes|hours); a total failure: after \d+ (seconds|minutes?)$`, total.Sees())

	began := r.now
	g.fail["alpha"], g.fail["beta"] = total.Upper+.05, total.Upper+.05
	for range 24 * 60 {
		g.live(r, r.now.Add(13*time.Second), r.now.Add(time.Minute))
		if len(firing(r.out.Alerts)) > 0 {
			break
		}
	}
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	took := fired[0].StartsAt.Sub(began).Seconds()
	require.Less(t, took, 4**total.FivePointsSeenSeconds)
	require.Greater(t, took, *total.FivePointsSeenSeconds/4)

	young := newRig(t, Options{})
	g.live(young, epoch, epoch.Add(2*time.Hour))
	require.Contains(t, young.e.Status("shop", young.now).SLIs[0].Slices[0].Sees(), "not while it is young")
	require.Equal(t, "lost traffic: not at this volume", SliceStatus{Kind: rule.Traffic}.Sees())
	require.Equal(t, "lost traffic: not while it is young", SliceStatus{Kind: rule.Traffic, Young: true}.Sees())
	ten, soon := .1, 45.
	slow := SliceStatus{Kind: rule.Latency, RatePerMinute: 240, SmallestFault: &ten, OutageSeenSeconds: &soon}
	require.Equal(t, "five points more that are slow: at no volume, it looks for more than that: 10 points within ten minutes; all slow: after 45 seconds", slow.Sees(),
		"with whatever volume, five points are as usual")
}

func TestWhatAQueryTakesForAFaultIsSaid(t *testing.T) {
	require.Equal(t, "what its query gives, asked once a minute: after 10 minutes", Asks(rule.Rule{Kind: rule.PromQL, Query: &rule.Query{Expr: "x > 1", For: 600}}))
	require.Equal(t, "what its query gives, asked once a minute: at once", Asks(rule.Rule{Kind: rule.PromQL, Query: &rule.Query{Expr: "x > 1"}}))
	require.Empty(t, Asks(rule.Rule{Kind: rule.Errors}))
}

// TestWhoIsBlindSendsNothing: that its series were there is no word of what comes.
func TestWhoIsBlindSendsNothing(t *testing.T) {
	r := newRig(t, Options{})
	newGateway(5, map[string]float64{"alpha": 1}, map[string]float64{"alpha": .01}).live(r, epoch, epoch.Add(time.Hour))
	require.Positive(t, r.e.Status("shop", r.now).SeriesLive)
	st := r.e.Status("shop", r.now.Add(10*time.Minute))
	require.True(t, st.Blind)
	require.Zero(t, st.SeriesLive)
}

func TestLasting(t *testing.T) {
	for s, want := range map[float64]string{15: "15 seconds", 60: "1 minute", 61: "2 minutes", 2400: "40 minutes", 7200: "2 hours", 172800: "2 days", math.Nextafter(1, 0): "1 second"} {
		require.Equal(t, want, Lasting(s))
	}
}

// TestThisHour: what is seen is told at the volume of the hour.
func TestThisHour(t *testing.T) {
	s := SliceStatus{Kind: rule.Errors}
	require.Equal(t, "five points more failures: not at this volume; a total failure: not at this volume", s.Sees())
	s.Noun = "refunds"
	require.Equal(t, "five points more failures of refunds: not at this volume; a total failure: not at this volume", s.Sees())
	s.Kind = rule.Latency
	require.Equal(t, "five points more refunds that are slow: not at this volume; all slow: not at this volume", s.Sees())
}
