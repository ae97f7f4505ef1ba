package detect

import "math"

// Idle stands for a detector while its steps bring nothing that anybody could see: nothing
// is suspected, or what is falls back towards nothing. It is all that such a step touches,
// so that a tenant's lie side by side, and the detectors behind them are left alone but for
// once a minute. The zero value stands for nothing: every step is the detector's.
//
//	if x.Passes(n, k) {
//		x.Pass(d, n, k, success, Minute(s.Start), s)
//	} else {
//		d.Resume(x)
//		d.Next(…)
//		d.Rest(x)
//	}
//
// comes to the very same as Next for every step.
type Idle struct {
	last     int64   // end of the newest step
	at       int64   // number of the minute in which
	n, k     float64 // came what the detector's windows were not told yet
	bearable float64 // share of failures up to which a step is no evidence
	score    float64 // of the small fault; 0: nothing is suspected
	came     float64 // events since that suspicion began
	success  float64 // what one success takes from it; 0: x stands for nothing
	upper    float64 // what is above this may be a fault
}

// Passes says whether a step of n events and k failures needs nothing but Pass.
func (x *Idle) Passes(n, k float64) bool {
	return x.success > 0 && k <= x.bearable*n && (k == 0 || x.score == 0)
}

// On says whether x stands for its detector.
func (x *Idle) On() bool { return x.success > 0 }

// Suspects says whether something is suspected.
func (x *Idle) Suspects() bool { return x.score > 0 }

// Score is what the detector's leading test has, in nats.
func (x *Idle) Score() float64 { return x.score }

// Minute is the number of the minute of a time (unix ms).
func Minute(at int64) int64 { return at / shortBlock }

// Pass takes a step of n events and k failures that was observed at least by half and
// starts in a minute. What one success takes from a suspicion is more where the step's mix
// makes one expect more than usual: see Takes; 0 where it does not.
func (x *Idle) Pass(d *ErrorRatio, n, k, success float64, minute int64, s *Step) {
	if !(n > 0) || n > mostStep || s.Start < x.last {
		return
	}
	x.last = s.End
	if minute != x.at {
		x.turn(d, minute)
	}
	came := n
	if n > 1 {
		share := 1 / (1 + dispersion*(n-1))
		n, k = share*n, share*k
	}
	x.n, x.k = x.n+n, x.k+k
	if x.score > 0 {
		x.fall(came, n, success)
	}
}

// turn begins another minute.
func (x *Idle) turn(d *ErrorRatio, minute int64) {
	if x.n > 0 {
		d.tell(x.at, x.n, x.k)
		x.n, x.k = 0, 0
	}
	x.at = minute
}

// fall takes what so many successes, as far as they are independent, speak against what is
// suspected.
func (x *Idle) fall(came, n, success float64) {
	if success == 0 {
		success = x.success
	}
	x.came += came
	if x.score -= n * success; x.score <= 0 {
		x.score, x.came = 0, 0
	}
}

// Takes is what a success takes from a suspicion, in nats, where the step's mix makes one
// expect so much more than usual.
func (x *Idle) Takes(usual, alternative, shift float64) float64 {
	p0 := clampRatio(x.upper + grained(usual, shift)*(1+leastZone))
	return logOfSuccess(p0, slowAlternative(p0, alternative))
}

// logOfSuccess is ln((1-p0)/(1-p1)), for a small step without a logarithm.
func logOfSuccess(p0, p1 float64) float64 {
	z := (p1 - p0) / (2 - p0 - p1)
	if q := z * z; q < 1e-3 {
		return 2 * z * (1 + q*(1./3+q*(1./5+q*(1./7+q*(1./9+q/11)))))
	}
	return math.Log((1 - p0) / (1 - p1))
}

// Rest has x stand for the detector from here on, where that is idle.
func (d *ErrorRatio) Rest(x *Idle) {
	c := &d.calm
	*x = Idle{}
	switch {
	case d.hard.score > 0:
		return
	case c.young && d.slow.score == 0:
		*x = Idle{success: 1, upper: c.upper, last: d.last, at: c.at, n: c.n, k: c.k, bearable: hardlyBears(c.upper)}
		return
	case !c.armed || d.slow.score >= d.memo.need.slow:
		return
	}
	*x = Idle{success: c.slow, upper: c.upper, last: d.last, at: c.at, n: c.n, k: c.k, bearable: c.bearable, score: d.slow.score, came: d.slow.n}
}

// hardlyBears is the share of failures up to which a step speaks against a large fault.
func hardlyBears(p0 float64) float64 { return against(p0, hardAlternative(p0)).bears() }

// bears is the share of failures up to which a step is no evidence; a little less, so that
// rounding makes it none.
func (w weights) bears() float64 { return w.success / (w.failure + w.success) * (1 - 1e-12) }

// Young says whether the detector was young when it was moved last: what stands for it
// does no longer when it is not.
func (d *ErrorRatio) Young() bool { return d.calm.young }

// Catch has the detector catch up with x, which goes on standing for it.
func (d *ErrorRatio) Catch(x *Idle) {
	if !x.On() {
		return
	}
	if d.calm.young {
		x.turn(d, x.at) // a checkpoint does not say that it was young
	}
	d.last, d.calm.at, d.calm.n, d.calm.k = x.last, x.at, x.n, x.k
	if d.slow.score > 0 {
		if d.slow.score, d.slow.n = x.score, x.came; x.score == 0 {
			d.slow, d.worst, d.calm.suspects = cusum{}, 0, false
		}
	}
}

// Resume has the detector go on by itself.
func (d *ErrorRatio) Resume(x *Idle) {
	d.Catch(x)
	*x = Idle{}
}

// Renew follows what the baseline has learned. Where nothing is suspected x goes on with the
// share that is borne whatever the upper bound is, which takes long to work out; else the
// detector goes on by itself.
func (d *ErrorRatio) Renew(x *Idle, prior, alternative float64, b *Baseline) {
	switch c := &d.calm; {
	case !x.On() || c.fits(prior, alternative, b):
		return
	case c.young:
		p := Parameters{Prior: prior}
		p.fill()
		x.bearable = hardlyBears(leastUpper(&p, b))
		return
	case x.score > 0 || b.aside != nil:
		d.Resume(x)
		return
	}
	p := Parameters{Prior: prior}
	p.fill()
	least := leastUpper(&p, b)
	x.bearable = against(least, slowAlternative(least, alternative)).bears()
}

// leastUpper is what the upper bound is at least, without the quantile in it.
func leastUpper(p *Parameters, b *Baseline) float64 {
	sum := b.learned()
	mean := sum.mean(p)
	return clampRatio(max(leastZone*mean, swingSigma*sum.likelySwing(mean)))
}

// tell counts in the windows what came in a minute of calm steps.
func (d *ErrorRatio) tell(at int64, n, k float64) {
	s := Step{Start: at * shortBlock}
	if !d.calm.young { // whose windows are empty
		d.short.add(&s, n, k, shortBlock)
		d.long.add(&s, n, k, longBlock)
	}
	d.recent.add(s.Start, n, k)
}
