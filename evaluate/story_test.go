package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestAcquirerDies(t *testing.T) {
	r := newRig(t, Options{})
	g := newGateway(7, map[string]float64{"alpha": 1.5, "beta": 2, "gamma": 1.5}, map[string]float64{"alpha": .01, "beta": .01, "gamma": .01})
	g.live(r, epoch.Add(7*time.Second), epoch.Add(26*time.Hour))
	require.Empty(t, r.out.Alerts, "a day and two hours of the usual")

	died := epoch.Add(26 * time.Hour)
	g.fail["alpha"] = 1
	g.live(r, died.Add(7*time.Second), died.Add(20*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	first := fired[0]
	require.Equal(t, "acquirer=alpha", first.Slice.Key(), "the slice has the most evidence")
	require.True(t, first.Evidence.Hard)
	require.LessOrEqual(t, first.StartsAt.Sub(died), 60*time.Second)
	require.WithinDuration(t, died, first.OnsetAt, 15*time.Second)
	require.InDelta(t, 0.3, first.Evidence.Share, 0.05)
	require.InDelta(t, 90, first.Evidence.RatePerMinute, 10)
	t.Log(first.StartsAt.Sub(died), first.Reason, len(fired))
	require.Regexp(t, `^\d+ of \d+ payments through acquirer alpha failed since 0[12]:\d\d:\d\d UTC; usual is \d\.\d%; evidence`, first.Reason)

	r.out.Alerts = nil
	g.fail["alpha"] = .01
	over := died.Add(20 * time.Minute)
	g.live(r, over.Add(7*time.Second), over.Add(2*time.Hour))
	ended := map[string]time.Duration{}
	for _, a := range r.out.Alerts {
		if a.EndsAt != nil {
			ended[a.Slice.Key()] = a.EndsAt.Sub(over)
		}
	}
	require.Contains(t, ended, "acquirer=alpha")
	for _, d := range ended {
		require.Less(t, d, 15*time.Minute)
	}
	r.out.Alerts = nil
	g.live(r, over.Add(2*time.Hour+7*time.Second), over.Add(5*time.Hour))
	require.Empty(t, r.out.Alerts, "and it does not come back")
}

func TestNullDayIsSilent(t *testing.T) {
	for seed := range uint64(4) {
		r := newRig(t, grownUp())
		g := newGateway(seed, map[string]float64{"alpha": 1, "beta": 2, "gamma": 1.5, "delta": .05}, map[string]float64{"alpha": .01, "beta": .03, "gamma": .002, "delta": .01})
		g.live(r, epoch.Add(7*time.Second), epoch.Add(24*time.Hour))
		require.Empty(t, r.out.Alerts)
	}
}

func TestWhatIsNotLearned(t *testing.T) {
	// A slice of 0.4% of the volume fails for hours: too little for the total to fire, but nothing for it to learn.
	r := newRig(t, grownUp())
	g := newGateway(6, map[string]float64{"alpha": .004, "beta": 1}, map[string]float64{"alpha": .01, "beta": .01})
	g.live(r, epoch, epoch.Add(8*time.Hour))
	require.Empty(t, r.out.Alerts)
	events := func() float64 { return r.meter().cells[0].base.Events() }
	before := events()
	g.fail["alpha"] = 1
	g.live(r, epoch.Add(8*time.Hour), epoch.Add(12*time.Hour))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	for _, a := range fired {
		require.Equal(t, "acquirer=alpha", a.Slice.Key())
	}
	require.Less(t, events(), before+2*3600*1.1, "at most the hour before, which was not old enough, and the hour in which it began")
	require.Zero(t, r.meter().cells[0].base.Retract(fired[0].OnsetAt.UnixMilli(), r.now.UnixMilli()), "the hours since the onset are taken back")
}

func TestNothingIsRaisedBeforeOnboarding(t *testing.T) {
	r := newRig(t, grownUp())
	onboarded := epoch.Add(3 * time.Hour)
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: onboarded}, []rule.Rule{failing()}, epoch)
	g := three()
	g.live(r, epoch, epoch.Add(150*time.Minute))
	g.fail["alpha"] = 1
	g.live(r, epoch.Add(150*time.Minute), onboarded.Add(time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.True(t, fired[0].StartsAt.After(onboarded))
	require.WithinDuration(t, epoch.Add(150*time.Minute), fired[0].OnsetAt, 30*time.Second)
}

func TestMixRemembersTheWorseOne(t *testing.T) {
	var x mix
	fades := fades(15_000)
	follow := func(n, expected float64) float64 {
		ahead := [2]float64{1 / fades[0], 1 / fades[1]}
		x.follow(n, expected, &ahead)
		x.now(&ahead)
		return x.ratio(explained{n, expected})
	}
	for range 240 {
		require.InDelta(t, .08, follow(10, .8), 1e-9)
	}
	require.InDelta(t, .2, follow(10, 2), 1e-9, "a worse one counts at once")
	for range 20 {
		follow(10, .1)
	}
	require.Greater(t, follow(10, .1), .05)
	for range 2000 {
		follow(10, .1)
	}
	require.InDelta(t, .01, follow(0, 0), 1e-3)
}
