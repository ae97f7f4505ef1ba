package detect

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAThinStreamNeedsLess: a month has a look at every step, but of a stream of which
// most steps bring nothing fewer of them can be wrong.
func TestAThinStreamNeedsLess(t *testing.T) {
	t.Parallel()
	const h, p0 = 17.0, 0.01
	usual := needs{slow: h + slowCost, hard: h + hardCost, window: h + windowCost}
	require.Equal(t, usual, needed(h, 0, 0, p0, 0), "of what nobody knows how much comes all looks count")
	last := needs{}
	for _, perStep := range []float64{1e-9, 0.01, 0.1, 1, 10} {
		x := needed(h, 0, perStep, p0, 0)
		require.Less(t, x.slow-slowCost, x.hard-hardCost+1e-9, "a small fault speaks in fewer steps than a large one")
		require.GreaterOrEqual(t, x.slow, usual.slow-mostSpared)
		require.GreaterOrEqual(t, x.hard, usual.hard-mostSpared)
		require.True(t, x.slow >= last.slow && x.hard >= last.hard && x.window >= last.window, "the more comes, the more is needed")
		require.Less(t, x.slow, usual.slow)
		last = x
	}
	busy := needed(h, 0, 1000, p0, 0)
	require.InDelta(t, usual.slow, busy.slow, 1e-6)
	require.InDelta(t, usual.hard, busy.hard, 1e-6)

	// The detector goes by what its baseline knows.
	b := &Baseline{}
	for i := range int64(48) {
		b.Observe(Step{Start: testStart + (i-48)*hour, End: testStart + (i-47)*hour, N: 36, K: 0.36, Coverage: 1})
	}
	d, p := &ErrorRatio{}, at16()
	s := Step{Start: testStart, End: testStart + stepMillis, N: 1, K: 1, Coverage: 1}
	knows := d.Step(p, b, s)
	_, upper := b.Ratio(p)
	want := needed(p.H(), 0, 1.0/4, upper, 0) // 0.6 a minute
	require.Contains(t, []float64{want.slow, want.hard}, knows.Needed)
	p.Young = true
	d = &ErrorRatio{}
	require.InDelta(t, p.H()+hardCost, d.Step(p, b, s).Needed, 1e-9, "what comes of a young cell nobody knows")
}

// TestASilenceBeginsWithAnEvent: lost traffic of a thin stream needs less, a surge does not.
func TestASilenceBeginsWithAnEvent(t *testing.T) {
	t.Parallel()
	p := at16()
	thin, busy := Volume{Less: true, More: true, Mean: 0.1}, Volume{Less: true, More: true, Mean: 100}
	require.InDelta(t, spared(speaks(0.1, 1)), busy.needs(&p).less-thin.needs(&p).less, 1e-9)
	require.Equal(t, busy.needs(&p).more, thin.needs(&p).more)
	require.InDelta(t, 2.35, spared(speaks(0.1, 1)), 0.01)
	p.Young = true
	require.Equal(t, busy.needs(&p), thin.needs(&p))
}

// TestWhatIsLooseKeepsTheBudget: thin tenants where nothing is wrong, judged with as much
// less as their rules ask for: chance stays within the budget all the same.
func TestWhatIsLooseKeepsTheBudget(t *testing.T) {
	t.Parallel()
	const budget = 0.2 // of the tenant, for all its streams of one rule
	tenants := 40 / slowdown
	if os.Getenv("TOCSIN_LONG") != "" {
		tenants = 3000
	}
	for _, null := range []null{{rate: 0.005}, {rate: 0.012}, {rate: 0.025}, {rate: 0.012, ratio: 0.03}, {rate: 0.012, ratio: 0.08, alternative: 0.4}} {
		loose := LooseErrors
		if null.alternative > 0 {
			loose = LooseLatency
		}
		t.Run(fmt.Sprint(null), func(t *testing.T) {
			p := Parameters{Prior: 0.01, Budget: budget / nullStream, Loose: loose, Alternative: null.alternative}
			alarms := nullMonths(p, null, tenants, 11)
			t.Logf("%d false alarms in %d tenant-months, budget %g", alarms, tenants, budget*float64(tenants))
			require.LessOrEqual(t, float64(alarms), budget*float64(tenants))
		})
	}
}
