package detect

// lostTurns is the part of a mean from which on a count is no evidence that a tenth of it is
// left: (1-lostTo)/ln(1/lostTo) where counts are Poisson, and less where they scatter more.
const lostTurns = 0.391

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
