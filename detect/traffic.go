package detect

import "math"

// What is tested for in volumes.
const (
	lostTo    = 0.1             // lost traffic is a tenth of what the null allows
	nullLess  = 0.4             // the null allows this part of what is expected: less is no fault yet,
	rarely    = 6.0             // or, where the hours are known, what one hour in many years brings: so many standard deviations below
	turning   = 0.39            // part of what the null allows below which steps are evidence: (1-lostTo)/ln(1/lostTo)
	lostTurns = turning + 0.001 // turning rounded up: from that part on no step is evidence; counts that scatter more need less
	mostNull  = 0.7             // but never more than this part: on a bank holiday that nobody announced half comes
	nullMore  = 2.5             // and this multiple
	surgeTo   = 2.0             // a surge is twice that
	youngLess = 0.02            // of a tenant whose hours are not known the null allows this part
	goneBelow = 0.02
	sideCost  = math.Ln2 // each side has half of the budget where both are watched
)

// Volume is what a step of events was expected to bring.
type Volume struct {
	Expected   float64 // events of a fully observed step
	Low, High  float64 // the least and the most that can be expected around this hour; 0: Expected
	Size       float64 // r of the negative binomial that counts follow; the larger the nearer to Poisson
	Mean       float64 // events of a fully observed step at any time; 0: not known
	Less, More bool    // which sides are watched
	// Known says that what is expected of this hour of the week was learned from it.
	Known bool
}

// sides is how many nats each side needs.
type sides struct{ less, more float64 }

// of is what the side needs that is watched, or rings.
func (x sides) of(surge bool) float64 {
	if surge {
		return x.more
	}
	return x.less
}

// needs works out what each side needs. A silence begins with an event.
func (v *Volume) needs(p *Parameters) sides {
	h := p.H()
	if v.Less && v.More {
		h += sideCost
	}
	x := sides{h, h}
	if !p.Young {
		x.less = h - spared(speaks(v.Mean, 1))
		x.less = max(x.less-looser(p.Loose, v.Mean, x.less), 1)
	}
	return x
}

// allowed is the part of the expectation that is no fault: the less the hours were seen to
// swing the more of it. Swings of an hour and the scatter of its steps are two things:
// the size of thin steps' counts guards against the second only.
func (v Volume) allowed() float64 {
	if !v.Known || !(v.Size > 0) {
		return nullLess
	}
	return math.Max(nullLess, math.Min(math.Exp(-rarely/math.Sqrt(v.Size))/turning, mostNull))
}

// Traffic is the state of one stream's detector of volume: a CUSUM test for each side
// on negative binomial counts. Steps are thin, their swings are slow: what an hour may
// swing is allowed for by what the null allows, what steps scatter by their size. The
// zero value is ready.
type Traffic struct {
	less, more cusum // k holds what was expected
	last       int64
	ringing    bool
	surge      bool  // what rings is the upper side
	healthy    int64 // start of the steps without bad evidence that lead up to now; 0: the last was bad

	n, expected float64 // since the onset, of what rings
	onset       int64
	gone        bool // next to nothing came at some time
}

// Step moves the detector by one closed step. An observed step without events is
// evidence; one with less than half coverage is none, nor is one of which nothing is
// expected. Young cells ring only when nothing at all comes.
func (d *Traffic) Step(p Parameters, v Volume, s Step) (out Decision) {
	p.fill()
	needed := v.needs(&p)
	mu := v.Expected * s.Coverage
	if !(v.Low > 0) || v.Low > v.Expected {
		v.Low = v.Expected
	}
	v.High = math.Max(v.High, v.Expected)
	if s.Coverage >= minCoverage && s.End > s.Start && s.Start >= d.last && s.N >= 0 && s.N < mostStep && mu > 0 && mu < mostStep {
		d.last = s.End
		s.K = mu
		d.move(&p, &v, &s, needed, &out)
	}
	d.describe(needed, &out)
	return out
}

func (d *Traffic) move(p *Parameters, v *Volume, s *Step, needed sides, out *Decision) {
	bad := math.Inf(-1)
	if v.Less {
		x := d.lost(p, v, s, needed.less)
		d.less.add(s, x, needed.less, slowGuard)
		bad = x
	}
	if v.More && !p.Young {
		x := volumeEvidence(s.N, nullMore*v.High*s.Coverage, v.Size, surgeTo)
		d.more.add(s, x, needed.more, slowGuard)
		if !d.ringing || d.surge {
			bad = math.Max(bad, x)
		}
	}
	if d.ringing {
		d.ring(s, bad > 0, needed, out)
		return
	}
	for _, c := range []*cusum{&d.less, &d.more} {
		if c.score >= needed.of(c == &d.more) {
			*d = Traffic{less: d.less, more: d.more, last: d.last, ringing: true, surge: c == &d.more,
				n: c.n, expected: c.k, onset: c.onset}
			d.gone = !d.surge && d.n <= goneBelow*d.expected
			out.Changed = true
			return
		}
	}
}

// Passes takes a step where nothing is suspected and which speaks neither for lost traffic
// nor for a surge, and says whether it did: else nothing was moved, and the step is to be
// given to Step, which makes the same state of it and says nothing either.
func (d *Traffic) Passes(p *Parameters, v *Volume, s *Step) bool {
	if d.ringing || d.less.score > 0 || d.more.score > 0 {
		return false
	}
	mu := v.Expected * s.Coverage
	if !(s.Coverage >= minCoverage && s.End > s.Start && s.Start >= d.last && s.N >= 0 && s.N < mostStep && mu > 0 && mu < mostStep) {
		return false
	}
	low := v.Low
	if !(low > 0) || low > v.Expected {
		low = v.Expected
	}
	if v.Less && (p.Young && s.N <= 0 || !p.Young && !(s.N >= lostTurns*mostNull*low*s.Coverage)) {
		return false
	}
	if v.More && !p.Young && s.N > nullMore*max(v.High, v.Expected)*s.Coverage {
		return false
	}
	d.last = s.End
	return true
}

// lost is the evidence of a step for lost traffic.
func (d *Traffic) lost(p *Parameters, v *Volume, s *Step, needed float64) float64 {
	if !p.Young {
		return volumeEvidence(s.N, v.allowed()*v.Low*s.Coverage, v.Size, lostTo)
	}
	if s.N > 0 {
		return -needed // something comes
	}
	return volumeEvidence(0, youngLess*s.K, v.Size, lostTo)
}

// volumeEvidence is ln of the likelihood of n negative binomial events of mean f mu
// over that of mean mu.
func volumeEvidence(n, mu, size, f float64) float64 {
	if !(size > 0) {
		size = 1e9
	}
	return n*math.Log(f) + (n+size)*math.Log((size+mu)/(size+f*mu))
}

// ring moves a ringing detector: it is over when the evidence has fallen to a third
// and nothing bad was seen for as long as any fault's end takes.
func (d *Traffic) ring(s *Step, bad bool, needed sides, out *Decision) {
	d.n, d.expected = d.n+s.N, d.expected+s.K
	d.gone = d.gone || !d.surge && d.n <= goneBelow*d.expected
	if bad {
		d.healthy = 0
		return
	}
	if d.healthy == 0 {
		d.healthy = s.Start
	}
	score := d.less.score
	if d.surge {
		score = d.more.score
	}
	if score < needed.of(d.surge)/3 && s.End-d.healthy >= clearSure {
		d.describe(needed, out)
		out.Changed, out.Firing, out.Hard = true, false, false
		*d = Traffic{last: d.last}
	}
}

// describe tells the state, unless the end of a fault was told already.
func (d *Traffic) describe(needed sides, out *Decision) {
	if out.Changed && !d.ringing {
		return
	}
	lead, name := &d.less, "lost"
	if d.ringing && d.surge || !d.ringing && d.more.score > d.less.score {
		lead, name = &d.more, "surge"
	}
	out.Score, out.Needed = lead.score, needed.of(lead == &d.more)
	if d.ringing {
		out.Firing, out.Hard, out.Test = true, d.gone, name
		out.Mending = d.healthy != 0
		out.Onset, out.N, out.Expected = d.onset, d.n, d.expected
		return
	}
	if lead.score > 0 {
		out.Test, out.Onset, out.N, out.Expected = name, lead.onset, lead.n, lead.k
	}
}

// Silent is how much a step in which nothing came speaks for lost traffic, in nats.
func (v Volume) Silent() float64 { return volumeEvidence(0, v.allowed()*v.Low, v.Size, lostTo) }

// Lost is how much must, where only lost traffic is watched.
func (p Parameters) Lost(v Volume) float64 {
	p.fill()
	return v.needs(&p).less
}

// LostSeen is how many minutes a total loss lasts until it is seen, where v.Expected
// events a minute are expected; +Inf when it never is.
func LostSeen(p Parameters, v Volume) float64 {
	p.fill()
	if !(v.Expected > 0) {
		return math.Inf(1)
	}
	step := Month.Minutes() / p.LooksPerMonth
	v.Less, v.More, v.Mean = true, false, v.Expected*step
	part := v.allowed()
	if p.Young {
		part = youngLess
	}
	each := volumeEvidence(0, part*v.Expected*step, v.Size, lostTo)
	return math.Max(math.Max(math.Ceil(v.needs(&p).less/each), 2)*step, slowGuard/60_000.)
}
