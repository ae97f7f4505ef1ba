package detect

import "math"

// A month has a look at every step, and each look may be wrong. Of a thin stream most
// steps bring nothing: a test can only begin to be wrong with a step that speaks for its
// alternative. The chance that a test ever has h nats from a given step on, and that step
// speaks for it, is at most exp(-h) times how often such a step comes where the
// alternative is true. So a month has fewer looks of a thin stream, and they need less.

const (
	// mostSpared is by how many nats at most a thin stream needs less: failures that are few
	// are less independent than is reckoned with here.
	mostSpared = 4.0
	leastSure  = 8.5 // nats below which nothing is loose
)

// How many nats less in all a thin stream's rule of that kind may ask for, so that months
// in which nothing is wrong stay within its budget.
const (
	LooseErrors  = 7.0
	LooseLatency = 5.0
	LooseTraffic = 5.5
)

// looser is how many nats less, in all, a thin stream needs: the bound is loose for it. Its
// evidence comes in lumps of some four nats, and what is needed is passed by half of one;
// what is usual is judged by its upper bound, which chance seldom reaches and never stays
// at; and slices of so few events share them, while the budget is split as if they did not.
func looser(most, perStep, h float64) float64 {
	if !(perStep > 0) {
		return 0 // nothing is known
	}
	return max(min(most*math.Exp(-perStep/2), h-leastSure), 0)
}

// spared is how many nats less a test needs of which a step speaks for the alternative in
// that share of all steps at most.
func spared(share float64) float64 {
	if !(share > 0) {
		return 0 // nothing is known
	}
	return min(-math.Log(min(share, 1)), mostSpared)
}

// speaks is the share of steps with a failure, where so many events come in a step and
// that ratio of them fails.
func speaks(perStep, ratio float64) float64 { return -math.Expm1(-perStep * ratio) }

// perStep is how many events come in a step, of so many a minute.
func (p *Parameters) perStep(perMinute float64) float64 {
	return perMinute * Month.Minutes() / p.LooksPerMonth
}

// hardLeads says whether the test of a large fault lacks less than that of a small one,
// whatever a month has of looks.
func (d *ErrorRatio) hardLeads() bool { return d.hard.score-hardCost > d.slow.score-slowCost }

// Needs is how many nats the leading test needs of a cell that does not ring.
func (d *ErrorRatio) Needs(p Parameters, b *Baseline) float64 {
	p.fill()
	_, upper := b.Ratio(p)
	x := needed(p.H(), p.Loose, p.perStep(p.comes(b)), upper, p.Alternative)
	if d.hardLeads() {
		return x.hard
	}
	return x.slow
}

// comes is how many events a minute a baseline promises, to the next power of two: what is
// needed is not to change from hour to hour. 0: nobody knows, as of what is young.
func (p *Parameters) comes(b *Baseline) float64 {
	rate := b.Rate()
	if p.Young || !(rate > 0) {
		return 0
	}
	return math.Exp2(math.Ceil(math.Log2(rate)))
}

// needs is how many nats each test needs.
type needs struct{ slow, hard, window float64 }

// needed works out what each test needs of h where so many events come in a step.
func needed(h, loose, perStep, p0, alternative float64) needs {
	hard := spared(speaks(perStep, hardAlternative(p0)))
	of := func(h float64) float64 { return max(h-looser(loose, perStep, h), 1) }
	return needs{
		slow:   of(h + slowCost - spared(speaks(perStep, slowAlternative(p0, alternative)))),
		hard:   of(h + hardCost - hard),
		window: of(h + windowCost - hard), // what fails in a window that is bad is less
	}
}
