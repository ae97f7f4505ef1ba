package detect

import "math"

// recent is what a stream did in its last hours while nothing rang: slow swings of a
// ratio move by a few hundredths in an hour, and those of a day or two are not in the
// baseline yet, least of all after a fault, of whose aftermath nothing is learned. A
// small change that was there before is no fault that begins now.
type recent struct {
	at             int64 // number of the current hour
	n, k           float64
	olderN, olderK float64 // of the hours before, fading
	until          int64   // number of the hour after the newest of those
}

const (
	recentFade  = 3.0   // hours after which an hour counts 1/e
	recentPrior = 200.0 // events that the usual ratio counts beside
	mostDrift   = 2.5   // times the usual ratio: what is more is never taken for a swing
	swingWhole  = 24.0  // hours after which a swing is as wide as between any two hours
)

// add takes what came from start on while nothing rang, as far as it is independent.
func (r *recent) add(start int64, n, k float64) {
	if at := start / hour; at > r.at {
		if r.n > 0 {
			w := math.Exp(-1 / recentFade)
			r.olderN, r.olderK, r.until = r.olderN*w+r.n, r.olderK*w+r.k, r.at+1
		}
		r.at, r.n, r.k = at, 0, 0
	}
	r.n, r.k = r.n+n, r.k+k
}

// drop forgets the current hour: it was no usual one.
func (r *recent) drop() { r.n, r.k = 0, 0 }

// upTo is the ratio up to which what happens at end is a swing of what was before,
// between the usual mean and mostDrift times that; 0 where nothing is known.
func (r *recent) upTo(u *usual, end int64) float64 {
	if !(r.olderN > 0) {
		return 0
	}
	mean := (r.olderK + recentPrior*u.mean) / (r.olderN + recentPrior)
	age := float64(end)/hour - float64(r.until) + recentFade/2
	swing := (u.zoned/u.mean - 1) * math.Sqrt(math.Min(1, math.Max(age, 0)/swingWhole))
	return clampRatio(math.Min(mean, mostDrift*u.mean) * (1 + math.Max(leastZone, swing)))
}
