package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAThinTenantsRestartIsNoAbsence: after a restart of what counts a thin tenant's
// payments its series are born with the next one. It is absent once more payments are
// missing than chance explains; a busy tenant is after ten minutes.
func TestAThinTenantsRestartIsNoAbsence(t *testing.T) {
	absent := arriving()
	absent.FalseAlarms = 0.05
	silent := func(tps float64, lasts time.Duration) int {
		r := newRig(t, Options{}, flowing(), absent)
		s := newShops(1, tps)
		stop := epoch.Add(3*24*time.Hour + 15*time.Hour)
		s.live(r, epoch, stop)
		r.out.Alerts = nil
		minutes(r, stop, stop.Add(lasts), func(now time.Time) { r.e.SourceAlive("shop", "prom-eu", epoch, now) })
		return len(firing(r.out.Alerts))
	}
	require.Zero(t, silent(0.005, 40*time.Minute), "twenty payments at most were to come")
	require.Equal(t, 1, silent(0.005, 3*time.Hour), "and these are a hundred")
	require.Equal(t, 1, silent(1, 12*time.Minute))
}

// TestWhatMayBeChance is about how long: the less comes the longer, and at night longer
// than by day.
func TestWhatMayBeChance(t *testing.T) {
	absent := arriving()
	absent.FalseAlarms = 0.05
	r := newRig(t, Options{}, flowing(), absent)
	s := newShops(2, 0.02)
	end := epoch.Add(3 * 24 * time.Hour)
	s.live(r, epoch, end)
	ts := r.tenant()
	m := ts.meters[0]
	chance := func(hour int) time.Duration {
		m.chance = since{}
		return time.Duration(ts.mayBeChance(m, ts.absents[0], end.Add(time.Duration(hour)*time.Hour).UnixMilli())) * time.Millisecond
	}
	noon, night := chance(14), chance(1)
	t.Logf("%s by day, %s at night", noon, night)
	require.Greater(t, noon, 10*time.Minute)
	require.Less(t, noon, time.Hour, "seventy payments")
	require.Greater(t, night, 2*noon)
	m.flow = nil
	require.Zero(t, chance(14), "without a season nobody knows")
}
