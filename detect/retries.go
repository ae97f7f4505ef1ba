package detect

import "math"

// One customer who tries again and again fails as often as a small tenant's outage
// does. Where nobody says how many customers fail, the scene tells: in a fault those who
// fail are missing from the successes, and every combination of the slice fails; retries
// come on top, in one.

const (
	leastRetries = 1.0     // a minute, of a customer whose retries matter
	mostRetries  = 30.0    // more is a machine, and no customer
	surelyMany   = 2.0     // minutes of what a customer tries at most that are no chance burst of his
	againRatio   = 1.5     // failing payments of a fault for one that is missing: people try again
	aloneSize    = 25.0    // of the successes of a cell of which nothing else is known: to a fifth
	aloneSharing = 400.0   // shares are known to a twentieth
	retriesPrior = 1.0     // nats that the rate of one customer's retries takes to be fitted
	hardSure     = 2.0     // nats by which a total failure must be likelier than one customer's retries
	softSure     = 3.5     // and a partial one
	longHold     = 60.0    // minutes of failures that no customer goes on for
	forgetAfter  = 600_000 // ms without a failure after which retries are over
)

// Witness knows what else went on.
type Witness interface {
	// Scene tells it of a time, in unix ms, or of the end of it. Active is not its to
	// say; without parts it knows nothing.
	Scene(from, to int64) Scene
}

// byRetries says whether what a test saw is held to be one customer's retries.
func (c *cusum) byRetries(p *Parameters, p0 float64, s *Step) bool {
	active := float64(c.lastBad-c.onset) / 60_000
	if p.Witness == nil && active > longHold {
		return false
	}
	x := c.scene(p, p0, s)
	if x.Parts == nil {
		return false
	}
	sure := softSure
	if c.total() {
		sure = hardSure
	}
	if x.Active = active; x.Minutes > 0 {
		x.Active = math.Min(active, x.Minutes)
	}
	return x.fault() < sure
}

// scene is what the witness says, or that of the cell alone.
func (c *cusum) scene(p *Parameters, p0 float64, s *Step) (x Scene) {
	if p.Witness != nil {
		x = p.Witness.Scene(c.onset, s.End)
	}
	if x.Parts != nil || !(p.PerMinute > 0) {
		return x
	}
	minutes := float64(s.End-c.onset) / 60_000
	return Scene{Parts: []Part{{Successes: c.n - c.k, Failures: c.k, Usual: c.n * p0, Share: 1}}, Slices: []uint32{1}, Among: 1,
		Expected: p.PerMinute * minutes * (1 - p0), Size: aloneSize, Sharing: aloneSharing}
}

// holds says whether what a test saw is held back.
func (d *ErrorRatio) holds(c *cusum, p *Parameters, s *Step) bool {
	held := c.byRetries(p, d.memo.p0, s)
	if held && d.held == 0 {
		d.held = c.onset
	}
	return held
}

// HeldSince is when what is held to be one customer's retries began, in unix ms; 0:
// nothing is.
func (d *ErrorRatio) HeldSince() int64 { return d.held }

// forgive ends a suspicion that was held to be one customer's, once he has given up: for
// a while somebody succeeded and nobody failed. What he did is nothing to go on from.
func (d *ErrorRatio) forgive(s *Step, out *Decision) {
	if d.held == 0 {
		return
	}
	last := max(d.slow.lastBad, d.hard.lastBad)
	switch {
	case d.slow.score == 0 && d.hard.score == 0, s.End-last >= forgetAfter: // the windows hold him still
		out.Forgiven, out.Onset = true, d.held
		d.recent.drop()
		*d = ErrorRatio{last: d.last, recent: d.recent, memo: d.memo}
	}
}

// Suspected is how many failures there were since the suspicion began, or the alarm.
func (d *ErrorRatio) Suspected() float64 {
	if d.alarm.by != none {
		return d.alarm.k
	}
	return math.Max(d.slow.k, d.hard.k)
}

func poissonLog(k, mean float64) float64 {
	mean = math.Max(mean, 1e-3)
	return k*math.Log(mean) - mean - logGamma(k+1)
}
