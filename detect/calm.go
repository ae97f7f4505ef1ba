package detect

// Nearly every step of nearly every cell finds nothing suspected and brings nothing that
// could be: no test leaves zero, and the windows are not asked. Calm does what is left to
// do then, and nothing else; it makes the very same state as Next.

// calm is what a detector remembers so that it can tell such a step without a logarithm.
type calm struct {
	armed   bool   // nothing is suspected, of a cell that is not young
	version uint64 // of the baseline that bearable was made with
	prior   float64
	asked   float64 // the alternative
	// bearable is the share of failures up to which a step speaks against every fault:
	// against a large one too, which asks for more failures than a small one. What a mix
	// adds to the usual ratio makes it larger.
	bearable float64

	at   int64   // number of the minute in which
	n, k float64 // came what the windows were not told yet
}

// Calm moves a detector by a step that changes nothing but its windows and what is recent, and says whether
// it did: else nothing was moved, and the step is to be given to Next. Prior and
// alternative are those of Parameters.
func (d *ErrorRatio) Calm(prior, alternative float64, b *Baseline, s *Step) bool {
	c := &d.calm
	if !c.armed || !(s.K <= c.bearable*s.N) || c.version != b.version || c.prior != prior || c.asked != alternative {
		return false
	}
	if !(s.N > 0) || s.Coverage < minCoverage || s.Start < d.last || s.N > mostStep || s.End <= s.Start || s.Start < 0 {
		return true // it is no evidence
	}
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
	return true
}

// tellWindows counts what came in calm steps.
func (d *ErrorRatio) tellWindows() {
	c := &d.calm
	if c.n > 0 {
		s := Step{Start: c.at * shortBlock}
		d.short.add(&s, c.n, c.k, shortBlock)
		d.long.add(&s, c.n, c.k, longBlock)
		d.recent.add(s.Start, c.n, c.k)
		c.n, c.k = 0, 0
	}
}

// arm has the next steps tried by Calm when nothing is suspected, once that was said.
func (d *ErrorRatio) arm(p *Parameters, b *Baseline, u *usual, out *Decision) {
	c := &d.calm
	if c.armed = b != nil && !out.Changed && !p.Young && d.alarm.by == none && d.slow.score == 0 && d.hard.score == 0; !c.armed {
		return
	}
	if c.version == b.version && c.prior == p.Prior && c.asked == p.Alternative && c.bearable > 0 {
		return
	}
	w := against(u.upper, slowAlternative(u.upper, p.Alternative))
	c.version, c.prior, c.asked = b.version, p.Prior, p.Alternative
	c.bearable = w.success / (w.failure + w.success) * (1 - 1e-12)
}

// Wake has the next step given to Next: what the detector is told is no longer the same.
func (d *ErrorRatio) Wake() { d.calm.armed = false }

// Usually is Mean for a prior of the usual weight.
func (b *Baseline) Usually(prior float64) float64 {
	if b.mean.made && b.mean.prior == prior {
		return b.mean.ratio
	}
	b.mean.made, b.mean.prior, b.mean.ratio = true, prior, b.Mean(Parameters{Prior: prior})
	return b.mean.ratio
}
