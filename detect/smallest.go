package detect

import (
	"math"
	"time"
)

// SmallestFault says how long a fault that adds delta (0.05 is five points) to the
// ratio lasts until it is seen, at a steady rate of events a minute, and how many
// events that takes, in the mean. Ratio is what the cell is judged against: the upper
// bound of Baseline.Ratio. (0, +Inf) when such a fault is never seen.
func SmallestFault(p Parameters, ratio, ratePerMinute, delta float64) (time.Duration, float64) {
	p.fill()
	p0 := clampRatio(ratio)
	q := math.Min(p0+delta, 1)
	if !(delta > 0) || !(ratePerMinute > 0) {
		return 0, math.Inf(1)
	}
	perMinute := ratePerMinute
	if p.Young {
		perMinute = 0
	}
	need := needed(p.H(), p.Loose, p.perStep(perMinute), p0, p.Alternative)
	step := Month.Minutes() / p.LooksPerMonth // minutes
	design := 1 + dispersion*math.Max(0, ratePerMinute*step-1)
	best := math.Inf(1)
	total := q >= hardRatio
	guard := guarded(int64(step * 60_000))
	try := func(needed, perEvent float64, guard int64) {
		if perEvent <= 0 {
			return
		}
		minutes := needed * design / (perEvent * ratePerMinute)
		least := math.Max(math.Ceil(float64(guard)/60_000/step), 2) * step // a step adds at most half
		best = math.Min(best, math.Max(minutes, least))
	}
	hardNats := against(p0, hardAlternative(p0)).evidence(1, q)
	switch {
	case total:
		try(need.hard, hardNats, guard.hard)
	case !p.Young:
		try(need.hard, hardNats, guard.slow)
	}
	if !p.Young {
		try(need.slow, against(p0, slowAlternative(p0, p.Alternative)).evidence(1, q), guard.slow)
	}
	if math.IsInf(best, 1) || best*float64(time.Minute) > math.MaxInt64/2 {
		return 0, math.Inf(1)
	}
	return time.Duration(best * float64(time.Minute)), best * ratePerMinute
}
