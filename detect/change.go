package detect

import (
	"fmt"
	"math"
)

// What the ratio was over days says little about a small change: slow swings carry it a
// fifth up and down. Within ten minutes they carry it some hundredths. A stream with many
// failures a minute is therefore compared with its own last hour as well, and a leak of
// two tenths of a point a minute is seen when it is three minutes old.

const (
	levelFades   = 1_200_000 // ms after which what a level rests on counts 1/e
	levelFull    = 1_200_000 // ms that a level must rest on before anything is held against it
	levelJump    = 4.0       // standard deviations of a step beyond which failures do not move a level
	levelPrior   = 20.0      // failures that the usual ratio is worth beside the last hour's
	changeGuard  = 90_000    // ms that evidence for a change must span, and what fails must fill slowGuard of it: what a deployment breaks is over by then
	commonFilled = 48_000    // ms of that which must be filled by a stream of many tenants, of which what one does counts for little (Parameters.Common)
	ownEdge      = 1.0 / 3   // of the time a swing carries a tenant's ratio well into the indifference zone, and chance has something to add
	commonEdge   = 1.0 / 10  // and that of many tenants, whose swings even out
	changeIn     = 3.0       // minutes in which the change that is asked for could just be seen
	changeDoubt  = 2.0       // nats from which on what comes moves no level
	changeLeast  = 0.06      // and no smaller one is asked for, as a share of what is expected
	changeMost   = 0.5       // a stream that is too thin for this is not tested
	changeSwing  = 0.025     // standard deviation of a five minutes' ratio around the last hour's before any was seen
	swingBlock   = 300_000   // ms: such five minutes
	swingWorth   = 24.0      // blocks that changeSwing is worth
	swingBlocks  = 288.0     // blocks after which a difference counts 1/e: a day
	swingZone    = 2.0       // the indifference zone in standard deviations
	scatterSteps = 2880.0    // steps after which a difference of two steps counts 1/e
	clipped      = 4.0       // times what is known that one difference may count
	changeLasts  = 7_200_000 // ms: what lasts so long is a level, and the usual ratio's to judge
	changed      = "change"  // what the test is called
)

// Level is the share of what the usual ratios make one expect of a stream that came in
// its last hour: what is usual of it at this moment. The zero value knows nothing.
type Level struct {
	at          int64 // end of the newest step
	k, expected float64
}

// Factor is what the usual ratio is to be multiplied by, and on how many failures that
// rests.
func (l *Level) Factor() (factor, failures float64) {
	return (l.k + levelPrior) / (l.expected + levelPrior), l.k
}

// Observe adds a step that ended at end (unix ms): its failures, and how many the usual
// ratios make one expect. A burst moves the level no more than chance could.
func (l *Level) Observe(end int64, k, expected float64) {
	if l.at != 0 && end > l.at {
		fade := math.Exp(-float64(end-l.at) / levelFades)
		l.k, l.expected = l.k*fade, l.expected*fade
	}
	l.at = max(l.at, end)
	factor, _ := l.Factor()
	l.k += math.Min(k, factor*expected+levelJump*math.Sqrt(factor*expected+1))
	l.expected += expected
}

// At is the end of the newest step.
func (l *Level) At() int64 { return l.at }

// Fields are what a level is to be written and read by.
func (l *Level) Fields() (at *int64, k, expected *float64) { return &l.at, &l.k, &l.expected }

// Change is the test of a stream's last minutes against its last hour. The zero value is
// ready; it asks for a change as small as the stream's volume can show within some
// minutes, and for none where that is half of what is expected.
type Change struct {
	last    int64 // end of the newest step
	since   int64 // start of what the levels rest on
	test    cusum
	worst   float64 // failures a second of the step that had most of them, since test was last zero
	rung    int64   // since when it fires; 0: it does not
	health  cusum   // evidence that it is over
	asked   float64 // of the change that fires, as a share
	swing   float64 // mean square of the relative difference of five minutes to the hour before, beyond chance
	blocks  float64 // that it rests on
	scatter float64 // of the steps' failures, beside chance's
	steps   float64 // that it rests on
	block   struct {
		at          int64
		k, expected float64
	}
	before struct{ k, expected float64 } // the step before
}

// Suspects says that what comes must not move levels: it may be a fault.
func (c *Change) Suspects() bool {
	return c.rung != 0 || c.test.score > changeDoubt
}

// Firing says that a change rings.
func (c *Change) Firing() bool { return c.rung != 0 }

// Next moves the test by one step of which expected failures come by the last hour's
// level, known failures being behind that. It tells in out what it thinks. When it is over
// the levels are to be forgotten.
func (c *Change) Next(p *Parameters, expected, known float64, s *Step, out *Decision) {
	*out = Decision{}
	p.fill()
	if !s.usable() || s.Start < c.last || !(expected > 0) {
		out.Firing, out.Onset, out.N, out.K, out.Score = c.rung != 0, c.test.onset, c.test.n, c.test.k, c.test.score
		return
	}
	gap := c.last == 0 || s.Start-c.last > levelFull
	if c.last = s.End; gap {
		c.begin(s.Start)
	}
	needed, guard, filled := c.terms(p, s)
	zone, asked := c.asks(expected, known, needed, s)
	mean := expected * (1 + zone)
	switch {
	case s.End-c.since < levelFull:
	case c.rung != 0:
		c.ring(expected, mean, needed, s, out)
	case asked <= changeMost:
		c.test.add(s, (s.K*math.Log1p(asked)-mean*asked)/c.scattered(), needed, guard)
		c.fill(s)
		if c.test.score >= needed && c.lasted(s, mean, filled) {
			c.rung, c.asked, c.health = s.End, asked, cusum{}
			out.Changed = true
		}
	default:
		c.test = cusum{}
	}
	if c.rung == 0 {
		c.learn(expected, s, known)
	}
	if out.Changed && c.rung == 0 {
		return // over: it has told what
	}
	c.describe(expected, needed, s, out)
}

// terms are the evidence that is needed, the time that it must span and how much of that
// what fails must fill. Far below the zone's edge chance shows next to nothing: the budget is
// counted in the time that swings are nearer to it, which is more where no other tenant's even
// them out. What one of many tenants breaks counts for little, so that less time is proof enough.
func (c *Change) terms(p *Parameters, s *Step) (needed float64, guard int64, filled float64) {
	length, with := s.End-s.Start, *p
	edge, filled := ownEdge, filledShare*slowGuard
	if p.Common {
		edge, filled = commonEdge, commonFilled
	}
	with.Budget /= edge
	return with.H(), changeGuard + length, math.Max(filled, filledShare*float64(2*length))
}

// lasted says whether what failed beyond mean fills the guard: how long it would have
// lasted had all of it been as bad as the worst step. A chance failure before a burst, and
// one after it, make the evidence span more than the burst did.
func (c *Change) lasted(s *Step, mean, filled float64) bool {
	worst := c.worst - mean*1000/float64(s.End-s.Start)
	return !(worst > 0) || (c.test.k-c.test.n*mean/s.N)/worst*1000 >= filled
}

// fill keeps how much the worst step failed, a second, of those that are evidence. That it
// has more than the others is partly chance, which is taken off.
func (c *Change) fill(s *Step) {
	if c.test.score == 0 || c.test.onset == s.Start {
		c.worst = 0
	}
	if c.test.score > 0 && s.K > 0 {
		c.worst = max(c.worst, (s.K-math.Sqrt(s.K))*1000/float64(s.End-s.Start))
	}
}

// asks is the indifference zone and the change that the volume can show in time, both
// as shares of what is expected.
func (c *Change) asks(expected, known, needed float64, s *Step) (zone, asked float64) {
	scatter := c.scattered()
	zone = swingZone * math.Sqrt(c.swings()+scatter/math.Max(2*known, 1))
	minute := expected * 60_000 / float64(s.End-s.Start)
	asked = math.Max(changeLeast, math.Max(math.Sqrt(2*scatter*needed/(changeIn*minute)), mostRetries/minute))
	return zone, asked
}

// swings is the mean square of the relative difference of five minutes to the hour before,
// drawn to what is usual while few were seen.
func (c *Change) swings() float64 {
	return math.Max(0, (c.blocks*c.swing+swingWorth*changeSwing*changeSwing)/(c.blocks+swingWorth))
}

// begin starts anew: what levels rest on begins then. What was learned of chance stays.
func (c *Change) begin(since int64) {
	*c = Change{last: c.last, since: since, swing: c.swing, blocks: c.blocks, scatter: c.scatter, steps: c.steps}
}

// scattered is how many times as much as chance the steps' failures scatter.
func (c *Change) scattered() float64 {
	return math.Max(1, (c.steps*c.scatter+100)/(c.steps+100))
}

// learn follows how steps and five minutes differ while nothing fires. What differs
// wildly counts as much as is likely: it is no swing.
func (c *Change) learn(expected float64, s *Step, known float64) {
	if b := &c.before; b.expected > 0 && b.k > 0 {
		by := expected / b.expected
		d := s.K - b.k*by
		x := math.Min(d*d/(expected*(1+by)), clipped*c.scattered())
		c.scatter += (x - c.scatter) / math.Min(c.steps+1, scatterSteps)
		c.steps = math.Min(c.steps+1, scatterSteps)
	}
	c.before.k, c.before.expected = s.K, expected
	b := &c.block
	if at := s.Start / swingBlock; at != b.at {
		if b.expected > 0 && known > 0 {
			chance := c.scattered() * (1/b.expected + 1/(2*known))
			d := b.k/b.expected - 1
			x := math.Min(d*d, clipped*(c.swings()+chance)) - chance
			c.swing += (x - c.swing) / math.Min(c.blocks+1, swingBlocks)
			c.blocks = math.Min(c.blocks+1, swingBlocks)
		}
		b.at, b.k, b.expected = at, 0, 0
	}
	b.k, b.expected = b.k+s.K, b.expected+expected
}

// ring moves a firing test. It is over when enough speaks against half of what was asked
// for; and what has lasted for two hours is no change any more. What was level before is
// forgotten then, by the caller as well: it begins to learn anew.
func (c *Change) ring(expected, mean, needed float64, s *Step, out *Decision) {
	half := c.asked / 2
	c.test.n, c.test.k = c.test.n+s.N, c.test.k+s.K
	c.health.add(s, (mean*half-s.K*math.Log1p(half))/c.scattered(), needed, 0)
	healthy := c.health.score >= needed*2/3 && s.End-c.health.onset >= clearGuard
	if !healthy && s.End-c.rung < changeLasts {
		return
	}
	c.describe(expected, needed, s, out)
	out.Firing, out.Changed = false, true
	c.begin(s.End)
}

func (c *Change) describe(expected, needed float64, s *Step, out *Decision) {
	out.Usual, out.Upper, out.Needed = math.Min(expected/s.N, 1), math.Min(expected/s.N, 1), needed
	if c.test.score <= 0 && c.rung == 0 {
		return
	}
	out.Test, out.Score = changed, c.test.score
	out.Firing, out.Onset, out.N, out.K = c.rung != 0, c.test.onset, c.test.n, c.test.k
	out.Mending = c.rung != 0 && c.health.score > 0
}

// MarshalBinary returns the state: kind, version, fields.
func (c *Change) MarshalBinary() ([]byte, error) {
	w := writer{kindChange, changeVersion}
	w.int(c.last)
	w.int(c.since)
	w.cusum(c.test)
	w.int(c.rung)
	w.cusum(c.health)
	w.floats(c.asked, math.Abs(c.swing), c.blocks, c.scatter, c.steps, c.block.k, c.block.expected, c.before.k, c.before.expected)
	w.flag(c.swing < 0)
	w.int(c.block.at)
	w.floats(c.worst)
	return w, nil
}

// UnmarshalBinary takes a state that MarshalBinary gave. On an error the test is as it was.
func (c *Change) UnmarshalBinary(data []byte) error {
	r, version, err := openUpTo(data, kindChange, changeVersion)
	if err != nil {
		return err
	}
	out := Change{last: r.int(), since: r.int(), test: r.cusum(), rung: r.int(), health: r.cusum()}
	for _, f := range []*float64{&out.asked, &out.swing, &out.blocks, &out.scatter, &out.steps, &out.block.k, &out.block.expected, &out.before.k, &out.before.expected} {
		*f = r.float()
	}
	if r.int() != 0 {
		out.swing = -out.swing
	}
	out.block.at = r.int()
	if version >= 2 {
		out.worst = r.float()
	}
	if r.err != nil {
		return r.err
	}
	if out.last < 0 || out.since > out.last || out.rung < 0 {
		return fmt.Errorf("detect: a change from before it began")
	}
	*c = out
	return nil
}
