package detect

// Nearly every step of nearly every cell brings nothing that speaks for a fault. Where
// nothing is suspected, no test leaves zero; where something is, because one event failed
// a moment ago, the tests fall back towards it. Neither asks the windows. Calm and Wane do
// what is left to do then, and nothing else, without a logarithm: they make the very same
// state as Next.

// calm is what a detector remembers so that it can tell such a step.
type calm struct {
	armed    bool  // nothing rings, of a cell that is not young
	young    bool  // nothing rings, of one that is: only the test of a large fault is asked
	alone    bool  // nothing rings, of one without a baseline
	suspects bool  // some test is above zero
	version  int32 // of the baseline that the rest was made with
	prior    float64
	asked    float64 // the alternative
	// bearable is the share of failures up to which a step speaks against every fault:
	// against a large one too, which asks for more failures than a small one. What a mix
	// adds to the usual ratio makes it larger.
	bearable   float64
	slow, hard float64 // what one success takes from the tests, where the mix adds nothing
	upper      float64 // what is above this may be a fault, as well

	at   int64   // number of the minute in which
	n, k float64 // came what the windows were not told yet
}

// fits says whether what is remembered is of this prior, alternative and baseline.
func (c *calm) fits(prior, alternative float64, b *Baseline) bool {
	return c.armed && c.version == b.version && c.prior == prior && c.asked == alternative
}

// Calm moves a detector that suspects nothing by a step without evidence for a fault,
// which changes nothing but its windows and what is recent, and says whether it did: else
// nothing was moved, and the step is to be given to Wane or Next. Prior and alternative
// are those of Parameters.
func (d *ErrorRatio) Calm(prior, alternative float64, b *Baseline, s *Step) bool {
	c := &d.calm
	if c.suspects || !(s.K <= c.bearable*s.N) || !c.fits(prior, alternative, b) {
		return false
	}
	if d.counts(s) {
		d.pass(s)
	}
	return true
}

// CalmAlone is Calm of a stream without a baseline, whose prior is another one with every
// step. What is above it may be a fault takes a quantile to be known, which is far from cheap:
// it is asked for only of a step that is evidence whatever that is.
func (d *ErrorRatio) CalmAlone(p *Parameters, s *Step, out *Decision) bool {
	c, m := &d.calm, &d.memo
	if p.fill(); !c.alone || c.suspects || p.Young || m.told(p) || m.asked != p.Alternative {
		return false
	}
	if s.K > 0 {
		least := clampRatio(p.Prior * (1 + swingSigma*priorSwing)) // the quantile is above the prior
		if !(s.K <= against(least, slowAlternative(least, p.Alternative)).bears()*s.N) {
			return false
		}
	}
	if d.counts(s) {
		d.pass(s)
	}
	*out = Decision{Usual: p.Prior, Upper: p.Prior, Needed: m.need.slow}
	return true
}

// Wane moves a detector that suspects something by a step of which nothing failed, and
// whose mix makes one expect so much more than usual. It says what is left of the evidence,
// of how much is needed, and whether the step was moved by.
func (d *ErrorRatio) Wane(prior, alternative, shift float64, b *Baseline, s *Step) (score, needed float64, ok bool) {
	c, slowNeeded, hardNeeded := &d.calm, d.memo.need.slow, d.memo.need.hard
	if !c.suspects || s.K > 0 || !c.fits(prior, alternative, b) || d.slow.score >= slowNeeded || d.hard.score >= hardNeeded {
		return 0, 0, false
	}
	if d.counts(s) {
		n, slow, hard := d.pass(s), c.slow, c.hard
		if by := grained(b.Usually(prior), shift); by > 0 {
			p0 := clampRatio(c.upper + by*(1+leastZone))
			slow, hard = logOfSuccess(p0, slowAlternative(p0, alternative)), logOfSuccess(p0, hardAlternative(p0))
		}
		if d.slow.score > 0 {
			d.slow.add(s, -n*slow, slowNeeded, guarded(s.End-s.Start).slow)
		}
		if d.hard.score > 0 {
			d.hard.add(s, -n*hard, hardNeeded, d.hard.sure(s, guarded(s.End-s.Start).hard))
		}
		d.fill(s)
		c.suspects = d.slow.score > 0 || d.hard.score > 0
	}
	if d.hardLeads() {
		return d.hard.score, hardNeeded, true
	}
	return d.slow.score, slowNeeded, true
}

// Moves is the ratio above which what a mix makes one expect changes what a cell that
// usually has a ratio is judged by.
func Moves(usual float64) float64 { return usual * (1 + leastZone/4) * (1 - 1e-12) }

// counts says whether a step without failures that matter is evidence.
func (d *ErrorRatio) counts(s *Step) bool {
	return s.N > 0 && s.Coverage >= minCoverage && s.Start >= d.last && s.N <= mostStep && s.End > s.Start && s.Start >= 0
}

// pass counts a step, and says how many independent events it is worth.
func (d *ErrorRatio) pass(s *Step) float64 {
	c := &d.calm
	d.last = s.End
	if at := s.Start / shortBlock; at != c.at {
		d.tellWindows()
		c.at = at
	}
	n, k := s.N, max(s.K, 0)
	if n > 1 {
		share := 1 / (1 + dispersion*(n-1))
		n, k = share*n, share*k
	}
	c.n, c.k = c.n+n, c.k+k
	return n
}

// tellWindows counts what came in calm steps.
func (d *ErrorRatio) tellWindows() {
	c := &d.calm
	if c.n > 0 {
		d.tell(c.at, c.n, c.k)
		c.n, c.k = 0, 0
	}
}

// arm has the next steps tried by Calm or Wane as long as nothing rings.
func (d *ErrorRatio) arm(p *Parameters, b *Baseline, u *usual, out *Decision) {
	c := &d.calm
	still := !out.Changed && !out.Forgiven && d.alarm.by == none && d.held == 0
	c.armed, c.young, c.alone = still && b != nil && !p.Young, still && b != nil && p.Young, still && b == nil && !p.Young
	if !still {
		return
	}
	if c.suspects = d.slow.score > 0 || d.hard.score > 0; b == nil {
		return
	}
	if c.young {
		c.upper, c.bearable = u.upper, 0
		return
	}
	if c.version == b.version && c.prior == p.Prior && c.asked == p.Alternative && c.bearable > 0 {
		return
	}
	w := against(u.upper, slowAlternative(u.upper, p.Alternative))
	c.version, c.prior, c.asked = b.version, p.Prior, p.Alternative
	c.bearable = w.bears()
	c.upper, c.slow, c.hard = u.upper, w.success, against(u.upper, hardAlternative(u.upper)).success
}

// Wake has the next step given to Next: what the detector is told is no longer the same.
func (d *ErrorRatio) Wake() { d.calm.armed, d.calm.young, d.calm.alone = false, false, false }

// Add is Observe of n events and k failures, at most n, observed for seconds of an hour,
// where that is the current one; else it does nothing and says so.
func (b *Baseline) Add(at int64, n, k, seconds float64) bool {
	if at != b.newest {
		return false
	}
	b.n, b.k, b.seconds = b.n+n, b.k+k, b.seconds+seconds
	return true
}

// Usually is Mean for a prior of the usual weight.
func (b *Baseline) Usually(prior float64) float64 {
	if !(prior > 0) {
		prior = usualPrior
	}
	prior = min(prior, mostRatio)
	sum := b.learned()
	a, c := sum.k+prior*usualWeight, sum.n-sum.k+(1-prior)*usualWeight
	return a / (a + c)
}
