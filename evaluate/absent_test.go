package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func arriving() rule.Rule {
	return rule.Rule{Name: "payment_absent", Kind: rule.Absent, SLI: payments(), Service: "payments", Severity: rule.Warning, Summary: "absent"}
}

func minutes(r *rig, from, to time.Time, each func(now time.Time)) {
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		r.advance(t)
		if each != nil {
			each(t)
		}
	}
}

func TestSeriesThatStopWhileTheSourceSendsOthers(t *testing.T) {
	r := newRig(t, grownUp(), failing(), arriving())
	g := three()
	stop := epoch.Add(2 * time.Hour)
	g.live(r, epoch, stop)
	minutes(r, stop, stop.Add(30*time.Minute), nil)
	require.Empty(t, r.out.Alerts, "nobody says that the source is alive")

	minutes(r, stop.Add(30*time.Minute), stop.Add(40*time.Minute), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
	fired := firing(r.out.Alerts)
	require.Len(t, fired, 1)
	a := fired[0]
	require.Equal(t, rule.Absent, a.Kind)
	require.Equal(t, rule.Warning, a.Severity)
	require.Equal(t, "prom-eu", a.Evidence.Source)
	require.WithinDuration(t, stop, a.OnsetAt, 20*time.Second)
	require.WithinDuration(t, stop.Add(10*time.Minute), a.StartsAt, 20*time.Second, "when it was due")
	require.Regexp(t, `^no sample of payment_transactions_total arrived since 01:59:\d\d UTC, although source prom-eu sends others$`, a.Reason)

	raw, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	again := newRig(t, grownUp(), failing(), arriving())
	require.NoError(t, again.e.Restore("shop", raw))
	r.e, r.out.Alerts = again.e, nil
	minutes(r, stop.Add(40*time.Minute), stop.Add(50*time.Minute), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
	require.Empty(t, r.out.Alerts, "it was said before the restart")

	g.live(r, stop.Add(50*time.Minute), stop.Add(52*time.Minute))
	ended := ofState(r.out.Alerts, alert.Resolved)
	require.Len(t, ended, 1)
	require.True(t, ended[0].Newer(&a))
	require.Contains(t, ended[0].Reason, "they arrive again since 02:50:01 UTC")
}

func TestWhatComesBackAfterAnOutageHasTimeForIt(t *testing.T) {
	r := newRig(t, grownUp(), arriving())
	g := three()
	stop, back := epoch.Add(2*time.Hour), epoch.Add(3*time.Hour)
	g.live(r, epoch, stop)
	minutes(r, stop, back, nil)
	minutes(r, back, back.Add(9*time.Minute), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", back, now) })
	require.Empty(t, r.out.Alerts, "the source is back for nine minutes")
	minutes(r, back.Add(9*time.Minute), back.Add(12*time.Minute), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", back, now) })
	require.Len(t, firing(r.out.Alerts), 1)
}

func TestOneSLIOfATenantIsAbsent(t *testing.T) {
	r := newRig(t, grownUp(), slowing(), arriving())
	g := three()
	alpha, beta := acquirers()
	stop := epoch.Add(2 * time.Hour)
	for t := epoch; t.Before(stop.Add(20 * time.Minute)); t = t.Add(15 * time.Second) {
		r.advance(t.Add(time.Second))
		for _, h := range []*timer{alpha, beta} {
			h.run(15 * time.Second)
			h.scrape(r, t)
		}
		if t.Before(stop) {
			g.run(15 * time.Second)
			g.scrape(r, "shop", t, t.Add(time.Second))
		}
	}
	fired := firing(r.out.Alerts)
	require.Len(t, fired, 1)
	require.Contains(t, fired[0].Reason, "although others of the tenant do")
}

func TestATenantThatNeverSent(t *testing.T) {
	for name, c := range map[string]struct {
		state    tenant.State
		promised float64
		fires    bool
	}{"promised": {tenant.Live, 60, true}, "nothing promised": {tenant.Live, 0, false}, "not live yet": {tenant.Onboarding, 60, false}} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, e: New(Options{}), now: epoch}
			r.e.SetTenant(tenant.Tenant{ID: "shop", State: c.state, ExpectedTPM: c.promised, OnboardedAt: epoch}, []rule.Rule{arriving()}, epoch)
			minutes(r, epoch, epoch.Add(59*time.Minute), nil)
			require.Empty(t, r.out.Alerts)
			minutes(r, epoch.Add(59*time.Minute), epoch.Add(70*time.Minute), nil)
			require.Equal(t, c.fires, len(firing(r.out.Alerts)) == 1)
			if c.fires {
				require.Contains(t, r.out.Alerts[0].Reason, "ever arrived since the tenant was onboarded")
				r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Paused, OnboardedAt: epoch}, []rule.Rule{arriving()}, r.now)
				r.advance(r.now.Add(time.Minute))
				require.Len(t, ofState(r.out.Alerts, alert.Resolved), 1, "nothing is expected of a paused tenant")
			}
		})
	}
}

func TestATenantOnboardedInThePastIsNotMissedSinceThen(t *testing.T) {
	r := &rig{t: t, e: New(Options{}), now: epoch}
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, ExpectedTPM: 60, OnboardedAt: epoch.Add(-30 * 24 * time.Hour)}, []rule.Rule{arriving()}, epoch)
	minutes(r, epoch, epoch.Add(59*time.Minute), nil)
	require.Empty(t, r.out.Alerts)
	minutes(r, epoch.Add(59*time.Minute), epoch.Add(62*time.Minute), nil)
	require.Len(t, firing(r.out.Alerts), 1)
}

// TestUsualSilenceIsNoAbsence: a sender drops a counter that has not moved for ten
// minutes; of this thin tenant nothing comes for up to an hour. What is silent for much
// longer is missed all the same.
func TestUsualSilenceIsNoAbsence(t *testing.T) {
	r := newRig(t, grownUp(), failing(), arriving())
	g := three()
	at := epoch
	rest := func(d time.Duration) {
		minutes(r, at, at.Add(d), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
		at = at.Add(d)
	}
	trade := func() {
		g.live(r, at, at.Add(12*time.Minute))
		at = at.Add(12 * time.Minute)
	}
	trade()
	rest(50 * time.Minute)
	trade()
	require.Len(t, firing(r.out.Alerts), 1, "the first time nobody knows")
	for range 20 {
		rest(40 * time.Minute)
		trade()
	}
	require.Len(t, firing(r.out.Alerts), 2, "the second time it might be a fault again; since then it is usual")

	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.NoError(t, r.e.Restore("shop", data))
	r.out.Alerts = nil
	rest(100 * time.Minute)
	require.Empty(t, r.out.Alerts)
	rest(3 * time.Hour)
	fired := firing(r.out.Alerts)
	require.Len(t, fired, 1)
	require.Contains(t, fired[0].Reason, "silences of 40 minutes are usual for it")
	trade()
	rest(30 * time.Minute)
	require.Len(t, firing(r.out.Alerts), 1, "and one long absence makes none usual")
}

// TestAnAbsentRuleInShadow says what it would, over a restart, and goes on when it comes
// in force; the one in force is as it was.
func TestAnAbsentRuleInShadow(t *testing.T) {
	loud := arriving()
	loud.Severity = rule.Critical
	stop := epoch.Add(2 * time.Hour)
	alive := func(r *rig, from, to time.Duration) {
		minutes(r, stop.Add(from), stop.Add(to), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
	}
	story := func(shadow ...rule.Rule) *rig {
		r := newRig(t, grownUp())
		r.e.Change(liveShop(), []rule.Rule{failing(), arriving()}, shadow, epoch, "")
		three().live(r, epoch, stop)
		alive(r, 0, 15*time.Minute)
		return r
	}
	require.Empty(t, story().out.Shadow)
	same := story(failing(), arriving())
	require.Len(t, firing(same.out.Shadow), 1)
	require.Equal(t, same.out.Alerts, same.out.Shadow, "the very same rule is judged once")

	r := story(failing(), loud)
	require.Equal(t, same.out.Alerts, r.out.Alerts)
	would := firing(r.out.Shadow)
	require.Len(t, would, 1)
	require.Equal(t, rule.Critical, would[0].Severity)
	require.Equal(t, same.out.Alerts[0].StartsAt, would[0].StartsAt)

	raw, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	again := newRig(t, grownUp())
	again.e.Change(liveShop(), []rule.Rule{failing(), arriving()}, []rule.Rule{failing(), loud}, epoch, "")
	require.NoError(t, again.e.Restore("shop", raw))
	alive(again, 15*time.Minute, 20*time.Minute)
	require.Empty(t, again.out.Alerts)
	require.Len(t, again.out.Shadow, 1)
	require.Equal(t, would[0].StartsAt, again.out.Shadow[0].StartsAt, "the same, said again")

	again.out.Alerts, again.out.Shadow = nil, nil
	again.e.Change(liveShop(), []rule.Rule{failing(), loud}, nil, stop.Add(20*time.Minute), "promoted")
	alive(again, 20*time.Minute, 25*time.Minute)
	require.Empty(t, ofState(again.out.Alerts, alert.Resolved), "what fires goes on firing")
	three().live(again, stop.Add(25*time.Minute), stop.Add(27*time.Minute))
	require.Len(t, ofState(again.out.Alerts, alert.Resolved), 1)
	require.Len(t, again.out.Shadow, 1)
	require.Equal(t, "no longer evaluated: promoted", again.out.Shadow[0].Reason)
}

// TestWhatAnAbsentRuleSeesIsSaid: a silence is then an absence after as long as was said.
func TestWhatAnAbsentRuleSeesIsSaid(t *testing.T) {
	r := newRig(t, grownUp(), failing(), arriving())
	stop := epoch.Add(2 * time.Hour)
	three().live(r, epoch, stop)
	list := r.e.Status("shop", r.now).SLIs[0].Slices
	s := list[len(list)-1]
	require.Equal(t, []any{rule.Absent, "payment_absent", false}, []any{s.Kind, s.Rule, s.Firing})
	require.Positive(t, s.RatePerMinute)
	require.Equal(t, "no samples: after 10 minutes, while others of its source come", s.Sees())
	minutes(r, stop, stop.Add(20*time.Minute), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
	fired := firing(r.out.Alerts)
	require.Len(t, fired, 1)
	require.InDelta(t, *s.OutageSeenSeconds, fired[0].StartsAt.Sub(stop).Seconds(), 20)
	list = r.e.Status("shop", r.now).SLIs[0].Slices
	require.True(t, list[len(list)-1].Firing)
}
