// Package detect is the mathematics of tocsin's detectors: what the usual ratio
// of a cell is, how much a closed step speaks against it, when the evidence is
// enough, when it is over, and how small a fault can be seen at all.
//
// It knows counts, ratios, nats and the time that stands in a step. It must not
// know tenants, rules, clocks, stores or who is told: a detector is a value that
// is moved by steps, the same in operation, in a backtest and after a restart.
//
// The one way to use it, per cell and step:
//
//	decision := detector.Step(parameters, baseline, step)
//	switch {
//	case decision.Changed && decision.Firing:
//		baseline.Retract(decision.Onset, step.End) // nobody learns from a fault
//	case !decision.Firing:
//		baseline.Observe(step)
//	}
//
// Units: times are unix milliseconds, evidence is in nats (natural logarithms
// of likelihood ratios), a month is 30 days. Nothing here is safe for use by two
// goroutines at once; cells are owned by one.
package detect

import (
	"math"
	"time"
)

// Month is the month of every budget.
const Month = 30 * 24 * time.Hour

// LooksAtQuarterMinute is how often a month looks at steps of 15 s.
const LooksAtQuarterMinute = 172_800

// Step is one closed step of a cell.
type Step struct {
	Start, End int64   // unix ms, End > Start
	N, K       float64 // events and those of them that failed; fractions where increments were spread over steps
	Coverage   float64 // share of the step that was observed, 0 to 1; N and K are as observed, never scaled up
}

// Parameters say what a detector is told rather than learns. Thresholds follow
// from Budget and LooksPerMonth alone. The zero value of a field takes its default.
type Parameters struct {
	Prior         float64 // usual ratio of cells of this kind, until the cell has its own; default 0.01
	PriorWeight   float64 // events the prior is worth; default 100
	Budget        float64 // false alarms in 30 days that this ONE stream may raise; default 0.05/18
	LooksPerMonth float64 // steps in 30 days; default LooksAtQuarterMinute
	Young         bool    // only hard faults (at least 60% failing) may fire
	Common        bool    // the stream is of many tenants, and what one of them fails is bounded by what the others do
	Alternative   float64 // ratio of the small fault, where it is known what that looks like; default three points above the usual
	Shift         float64 // how much above its usual ratio the step's mix of events makes one expect
	PerMinute     float64 // events a minute that come at this time, where nobody says how many customers fail; 0: failures count as they come, unless there is a Witness
	Witness       Witness // what else went on then; nil: nobody knows
	Loose         float64 // nats less that a thin stream needs at most (looser)
	Factor        float64 // what the threshold is multiplied by: how sensitive people want it; default 1
}

// Shares of the budget (Bonferroni over the tests of one stream): each test is
// run at threshold H + ln(1/share), so that their false alarms add up to the budget.
const (
	slowCost   = 1 * math.Ln2 // half of the budget
	hardCost   = 2 * math.Ln2 // a quarter
	windowCost = 3 * math.Ln2 // an eighth for each of the two windows
)

// What is tested for and for how long; none of it decides how much evidence is needed.
const (
	slowPoints = 0.03  // the small fault: this much above the usual ratio
	mostSlow   = 0.3   // and never more than this, or what is in between would be seen by nobody
	hardRatio  = 0.6   // the large fault: at least this share failing
	leastRatio = 1e-4  // no cell is held to a usual ratio below this: one customer's pair of failures is no fault
	mostRatio  = 0.98  // nor above this
	dispersion = 0.001 // correlation of two events of one step (design effect 1 + rho (n-1))

	usualPrior  = 0.01  // usual ratio of cells of which nothing is said
	usualWeight = 100.0 // events that a prior is worth where nothing is said

	minCoverage = 0.5 // below, a step is no evidence either way

	slowGuard   = 45_000  // ms that evidence for a fault must span, in true time (guarded)
	filledShare = 1.2     // of the guard that failures must fill (ErrorRatio.filled)
	worstChance = 0.3     // standard deviations of chance that are taken off the worst of some steps
	hardGuard   = 20_000  // ms, when at least hardRatio fail
	clearGuard  = 120_000 // ms of healthy evidence before anything clears
	clearSure   = 75_000  // ms of healthy evidence that end a fault against which all of h speaks
	clearAfter  = 600_000 // ms of healthy evidence that end a fault which can be told from health by less than S < h/3
)

// Threshold is the evidence in nats at which m streams, looked at looks times in
// 30 days each, raise budget false alarms in 30 days together: ln(m looks / budget).
// Values that make no sense (not above zero) count as 1.
func Threshold(m int, looks, budget float64) float64 {
	if m < 1 {
		m = 1
	}
	if !(looks > 0) {
		looks = 1
	}
	if !(budget > 0) {
		budget = 1
	}
	return math.Max(1, math.Log(float64(m)*looks/budget))
}

// H is the threshold of the stream in nats, before it is split over its tests.
func (p Parameters) H() float64 {
	p.fill()
	return p.Factor * Threshold(1, p.LooksPerMonth, p.Budget)
}

// fill puts defaults where nothing sensible was said.
func (p *Parameters) fill() {
	if !(p.Prior > 0) {
		p.Prior = usualPrior
	}
	if p.Prior > mostRatio {
		p.Prior = mostRatio
	}
	if !(p.PriorWeight > 0) {
		p.PriorWeight = usualWeight
	}
	if !(p.Budget > 0) {
		p.Budget = 0.05 / 18
	}
	if !(p.LooksPerMonth > 0) {
		p.LooksPerMonth = LooksAtQuarterMinute
	}
	if !(p.Factor > 0) {
		p.Factor = 1
	}
}

// usable says whether the step is evidence, and makes sense of its counts.
func (s *Step) usable() bool {
	if !(s.N > 0) || s.Coverage < minCoverage || s.Start < 0 || s.End <= s.Start || s.N > mostStep {
		return false
	}
	if !(s.K > 0) {
		s.K = 0
	} else if s.K > s.N {
		s.K = s.N
	}
	return true
}
