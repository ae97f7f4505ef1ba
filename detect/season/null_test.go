package season_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/season"
)

const (
	step  = 15 * time.Second
	weeks = 2 // of learning
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// tenant has a day, a week, slow growth, and volume that scatters from hour to hour.
type tenant struct {
	tps, swing float64 // swing: relative standard deviation of an hour's volume beside Poisson's
	rng        *rand.Rand
	hour       int64
	factor     float64
}

func (x *tenant) rate(at time.Time) float64 {
	if h := at.Unix() / 3600; h != x.hour {
		x.hour = h
		x.factor = math.Exp(x.swing*x.rng.NormFloat64() - x.swing*x.swing/2)
	}
	day := 1 + .8*math.Sin(float64(at.Hour()*60+at.Minute())*math.Pi/720-2)
	if at.Weekday() == time.Sunday {
		day *= .6
	}
	return x.tps * day * x.factor * (1 + .01*at.Sub(start).Hours()/24)
}

func (x *tenant) draw(mean float64) float64 {
	if mean > 50 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*x.rng.NormFloat64()))
	}
	n, p, limit := 0.0, x.rng.Float64(), math.Exp(-mean)
	for p > limit {
		n, p = n+1, p*x.rng.Float64()
	}
	return n
}

// month learns and then watches 30 days. It returns false alarms; lost is when
// traffic ceases, and seen how long that took to be seen.
func (x *tenant) month(p detect.Parameters, more bool, lost time.Time) (alarms int, seen time.Duration) {
	var s season.Season
	var d detect.Traffic
	var r season.Rate
	from := start.Add(weeks * 7 * 24 * time.Hour)
	for at := start; at.Before(from); at = at.Add(10 * time.Minute) { // learning needs no steps
		s.Observe(at.UnixMilli(), s.At(at), x.draw(x.rate(at)*600), 10)
	}
	for at := from; at.Before(from.Add(detect.Month)); at = at.Add(step) {
		if at.Second() == 0 {
			r = s.At(at)
		}
		n := 0.0
		if lost.IsZero() || at.Before(lost) {
			n = x.draw(x.rate(at) * step.Seconds())
		}
		out := d.Step(p, detect.Volume{Expected: r.Expected * step.Minutes(), Low: r.Low * step.Minutes(), High: r.High * step.Minutes(), Size: s.Size(), Mean: s.Mean() * step.Minutes(), Less: true, More: more, Known: s.Seen(r.Slot)},
			detect.Step{Start: at.UnixMilli(), End: at.Add(step).UnixMilli(), N: n, Coverage: 1})
		switch {
		case out.Changed && out.Firing:
			if !lost.IsZero() && !at.Before(lost) {
				return alarms, at.Add(step).Sub(lost)
			}
			alarms++
			s.Retract(out.Onset)
		case !out.Firing:
			s.Observe(at.UnixMilli(), r, n, step.Minutes())
		}
	}
	return alarms, 0
}

func TestNullMonthsOfTraffic(t *testing.T) {
	months, budget := 4, 0.05
	if os.Getenv("TOCSIN_LONG") != "" {
		months = 300
	}
	for _, c := range []struct{ tps, swing float64 }{{.01, .1}, {.1, .2}, {1, .1}, {1, .3}, {100, .2}} {
		t.Run(fmt.Sprintf("%g_tps_swing_%g", c.tps, c.swing), func(t *testing.T) {
			t.Parallel()
			alarms, broken := 0, 0
			for i := range months {
				x := &tenant{tps: c.tps, swing: c.swing, rng: rand.New(rand.NewPCG(uint64(i), 5))}
				n, _ := x.month(detect.Parameters{Budget: budget}, true, time.Time{})
				alarms += n
			}
			x := &tenant{tps: c.tps, swing: c.swing, rng: rand.New(rand.NewPCG(1, 6))}
			_, seen := x.month(detect.Parameters{Budget: budget}, true, start.Add((weeks*7+3)*24*time.Hour+12*time.Hour))
			broken += int(seen)
			t.Logf("%d false alarms in %d tenant-months, budget %g", alarms, months, budget*float64(months))
			require.LessOrEqual(t, float64(alarms), math.Max(1, 2*budget*float64(months)))
			require.Positive(t, broken, "the same months show lost traffic")
		})
	}
}

// TestWhatIsLooseKeepsTheBudgetOfTraffic: thin tenants where nothing is wrong, judged with as
// much less as a rule of kind traffic asks for. The last are the worst: they have once and a half
// of the budget.
func TestWhatIsLooseKeepsTheBudgetOfTraffic(t *testing.T) {
	months, budget := 10, 0.2
	if os.Getenv("TOCSIN_LONG") != "" {
		months = 300
	}
	for _, c := range []struct{ tps, swing, of float64 }{{.005, .1, 1}, {.012, .2, 1}, {.025, .1, 1}, {.05, .3, 1}, {.025, .2, 1.6}} {
		t.Run(fmt.Sprintf("%g_tps_swing_%g", c.tps, c.swing), func(t *testing.T) {
			t.Parallel()
			alarms := 0
			for i := range months {
				x := &tenant{tps: c.tps, swing: c.swing, rng: rand.New(rand.NewPCG(uint64(i), 7))}
				n, _ := x.month(detect.Parameters{Budget: budget, Loose: detect.LooseTraffic}, false, time.Time{})
				alarms += n
			}
			t.Logf("%d false alarms in %d tenant-months, budget %g", alarms, months, budget*float64(months))
			require.LessOrEqual(t, float64(alarms), math.Ceil(c.of*budget*float64(months)))
		})
	}
}

// TestLostTrafficIsSeen holds the delay to the events that would have come.
func TestLostTrafficIsSeen(t *testing.T) {
	for _, tps := range []float64{.01, .1, 1, 100} {
		var events, worst float64
		const tries = 8
		for i := range tries {
			x := &tenant{tps: tps, swing: .1, rng: rand.New(rand.NewPCG(uint64(i), 9))}
			lost := start.Add((weeks*7+1)*24*time.Hour + 14*time.Hour)
			alarms, seen := x.month(detect.Parameters{Budget: 0.05 / 18}, false, lost)
			require.Zero(t, alarms)
			require.Positive(t, seen)
			x.rng = rand.New(rand.NewPCG(99, 99))
			x.factor = 1
			missing := x.rate(lost.Add(seen/2)) / x.factor * seen.Seconds()
			events += missing / tries
			worst = math.Max(worst, seen.Minutes())
		}
		t.Logf("%g tps: after %.0f missing events in the mean, at most %.1f min", tps, events, worst)
		if tps < 1 {
			require.Less(t, events, 40.0, "16 are the floor of physics; what an hour may swing is allowed for")
		} else {
			require.LessOrEqual(t, worst, 1.0)
		}
	}
}
