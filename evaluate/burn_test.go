package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func burning() rule.Rule {
	r := failing()
	r.Name, r.Kind, r.FalseAlarms = "BudgetBurns", rule.BurnRate, 0
	r.Burn = &rule.Burn{Objective: 0.99, LeastEvents: 30}
	return r
}

// acquirersOf sends two acquirers of which alpha fails by a share that changes.
func acquirersOf(share func(time.Time) float64) *feed {
	f := newFeed(5)
	for _, a := range []string{"alpha", "beta"} {
		failing := func(t time.Time) float64 {
			if a == "alpha" {
				return share(t)
			}
			return 0.002
		}
		f.counter(func(t time.Time) float64 { return 1 - failing(t) }, "result", "success", "acquirer", a)
		f.counter(func(t time.Time) float64 { return failing(t) }, "result", "error", "acquirer", a)
	}
	return f
}

func TestABurnRateRingsAndEnds(t *testing.T) {
	from, over := epoch.Add(8*time.Hour), epoch.Add(9*time.Hour)
	f := acquirersOf(func(at time.Time) float64 {
		if !at.Before(from) && at.Before(over) {
			return 0.5
		}
		return 0.002
	})
	r := newRig(t, grownUp(), burning())
	f.live(r, epoch, epoch.Add(8*time.Hour+30*time.Minute))
	raw, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	again := newRig(t, grownUp(), burning())
	require.NoError(t, again.e.Restore("shop", raw))
	r.e = again.e // as after a restart
	f.live(r, epoch.Add(8*time.Hour+30*time.Minute), epoch.Add(11*time.Hour))

	lasts := map[string]alert.Alert{}
	var began []alert.Alert
	for _, a := range r.out.Alerts {
		if _, known := lasts[a.Slice.Key()]; !known {
			began = append(began, a)
		}
		lasts[a.Slice.Key()] = a
	}
	require.Len(t, began, 2, "the total and alpha, and beta never")
	for _, a := range began {
		require.Equal(t, rule.BurnRate, a.Kind)
		require.Equal(t, "burn_1h", a.Evidence.Test)
		require.InDelta(t, 0.01, a.Evidence.Usual, 1e-9, "what it is held to")
		require.WithinDuration(t, from, a.OnsetAt, 5*time.Minute)
		require.Regexp(t, `^\d+ of \d+ payments.* failed within 60 minutes: 1\d\.\d times what the objective allows, and of the last 5 minutes as well; 14\.4 times is too fast$`, a.Reason)
		last := lasts[a.Slice.Key()]
		require.Equal(t, alert.Resolved, last.State)
		require.Less(t, last.EndsAt.Sub(over), 35*time.Minute)
	}
	require.Equal(t, "acquirer=alpha", began[0].Slice.Key(), "half of it fails: seen before the total")
	st := r.e.Status("shop", r.now)
	require.InDelta(t, 0.01, st.SLIs[0].Slices[0].Usual, 1e-9)
	require.NotNil(t, st.SLIs[0].Slices[0].SmallestFault)
}

// An objective that changes keeps what was counted; a tenant that is young hears of
// hard faults only.
func TestABurnRateOutlivesAChangeOfItsObjective(t *testing.T) {
	f := acquirersOf(func(time.Time) float64 { return 0.04 })
	r := newRig(t, grownUp(), burning())
	f.live(r, epoch, epoch.Add(7*time.Hour))
	require.Empty(t, r.out.Alerts, "two and four points are less than six times one")
	strict := burning()
	strict.Burn = &rule.Burn{Objective: 0.999, LeastEvents: 30}
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, []rule.Rule{strict}, r.now)
	f.live(r, r.now.Add(14*time.Second).Truncate(15*time.Second), r.now.Add(3*time.Minute))
	require.NotEmpty(t, r.out.Alerts, "at once: the hour was counted already")

	young := newRig(t, Options{}, strict)
	f = acquirersOf(func(time.Time) float64 { return 0.3 })
	f.live(young, epoch, epoch.Add(2*time.Hour))
	require.Empty(t, young.out.Alerts)
	f = acquirersOf(func(time.Time) float64 { return 1 })
	f.live(young, epoch.Add(3*time.Hour), epoch.Add(3*time.Hour+20*time.Minute))
	require.NotEmpty(t, young.out.Alerts)
}

// TestBurnRateTwin holds the rule to its PromQL form, evaluated by Prometheus' engine
// every fifteen seconds of twelve hours with faults of several sizes.
func TestBurnRateTwin(t *testing.T) {
	b := burning()
	m := newMirror(t, b)
	f := acquirersOf(func(at time.Time) float64 {
		switch h := at.Sub(epoch).Hours(); {
		case h > 2 && h < 2.5:
			return 0.6
		case h > 4 && h < 7:
			return 0.2
		case h > 9 && h < 9.1:
			return 1
		}
		return 0.005
	})
	query := b.Burn.PromQL(b.SLI, nil, nil, false)
	said, differed, rang := 0, 0, 0
	for at := epoch; at.Before(epoch.Add(12 * time.Hour)); at = at.Add(15 * time.Second) {
		f.grow(at)
		m.advance(at.Add(time.Second))
		for _, s := range f.series {
			m.push(s.ls.String(), s.ls, at.UnixMilli(), s.v)
		}
		m.advance(at.Add(2 * time.Second))
		w := m.meter().cells[0].watches[0]
		if w.burn == nil || at.Sub(epoch)%(2*time.Minute) != 0 && !w.Firing {
			continue
		}
		theirs := m.query(m.ng, query, m.meter().lastClose) > 0
		if said++; theirs != w.Firing {
			differed++
		}
		if w.Firing {
			rang++
		}
	}
	require.Greater(t, rang, 200)
	require.LessOrEqual(t, differed, said/50, "only where a window's edge lies within a unit")
	t.Logf("%d verdicts, %d of them firing, %d differ", said, rang, differed)
	require.Contains(t, query, `sum(increase(payment_transactions_total{result="error"}[3600s] anchored)) / sum(increase(payment_transactions_total{}[3600s] anchored)) > 0.144 and`)
	require.NotContains(t, b.Burn.PromQL(b.SLI, sli.Selection{"tenant": "acme"}, nil, true), "anchored")
}

// TestWhatABurnRateSeesIsSaid: at this hour's volume, and as a fault of that size then shows.
func TestWhatABurnRateSeesIsSaid(t *testing.T) {
	from := epoch.Add(8 * time.Hour)
	f := acquirersOf(func(at time.Time) float64 {
		if !at.Before(from) {
			return 1
		}
		return 0.002
	})
	r := newRig(t, grownUp(), burning())
	f.live(r, epoch, from)
	var of SliceStatus
	for _, s := range r.e.Status("shop", r.now).SLIs[0].Slices {
		if s.Slice.Key() == "acquirer=alpha" {
			of = s
		}
	}
	require.Equal(t, rule.BurnRate, of.Kind)
	require.NotNil(t, of.OutageSeenSeconds)
	require.Regexp(t, `^five points more failures: at no volume, it looks for more than that: \d+ points within ten minutes; a total failure: after (8|9) minutes$`, of.Sees(),
		"five points more are five times the pace of 1%, and six are asked for")
	never, soon, now := SliceStatus{Kind: rule.BurnRate, RatePerMinute: .08}, 60., 0.
	require.Equal(t, "five points more failures: not at this volume; a total failure: not at this volume", never.Sees())
	never.FivePointsSeenSeconds, never.OutageSeenSeconds = &now, &now
	require.Contains(t, never.Sees(), "five points more failures: at once, what usually fails spends the budget already")
	never.FivePointsSeenSeconds, never.OutageSeenSeconds = nil, &soon
	require.Equal(t, "five points more failures: at no volume, it looks for more than that; a total failure: after 1 minute", never.Sees())
	f.live(r, from, from.Add(time.Hour))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.InDelta(t, *of.OutageSeenSeconds, fired[0].StartsAt.Sub(from).Seconds(), 60)
}
