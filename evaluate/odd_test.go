package evaluate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What tenants do that looks like a fault of their volume and is none, or the other way.

// berlin is a rig with one tenant of that zone whose traffic is watched on both sides.
func berlin(t *testing.T, direction rule.Direction, onboarded time.Time) *rig {
	r := newRig(t, Options{}, flowing())
	of := flowing()
	of.Direction = direction
	r.now = onboarded
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, Timezone: "Europe/Berlin", OnboardedAt: onboarded.Add(-time.Hour)}, []rule.Rule{of}, onboarded)
	return r
}

// TestClocksThatChangeAreNoFault: a shop that opens at eight and closes at ten by its own
// clock, over both changes; and what it loses the morning after is seen.
func TestClocksThatChangeAreNoFault(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for name, change := range map[string]time.Time{
		"into summer": time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),
		"into winter": time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
	} {
		begin := change.Add(-9 * 24 * time.Hour)
		r := berlin(t, rule.Both, begin)
		s := newShops(11, 1)
		s.tps = func(at time.Time) float64 {
			if h := at.In(zone).Hour(); h >= 8 && h < 22 {
				return 1
			}
			return .03
		}
		monday := change.Add(32 * time.Hour) // nine or ten o'clock
		s.live(r, begin, monday)
		require.Empty(t, firing(r.out.Alerts), name)
		s.part["alpha"], s.part["beta"] = 0, 0
		s.live(r, monday, monday.Add(10*time.Minute))
		require.NotEmpty(t, firing(r.out.Alerts), "%s: the shop is open by its own clock", name)
	}
}

// TestADailyBatchIsNoFault: ten minutes of three times the volume at the same time each
// day raise nothing and hide no loss.
func TestADailyBatchIsNoFault(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	s := newShops(12, 1)
	usual := s.tps
	s.tps = func(at time.Time) float64 {
		if m := at.Hour()*60 + at.Minute(); m >= 610 && m < 620 {
			return 3 * usual(at)
		}
		return usual(at)
	}
	lost := epoch.Add(9*24*time.Hour + 10*time.Hour + 25*time.Minute)
	s.live(r, epoch, lost)
	require.Empty(t, firing(r.out.Alerts))
	s.part["alpha"], s.part["beta"] = 0, 0
	s.live(r, lost, lost.Add(5*time.Minute))
	require.NotEmpty(t, firing(r.out.Alerts))
}

// TestATenantThatGrowsRaisesNothing: over its first week it grows from a twentieth.
func TestATenantThatGrowsRaisesNothing(t *testing.T) {
	r := berlin(t, rule.Less, epoch)
	s := newShops(13, 1)
	usual := s.tps
	s.tps = func(at time.Time) float64 {
		return usual(at) * math.Min(1, math.Max(.05, at.Sub(epoch).Hours()/168))
	}
	s.live(r, epoch, epoch.Add(10*24*time.Hour))
	require.Empty(t, firing(r.out.Alerts))
}

// TestAThousandfoldVolume: a watched jump warns once and becomes the usual volume after
// the limit; when it ends, that is a loss against it, which is the usual one again later.
func TestAThousandfoldVolume(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	s := newShops(14, .2)
	jump := epoch.Add(3 * 24 * time.Hour)
	s.live(r, epoch, jump)
	require.Empty(t, r.out.Alerts)
	usual := s.tps
	s.tps = func(at time.Time) float64 { return 1000 * usual(at) }
	s.live(r, jump, jump.Add(6*24*time.Hour))
	raised := map[alert.ID]int{}
	for _, a := range firing(r.out.Alerts) {
		raised[a.ID]++
		require.Equal(t, rule.Warning, a.Severity, a.Reason)
		require.False(t, math.IsNaN(a.Evidence.Score) || math.IsInf(a.Evidence.Score, 0))
		require.False(t, math.IsInf(a.Evidence.Expected, 0))
	}
	require.LessOrEqual(t, len(raised), 3, "the total and its two slices, whose parts are as ever")
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved))
	last := r.out.Alerts[len(r.out.Alerts)-1]
	require.Contains(t, last.Reason, "this may be the new normal")
	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.NoError(t, r.e.Restore("shop", data))

	r.out.Alerts = nil
	s.live(r, jump.Add(6*24*time.Hour), jump.Add(11*24*time.Hour))
	ended := ofState(r.out.Alerts, alert.Resolved)
	require.Len(t, ended, len(raised))
	require.Contains(t, ended[0].Reason, "after seven days its new volume is taken as the usual one")
	noon := jump.Add(11*24*time.Hour + 12*time.Hour)
	require.InEpsilon(t, 60*usual(noon)*1000, r.meter().flow.season.At(noon).Expected, .3, "it is the usual volume")

	r.out.Alerts = nil
	s.tps = usual
	s.live(r, noon, noon.Add(time.Hour))
	require.NotEmpty(t, firing(r.out.Alerts), "and its end is a loss")
}

// TestDaysWithoutDataChangeNothing: nothing comes for four days, from a source that is
// silent; what was learned is still true.
func TestDaysWithoutDataChangeNothing(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	s := newShops(15, 1)
	gone := epoch.Add(8*24*time.Hour + 3*time.Hour)
	s.live(r, epoch, gone)
	back := gone.Add(4*24*time.Hour + 7*time.Hour)
	for at := gone; at.Before(back); at = at.Add(time.Minute) {
		s.grow(at)
		r.advance(at)
	}
	s.live(r, back, back.Add(6*time.Hour))
	require.Empty(t, firing(r.out.Alerts))
	require.InEpsilon(t, 60*s.tps(back), r.meter().flow.season.At(back).Expected, .3)
	s.part["alpha"], s.part["beta"] = 0, 0
	s.live(r, back.Add(6*time.Hour), back.Add(6*time.Hour+10*time.Minute))
	require.NotEmpty(t, firing(r.out.Alerts))
}

// TestABacklogTeachesAndRaisesNothing: a source is silent for forty minutes and then
// sends what it kept, a loss of a quarter of an hour in it.
func TestABacklogTeachesAndRaisesNothing(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	s := newShops(16, 1)
	silent := epoch.Add(3*24*time.Hour + 12*time.Hour)
	s.live(r, epoch, silent)
	type kept struct {
		at time.Time
		v  []float64
	}
	var queue []kept
	back := silent.Add(40 * time.Minute)
	for at := silent; at.Before(back); at = at.Add(time.Minute) {
		if since := at.Sub(silent); since > 5*time.Minute && since < 20*time.Minute {
			s.part["alpha"], s.part["beta"] = 0, 0
		} else {
			s.part["alpha"], s.part["beta"] = .4, .6
		}
		s.grow(at)
		k := kept{at: at}
		for _, x := range s.series {
			k.v = append(k.v, x.v)
		}
		queue = append(queue, k)
		r.advance(at)
	}
	learned := r.meter().flow.season.Minutes()
	r.advance(back)
	for _, k := range queue {
		for i, x := range s.series {
			r.e.Add(back, "shop", x.ls, []Sample{{T: k.at.UnixMilli(), V: k.v[i]}})
		}
	}
	s.live(r, back, back.Add(3*time.Hour))
	require.Empty(t, firing(r.out.Alerts))
	require.Greater(t, r.meter().flow.season.Minutes()-learned, 180+20.0, "it teaches, but for the loss")
}

// TestWhatComesFromTheFutureHoldsNothingUp: samples of tomorrow are refused, and those
// of now are judged as ever.
func TestWhatComesFromTheFutureHoldsNothingUp(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	s := newShops(17, 1)
	at := epoch.Add(2*24*time.Hour + 12*time.Hour)
	s.live(r, epoch, at)
	for _, x := range s.series {
		r.e.Add(r.now, "shop", x.ls, []Sample{{T: at.Add(24 * time.Hour).UnixMilli(), V: x.v * 2}})
	}
	s.live(r, at, at.Add(time.Hour))
	require.Empty(t, firing(r.out.Alerts))
	require.EqualValues(t, len(s.series), r.e.Status("shop", r.now).RefusedSamples)
	s.part["alpha"], s.part["beta"] = 0, 0
	s.live(r, at.Add(time.Hour), at.Add(time.Hour+10*time.Minute))
	require.NotEmpty(t, firing(r.out.Alerts))
}

// TestWhatASliceLosesIsNotLearnedByTheTotal: most of the volume is lost with one acquirer
// for half a day; the day after all of it is expected, and its loss is seen as soon.
func TestWhatASliceLosesIsNotLearnedByTheTotal(t *testing.T) {
	r := berlin(t, rule.Less, epoch)
	s := newShops(18, 1)
	lost := epoch.Add(5*24*time.Hour + 8*time.Hour)
	s.live(r, epoch, lost)
	s.part["beta"] = 0 // six tenths
	s.live(r, lost, lost.Add(10*time.Hour))
	require.NotEmpty(t, firing(r.out.Alerts))
	s.part["beta"] = .6
	again := lost.Add(26 * time.Hour)
	s.live(r, lost.Add(10*time.Hour), again)
	require.InEpsilon(t, 60*s.tps(again), r.meter().flow.season.At(again).Expected, .2)
}

// TestAPolicySaysWhenALastingChangeIsTheUsual: a day and a half instead of a week.
func TestAPolicySaysWhenALastingChangeIsTheUsual(t *testing.T) {
	r := berlin(t, rule.Both, epoch)
	rules := []rule.Rule{r.tenant().rules[0].Rule}
	rules[0].AcceptAfter = 36 * 3600
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, Timezone: "Europe/Berlin", OnboardedAt: epoch}, rules, epoch)
	s := newShops(14, .2)
	jump := epoch.Add(3 * 24 * time.Hour)
	s.live(r, epoch, jump)
	usual := s.tps
	s.tps = func(at time.Time) float64 { return 50 * usual(at) }
	s.live(r, jump, jump.Add(34*time.Hour))
	require.NotEmpty(t, firing(r.out.Alerts))
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved))
	require.Contains(t, r.out.Alerts[len(r.out.Alerts)-1].Reason, "and after 1.5 days it is taken as that")
	s.live(r, jump.Add(34*time.Hour), jump.Add(48*time.Hour))
	require.Contains(t, ofState(r.out.Alerts, alert.Resolved)[0].Reason, "after 1.5 days its new volume is taken as the usual one")
}
