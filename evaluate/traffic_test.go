package evaluate

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func flowing() rule.Rule {
	r := failing()
	r.Name, r.Kind = "payment_traffic", rule.Traffic
	return r
}

// day swings between a fifth and nine fifths of its mean, highest at 15:00.
func day(tps float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		return tps * (1 + .8*math.Sin(float64(t.Hour()*60+t.Minute()-9*60)*math.Pi/720))
	}
}

type shops struct {
	*feed
	part map[string]float64
	tps  func(time.Time) float64
}

// newShops is traffic through two acquirers, scraped each minute.
func newShops(seed uint64, tps float64) *shops {
	s := &shops{feed: newFeed(seed), part: map[string]float64{"alpha": .4, "beta": .6}, tps: day(tps)}
	s.every = time.Minute
	for _, a := range []string{"alpha", "beta"} {
		for result, share := range map[string]float64{"success": .99, "error": .01} {
			s.counter(func(t time.Time) float64 { return s.tps(t) * s.part[a] * share }, "acquirer", a, "result", result)
		}
	}
	return s
}

func TestLostTrafficWithFreshFlatCounters(t *testing.T) {
	r := newRig(t, Options{}, flowing())
	s := newShops(1, 1)
	s.live(r, epoch, epoch.Add(3*24*time.Hour))
	require.Empty(t, r.out.Alerts, "three days of the usual")

	lost := epoch.Add(3*24*time.Hour + 9*time.Hour)
	s.live(r, epoch.Add(3*24*time.Hour), lost)
	s.part["alpha"], s.part["beta"] = 0, 0
	s.live(r, lost, lost.Add(20*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	first := fired[0]
	require.Equal(t, rule.Traffic, first.Kind)
	require.Equal(t, rule.Critical, first.Severity)
	require.True(t, first.Evidence.Hard)
	require.LessOrEqual(t, first.StartsAt.Sub(lost), 3*time.Minute, "two steps of a minute at least")
	require.WithinDuration(t, lost, first.OnsetAt, time.Minute)
	require.Regexp(t, `^\d+ payments in \d+ (seconds|minutes), since 0[89]:\d\d:\d\d UTC; usual \d+; evidence`, first.Reason)
	var last alert.Alert
	for _, a := range fired {
		if len(a.Slice) == 0 {
			last = a
		}
	}
	require.InDelta(t, 60, last.Evidence.Expected/last.AsOf.Sub(last.OnsetAt).Minutes(), 20, "what a minute brings at nine")
	t.Log(last.Reason)

	r.out.Alerts = nil
	s.part["alpha"], s.part["beta"] = .4, .6
	back := lost.Add(20 * time.Minute)
	s.live(r, back, back.Add(10*time.Minute))
	ended := ofState(r.out.Alerts, alert.Resolved)
	require.NotEmpty(t, ended)
	for _, a := range ended {
		require.LessOrEqual(t, a.EndsAt.Sub(back), 4*time.Minute)
	}
	r.out.Alerts = nil
	s.live(r, back.Add(10*time.Minute), back.Add(30*time.Hour))
	require.Empty(t, r.out.Alerts, "what was lost is not expected a day later, nor is its return a surge")
}

// TestTheFirstSaturday: a tenant that does not open warns only, one that stops at noon calls.
func TestTheFirstSaturday(t *testing.T) {
	saturday := epoch.Add(5 * 24 * time.Hour)
	for name, stops := range map[string]time.Time{"it does not open": saturday.Add(7 * time.Hour), "it stops at noon": saturday.Add(12*time.Hour + 10*time.Minute)} {
		r := newRig(t, Options{}, flowing())
		s := newShops(21, 5)
		s.tps = func(at time.Time) float64 {
			if at.Hour() < 8 || at.Hour() >= 20 || !at.Before(stops) {
				return .3
			}
			return 5
		}
		s.live(r, epoch, stops)
		require.Empty(t, firing(r.out.Alerts), name)
		s.live(r, stops, stops.Add(2*time.Hour))
		fired := firing(r.out.Alerts)
		require.NotEmpty(t, fired, name)
		total := slices.IndexFunc(fired, func(a alert.Alert) bool { return len(a.Slice) == 0 })
		require.GreaterOrEqual(t, total, 0, name)
		want := rule.Warning
		if stops.Hour() == 12 {
			want = rule.Critical
		}
		require.Equal(t, want, fired[total].Severity, "%s: %s", name, fired[total].Reason)
	}
}

func TestNoDataIsNoLostTraffic(t *testing.T) {
	r := newRig(t, Options{}, flowing())
	s := newShops(2, 1)
	s.live(r, epoch, epoch.Add(2*24*time.Hour+9*time.Hour))
	back := epoch.Add(2*24*time.Hour + 11*time.Hour)
	for at := epoch.Add(2*24*time.Hour + 9*time.Hour); at.Before(back); at = at.Add(time.Minute) {
		s.grow(at) // events go on, nobody tells
		r.advance(at)
	}
	s.live(r, back, back.Add(time.Hour))
	require.Empty(t, r.out.Alerts)

	// Half of the scrapes are missed: the expectation is for what was observed.
	for at := back.Add(time.Hour); at.Before(back.Add(5 * time.Hour)); at = at.Add(2 * time.Minute) {
		s.grow(at.Add(-time.Minute))
		s.live(r, at, at.Add(time.Minute))
	}
	require.Empty(t, r.out.Alerts)
}

func TestASliceThatIsLostAndOneThatMoved(t *testing.T) {
	for name, moved := range map[string]bool{"lost": false, "moved": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{}, flowing())
			s := newShops(3, 2)
			at := epoch.Add(2*24*time.Hour + 12*time.Hour)
			s.live(r, epoch, at)
			require.Empty(t, r.out.Alerts)
			if s.part["alpha"] = 0; moved {
				s.part["beta"] = 1
			}
			s.live(r, at, at.Add(10*time.Minute))
			fired := firing(r.out.Alerts)
			require.NotEmpty(t, fired)
			for _, a := range fired {
				require.Equal(t, "acquirer=alpha", a.Slice.Key())
				require.Equal(t, moved, a.Severity == rule.Warning, a.Reason)
			}
			if moved {
				require.Contains(t, fired[0].Reason, "they came another way")
			}
		})
	}
}

func TestASliceWhoseSeriesAreGoneIsNoLostTraffic(t *testing.T) {
	r := newRig(t, Options{}, flowing())
	s := newShops(4, 2)
	at := epoch.Add(2*24*time.Hour + 12*time.Hour)
	s.live(r, epoch, at)
	r.advance(at)
	for _, g := range s.series {
		if g.ls.Get("acquirer") == "alpha" {
			g.off = true
			r.e.Add(r.now, "shop", g.ls, []Sample{{T: at.Add(-time.Second).UnixMilli(), V: stale}})
		}
	}
	s.live(r, at, at.Add(30*time.Minute))
	require.Empty(t, r.out.Alerts)
}

func TestTooMuchTrafficIsNeverCritical(t *testing.T) {
	for direction, fires := range map[rule.Direction]bool{"": false, rule.Less: false, rule.More: true, rule.Both: true} {
		both := flowing()
		both.Direction = direction
		r := newRig(t, Options{}, both)
		s := newShops(5, 1)
		at := epoch.Add(2*24*time.Hour + 12*time.Hour)
		s.live(r, epoch, at)
		usual := s.tps
		s.tps = func(t time.Time) float64 { return 8 * usual(t) }
		s.live(r, at, at.Add(10*time.Minute))
		require.Equal(t, fires, len(firing(r.out.Alerts)) > 0, direction)
		for _, a := range firing(r.out.Alerts) {
			require.Equal(t, rule.Warning, a.Severity)
			require.Greater(t, a.Evidence.N, 4*a.Evidence.Expected)
			require.Contains(t, a.Reason, "too much is never critical")
		}
	}
}

func TestAYoungTenantsTrafficIsGoneOnlyWhenNothingComes(t *testing.T) {
	for name, c := range map[string]struct {
		left     float64
		from, at time.Duration
		promised float64
		fires    bool
	}{
		"a tenth is left":               {.1, 0, 12 * time.Hour, 60, false},
		"nothing is left":               {0, 0, 12 * time.Hour, 60, true},
		"nothing, and nothing promised": {0, 0, 12 * time.Hour, 0, true},
		"much less was promised":        {0, 10 * time.Hour, 11*time.Hour + 30*time.Minute, .1, false},
		"what was promised is refuted":  {0, 0, 12 * time.Hour, .1, true},
		"and was not, of such an hour":  {0, 10 * time.Hour, 11*time.Hour + 30*time.Minute, 60, true},
		"at night":                      {0, 0, 2 * time.Hour, 60, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{}, flowing())
			zone := "UTC"
			r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, Timezone: zone, ExpectedTPM: c.promised, OnboardedAt: epoch.Add(-time.Hour)}, []rule.Rule{flowing()}, epoch)
			s := newShops(6, 1)
			s.live(r, epoch.Add(c.from), epoch.Add(c.at))
			require.Empty(t, r.out.Alerts)
			s.part["alpha"], s.part["beta"] = .4*c.left, .6*c.left
			s.live(r, epoch.Add(c.at), epoch.Add(c.at+30*time.Minute))
			require.Equal(t, c.fires, len(firing(r.out.Alerts)) > 0)
		})
	}
}

func TestTheClockChangeIsNoFault(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for name, change := range map[string]time.Time{
		"into summer": time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),
		"into winter": time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			both := flowing()
			both.Direction = rule.Both
			r := &rig{t: t, e: New(Options{}), now: epoch}
			from := change.Add(-9 * 24 * time.Hour)
			r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, Timezone: "Europe/Berlin", OnboardedAt: from}, []rule.Rule{both}, from)
			s := newShops(7, 1)
			s.tps = func(at time.Time) float64 { // opens at eight, closes at ten at night
				if h := at.In(berlin).Hour(); h >= 8 && h < 22 {
					return 2
				}
				return .3
			}
			s.live(r, from, change.Add(3*24*time.Hour))
			require.Empty(t, r.out.Alerts)
		})
	}
}

func TestTrafficIsShownInTheStatus(t *testing.T) {
	r := newRig(t, Options{}, flowing())
	s := newShops(8, 1)
	s.live(r, epoch, epoch.Add(2*24*time.Hour+15*time.Hour))
	for _, sl := range r.e.Status("shop", r.now).SLIs[0].Slices {
		if len(sl.Slice) == 0 {
			require.InDelta(t, 60*1.8, sl.RatePerMinute, 20)
			require.NotNil(t, sl.OutageSeenSeconds)
			require.LessOrEqual(t, *sl.OutageSeenSeconds, 120.0)
		}
	}
}

func TestAVolumeThatChangedForGoodIsAcceptedAfterAWeek(t *testing.T) {
	r := newRig(t, Options{}, flowing())
	s := newShops(9, 1)
	at := epoch.Add(2*24*time.Hour + 12*time.Hour)
	s.live(r, epoch, at)
	usual := s.tps
	s.tps = func(t time.Time) float64 { return usual(t) / 50 }
	s.live(r, at, at.Add(6*24*time.Hour))
	require.NotEmpty(t, firing(r.out.Alerts))
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved))
	r.out.Alerts = nil
	s.live(r, at.Add(6*24*time.Hour), at.Add(8*24*time.Hour))
	over := ofState(r.out.Alerts, alert.Resolved)
	require.NotEmpty(t, over)
	require.Contains(t, over[0].Reason, "its new volume is taken as the usual one")
	r.out.Alerts = nil
	s.live(r, at.Add(8*24*time.Hour), at.Add(11*24*time.Hour))
	require.Empty(t, r.out.Alerts)
}
