package detect

import "math"

// One customer who tries again and again fails as often as a small tenant's outage
// does. Where nobody says how many customers fail, successes tell: in a fault those who
// fail are missing from them, retries come on top.

const (
	leastRetries = 1.0       // a minute, of a customer whose retries matter
	mostRetries  = 30.0      // more is a machine, and no customer
	againRatio   = 1.5       // failing payments of a fault for one that is missing: people try again
	volumeSize   = 25.0      // of the negative binomial of successes: the expected volume is known to a fifth
	retriesPrior = 1.0       // nats that the rate of one customer's retries takes to be fitted
	hardSure     = 2.0       // nats by which a total failure must be likelier than one customer's retries
	softSure     = -2.0      // the same of a partial one: only what is clearly retries does not fire
	retriesHold  = 900_000   // ms that a suspicion is held
	longHold     = 3_600_000 // and while it is clearly retries: a customer gives up within the hour
	clearlySure  = -20.0     // nats
)

// faultOverRetries is how many nats k failures and some successes in so many minutes
// speak for a fault rather than for one customer's retries, where expected events
// usually come, p0 of which fail.
func faultOverRetries(k, successes, minutes, expected, p0 float64) float64 {
	n := k + successes
	if !(k >= 1) || !(minutes > 0) || !(expected > 0) {
		return math.Inf(1) // nothing to tell them apart by
	}
	q := math.Max(k/n, p0)
	missing := expected * q
	fault := poissonLog(k, math.Min(math.Max(k, missing), againRatio*missing)) + volumeLog(successes, expected*(1-q))
	usual := expected * p0
	rate := math.Min(math.Max(k, usual+leastRetries*minutes), usual+mostRetries*minutes)
	retries := poissonLog(k, rate) + volumeLog(successes, expected*(1-p0)) - retriesPrior
	return fault - retries
}

// byRetries says whether what a test saw is held to be one customer's retries. A hold
// ends after a quarter of an hour: by then most have given up; and after an hour
// however clearly nothing is missing.
func (c *cusum) byRetries(p *Parameters, p0 float64, s *Step) bool {
	if !(p.PerMinute > 0) || s.End-c.onset > longHold {
		return false
	}
	minutes := float64(s.End-c.onset) / 60_000
	sure := softSure
	switch {
	case s.End-c.onset > retriesHold:
		sure = clearlySure
	case c.total():
		sure = hardSure
	}
	return faultOverRetries(c.k, c.n-c.k, minutes, p.PerMinute*minutes, p0) < sure
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

// volumeLog is the logarithm of the chance of n events where mean are expected, which
// is known roughly.
func volumeLog(n, mean float64) float64 {
	mean = math.Max(mean, 1e-3)
	return logGamma(n+volumeSize) - logGamma(volumeSize) - logGamma(n+1) +
		volumeSize*math.Log(volumeSize/(volumeSize+mean)) + n*math.Log(mean/(volumeSize+mean))
}
