package detect

import "math"

// Decision is what a detector says after a step.
type Decision struct {
	Firing  bool
	Changed bool    // Firing is not what it was after the step before
	Onset   int64   // unix ms, start of the first bad step; 0 when nothing is suspected. On clearing: of what is over
	N, K    float64 // events and failures since Onset, as observed
	Usual   float64 // the learned ratio the cell is judged against (mean)
	Upper   float64 // its upper bound: what is above this may be a fault
	Score   float64 // nats of the leading test, the one that fired while firing
	Needed  float64 // nats at which that test fires
	Test    string  // that test: "slow", "hard", "window_6m", "window_1h"; empty when nothing is suspected
	// Expected is how many events there should have been since Onset; of volumes only.
	Expected float64
	Hard     bool // firing, and at least 60% were failing at some time since Onset
	Mending  bool // firing, and the newest steps speak for health
	Held     bool // there is enough for it to fire, but it is held to be one customer's retries
	// Forgiven: what was held, since Onset, is over, and nothing is to be learned from it.
	Forgiven bool
}

type test uint8

const (
	none test = iota
	slow
	hard
	shortWindow
	longWindow
)

func (t test) String() string {
	switch t {
	case slow:
		return "slow"
	case hard:
		return "hard"
	case shortWindow:
		return "window_6m"
	case longWindow:
		return "window_1h"
	}
	return ""
}

// ErrorRatio is the state of one stream's detector: two CUSUM tests (a small
// lasting fault, a large one) and the exact tail over two windows for what lies
// between. The zero value is ready.
type ErrorRatio struct {
	calm        calm
	last        int64 // end of the newest step
	slow, hard  cusum
	short, long window
	recent      recent
	alarm       alarm
	worst       float64 // failures a second of the step that had most of them, since slow was last zero
	held        int64   // onset of what is held to be one customer's retries; 0: nothing is

	memo memo // derived from parameters and baseline, not part of the state
}

// alarm is what fires, and the evidence that it is over.
type alarm struct {
	by     test    // none: not firing
	hard   bool    // at least hardRatio were failing at some time
	nats   float64 // of the test that fired, when it fired
	onset  int64
	n, k   float64 // since onset, as observed
	health cusum   // evidence for p0 against half of the fault's excess
}

// memo holds the logarithms of a step's arithmetic while p0 and the budget stay.
type memo struct {
	odds
	budget, loose float64
	looks, factor float64
	h             float64
	upper, asked  float64 // what need was made with
	version       int32
	young         bool
	need          needs
	alone         *usual // the prior's, for cells without a baseline
}

func (m *memo) priorAlone(p *Parameters) *usual {
	if m.alone == nil || m.alone.prior != p.Prior || m.alone.weight != p.PriorWeight {
		u := estimate(olderSum{}, p)
		m.alone = &u
	}
	return m.alone
}

// odds are the logarithms for one p0.
type odds struct {
	p0, alternative float64
	slow, hard      weights
}

// told says whether other thresholds are asked for.
func (m *memo) told(p *Parameters) bool {
	return m.budget != p.Budget || m.loose != p.Loose || m.looks != p.LooksPerMonth || m.factor != p.Factor
}

// demand works out how much evidence is needed of a cell with that baseline.
func (m *memo) demand(p *Parameters, upper float64, b *Baseline) {
	changed, version := m.told(p), int32(-1)
	if changed {
		m.budget, m.loose, m.looks, m.factor, m.h = p.Budget, p.Loose, p.LooksPerMonth, p.Factor, p.H()
	}
	if b != nil {
		version = b.version
	}
	if changed || m.upper != upper || m.asked != p.Alternative || m.version != version || m.young != p.Young {
		m.upper, m.asked, m.version, m.young = upper, p.Alternative, version, p.Young
		m.need = needed(m.h, p.Loose, p.perStep(p.comes(b)), upper, p.Alternative)
	}
}

// face finds the logarithms for p0.
func (m *memo) face(p0 float64, p *Parameters) {
	if m.p0 == p0 && m.alternative == p.Alternative {
		return
	}
	m.odds = odds{p0, p.Alternative, against(p0, slowAlternative(p0, p.Alternative)), against(p0, hardAlternative(p0))}
}

// roundingOff is what a mix that adds twentieths to the part may be off by in them: it is
// summed in another order after a restart.
const roundingOff = 1e-9

// grained is what a mix adds to the usual ratio, in twentieths of that: rounded up, so that
// the logarithms of one step often serve the next. Less than what the indifference zone
// allows is nothing.
func grained(usual, by float64) float64 {
	if !(by > usual*leastZone/4) {
		return 0
	}
	return math.Ceil(20*by/usual-roundingOff) * (usual / 20)
}

// shift adds what the mix does.
func (u *usual) shift(by float64) {
	if by = grained(u.mean, by); by == 0 {
		return
	}
	u.mean = clampRatio(u.mean + by)
	u.zoned = clampRatio(u.zoned + by*(1+leastZone))
	u.upper = clampRatio(u.upper + by*(1+leastZone))
}

// Step moves the detector by one closed step and says what it thinks. Steps come in
// the order of time; one that is not newer than the last moves nothing, and neither
// does one without events or with less than half coverage.
// A nil baseline means that only the prior is known.
func (d *ErrorRatio) Step(p Parameters, b *Baseline, s Step) (out Decision) {
	d.Next(&p, b, &s, &out)
	return out
}

// Next is Step for who moves many streams: it writes to out, and to p and s what it
// makes of values that make no sense.
func (d *ErrorRatio) Next(p *Parameters, b *Baseline, s *Step, out *Decision) {
	*out = Decision{}
	p.fill()
	var u *usual
	if b != nil {
		u = b.usual(p)
	} else {
		u = d.memo.priorAlone(p)
	}
	alone, shifted := u, *u
	u = &shifted
	u.shift(p.Shift)
	d.memo.demand(p, alone.upper, b)
	if s.usable() && s.Start >= d.last {
		d.tellWindows()
		d.last = s.End
		d.memo.face(u.upper, p)
		d.move(p, s, u, out)
	}
	if (!out.Changed || out.Firing) && !out.Forgiven {
		d.describe(u, out)
	}
	d.arm(p, b, alone, out)
}

// move takes a step that is evidence. Evidence and windows take counts as far as
// they are independent; alarms show them as observed.
func (d *ErrorRatio) move(p *Parameters, s *Step, u *usual, out *Decision) {
	share := 1.0
	if s.N > 1 {
		share = 1 / (1 + dispersion*(s.N-1))
	}
	guard := guarded(s.End - s.Start)
	d.hard.add(s, share*d.memo.hard.evidence(s.N, s.K), d.memo.need.hard, d.hard.sure(s, guard.hard))
	if p.Young { // a prior is not known well enough for small faults: they must not wait for the day when they may fire
		d.slow, d.short, d.long = cusum{}, window{}, window{}
	} else {
		d.slow.add(s, share*d.memo.slow.evidence(s.N, s.K), d.memo.need.slow, guard.slow)
		d.fill(s)
	}
	if d.alarm.by != none {
		d.ring(p, s, share, u, out)
		return
	}
	d.recent.add(s.Start, share*s.N, share*s.K)
	if by, nats := d.fires(p, s, share, u); by != none {
		d.raise(by, nats)
		out.Changed, out.Firing = true, true
		return
	}
	d.forgive(s, out)
}

// fires says which test has enough, if any, and how many nats it has.
func (d *ErrorRatio) fires(p *Parameters, s *Step, share float64, u *usual) (test, float64) {
	if d.hard.score >= d.memo.need.hard {
		if (d.hard.total() || !p.Young && d.hard.span() >= guarded(s.End-s.Start).slow) && !d.holds(&d.hard, p, s) {
			return hard, d.hard.score
		}
	}
	switch {
	case p.Young:
		return none, 0
	case d.slow.score >= d.memo.need.slow && d.lasted(s) && !d.holds(&d.slow, p, s):
		return slow, d.slow.score
	}
	by, nats := d.windows(s, share, u)
	if by != none && (!d.lasted(s) || d.holds(&d.slow, p, s)) {
		return none, 0
	}
	return by, nats
}

// windows adds the step to both windows and tests them when it brought failures. A
// step's failures count only as far as they would add a third of what is needed to
// the slow test, and evidence must span the guard: windows are held to the same rule
// about bursts. What they ask for is the tail alone, whatever the fault's size.
func (d *ErrorRatio) windows(s *Step, share float64, u *usual) (test, float64) {
	n, k := share*s.N, share*s.K
	needed := d.memo.need.window
	if k > 0 {
		w := d.memo.slow
		k = min(k, (needed/3+n*w.success)/(w.failure+w.success))
	}
	d.short.add(s, n, k, shortBlock)
	d.long.add(s, n, k, longBlock)
	if k == 0 || d.slow.score == 0 || d.slow.span() < guarded(s.End-s.Start).slow {
		return none, 0
	}
	swing := d.recent.upTo(u, s.End)
	for _, c := range [...]struct {
		by test
		w  *window
	}{{shortWindow, &d.short}, {longWindow, &d.long}} {
		n, k := c.w.sum()
		if nats, below := tailBelow(n, k, max(u.upper, swing), max(u.zoned, swing), u.strength, needed); below {
			return c.by, nats
		}
	}
	return none, 0
}

// filled is for how long, in ms, everything failed as much as it did in the worst step
// since the small test was last zero: of a burst its true length, whatever steps it is
// blurred over and however long ago a chance failure began the suspicion.
func (d *ErrorRatio) filled() float64 {
	if !(d.worst > 0) {
		return float64(d.slow.span())
	}
	return (d.slow.k - d.memo.p0*d.slow.n) / d.worst * 1000
}

// fill keeps how much the worst step failed, a second. That it has more than the others
// is partly chance, of which little is taken off: or a burst would seem longer than it was.
func (d *ErrorRatio) fill(s *Step) {
	if d.slow.score == 0 || d.slow.onset == s.Start {
		d.worst = 0
	}
	if d.slow.score > 0 && s.K > 0 {
		d.worst = max(d.worst, (s.K-worstChance*math.Sqrt(s.K))*1000/float64(s.End-s.Start))
	}
}

// lasted says whether what failed fills the guard.
func (d *ErrorRatio) lasted(s *Step) bool {
	return d.filled() >= filledShare*float64(max(slowGuard, 2*(s.End-s.Start)))
}

// total says whether at least hardRatio failed since the test was last zero.
func (c *cusum) total() bool { return c.n > 0 && c.k/c.n >= hardRatio }

func (d *ErrorRatio) raise(by test, nats float64) {
	from := &d.slow
	if by == hard {
		from = &d.hard
	}
	d.recent.drop()
	d.held = 0
	d.alarm = alarm{by: by, nats: nats, onset: from.onset, n: from.n, k: from.k, hard: d.hard.score > 0 && d.hard.total()}
	if by == shortWindow || by == longWindow { // the slow test says when a window's alarm is over
		d.slow.score = d.memo.need.slow
	}
}

// ring moves a firing detector: has it become hard, is it over?
//
// It is over when both tests are below a third of what they need, and two minutes
// speak for health. Three points more take hundreds of events to rule out, which
// a quiet cell sees in a day; so a larger fault is also over when ten minutes speak
// for health at two thirds of h against half of that fault's own excess, and nothing
// in them speaks for the small fault. What only a window saw is less than the small
// fault: its end must be as certain as its begin was, or a level that stays would ring
// and clear by chance for days.
func (d *ErrorRatio) ring(p *Parameters, s *Step, share float64, u *usual, out *Decision) {
	a, m := &d.alarm, &d.memo
	a.n, a.k = a.n+s.N, a.k+s.K
	a.hard = a.hard || d.hard.score >= m.need.hard && d.hard.total()
	ratio := (a.k - a.health.k) / max(a.n-a.health.n, 1)
	small := a.by == shortWindow || a.by == longWindow
	half := (ratio + m.p0) / 2
	if !small {
		half = max(half, slowAlternative(m.p0, p.Alternative))
	}
	half = min(max(half, m.p0*(1+leastZone)), hardAlternative(m.p0))
	if share*m.slow.evidence(s.N, s.K) > m.h/2 { // half mended within the step: health begins after it
		a.health = cusum{}
	} else {
		a.health.add(s, -share*against(m.p0, half).evidence(s.N, s.K), m.h, 0)
	}

	quiet := d.slow.score < m.need.slow/3 && d.hard.score < m.need.hard/3
	span := s.End - a.health.onset
	healthy := a.health.score > 0
	over := healthy && (quiet && span >= clearGuard && !small && a.health.score >= m.h/3 ||
		span >= clearSure && a.health.score >= m.h && (p.Young || m.slow.evidence(a.health.n, a.health.k) <= 0) ||
		span >= clearAfter && a.health.score >= m.h*2/3 && (p.Young || m.slow.evidence(a.health.n, a.health.k) <= 0))
	if over {
		d.describe(u, out)
		out.Firing, out.Changed, out.Hard = false, true, false
		*d = ErrorRatio{last: d.last, recent: d.recent, memo: d.memo} // the windows hold the fault; start anew
	}
}

// describe tells the state.
func (d *ErrorRatio) describe(u *usual, out *Decision) {
	out.Usual, out.Upper = u.mean, u.upper
	slowNeeded, hardNeeded := d.memo.need.slow, d.memo.need.hard
	if a := &d.alarm; a.by != none {
		out.Firing, out.Hard, out.Onset, out.N, out.K = true, a.hard, a.onset, a.n, a.k
		out.Mending = a.health.score > 0
		out.Test = a.by.String()
		switch a.by {
		case slow:
			out.Score, out.Needed = d.slow.score, slowNeeded
		case hard:
			out.Score, out.Needed = d.hard.score, hardNeeded
		default:
			out.Score, out.Needed = a.nats, d.memo.need.window
		}
		return
	}
	lead := &d.slow
	by, needed := slow, slowNeeded
	if d.hardLeads() {
		lead, by, needed = &d.hard, hard, hardNeeded
	}
	out.Needed, out.Held = needed, d.held != 0
	if lead.score > 0 {
		out.Score, out.Test = lead.score, by.String()
		out.Onset, out.N, out.K = lead.onset, lead.n, lead.k
	}
}
