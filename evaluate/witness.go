package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

const (
	pastWorth     = 10.0  // events that the hours before are worth beside the half hour before
	usualWorth    = 20.0  // events that the week's shares are worth beside those of some hours
	swingOfTime   = 0.01  // variance of the next minutes' volume beside the last half hour's: a tenth
	swingOfShares = 0.001 // and of what a combination has of it
)

// witness tells a detector what else went on while its cell may have had one customer's
// failures.
type witness struct {
	m        *meter
	cell     int
	youngFor int64
}

// Scene implements detect.Witness. A suspicion may be older than what made it one: the
// scene begins where the cell's failures became more.
func (w *witness) Scene(from, _ int64) detect.Scene {
	x := w.scene(from)
	if len(x.Blocks) < 2 {
		return x
	}
	run, usual := make([]float64, len(x.Blocks)), 0.0
	for i, p := range x.Parts {
		if x.Among>>i&1 == 0 {
			continue
		}
		usual += p.Usual
		for at, k := range p.Run {
			run[at] += k
		}
	}
	at := detect.Burst(run, x.Blocks, usual/x.Minutes)
	if at == 0 {
		return x
	}
	blocks := w.m.trail.blocks
	return w.scene(blocks[len(blocks)-len(x.Blocks)+at].start)
}

// scene is what went on since from; without parts where that cannot be said.
func (w *witness) scene(from int64) (x detect.Scene) {
	t := w.m.trail
	if t == nil || len(t.of) == 0 || len(t.of) > maxJoints {
		return x
	}
	before := t.split(from, &x)
	if x.Minutes <= 0 {
		return detect.Scene{}
	}
	known, born := w.shares(&x, before)
	if w.slices(&x); x.Among == 0 {
		return detect.Scene{}
	}
	// What usually comes: as in the time before, drawn to the hours before that.
	come, old := 0.0, 0.0
	for i, v := range before.came {
		come, old = come+v, old+t.old[i]
	}
	rate := 0.0
	switch {
	case old > 0 && t.minutes > 0:
		rate = (come + pastWorth) / (before.minutes + pastWorth*t.minutes/old)
	case before.minutes > 0:
		rate = come / before.minutes
	}
	if !(rate*x.Minutes+born > 0) {
		return detect.Scene{}
	}
	x.Expected = rate*x.Minutes + born
	x.Size = 1 / (1/(come+pastWorth) + swingOfTime)
	x.Sharing = 1 / (1/known + swingOfShares)
	return x
}

// earlier is what came in the blocks before a scene.
type earlier struct {
	minutes float64
	came    []float64 // successes, by combination
}

// split puts what came since from into the scene, and gives what came before.
func (t *trail) split(from int64, x *detect.Scene) earlier {
	before := earlier{came: make([]float64, len(t.of))}
	x.Parts = make([]detect.Part, len(t.of))
	for _, b := range t.blocks {
		if b.end <= from {
			before.minutes += b.minutes
			for i, v := range b.at {
				before.came[i] += float64(v.n - v.k)
			}
			continue
		}
		x.Minutes += b.minutes
		x.Blocks = append(x.Blocks, b.minutes)
		for i := range t.of {
			v := tally{}
			if i < len(b.at) { // else it was born later
				v = b.at[i]
			}
			p := &x.Parts[i]
			p.Successes += float64(v.n - v.k)
			p.Failures += float64(v.k)
			p.Run = append(p.Run, float64(v.k))
		}
	}
	return before
}

// shares says what each combination usually has of the successes, and fails. It returns
// the events that the shares rest on, and how many are of what is new: of that, what
// comes is what usually comes.
func (w *witness) shares(x *detect.Scene, before earlier) (known, born float64) {
	m, t := w.m, w.m.trail
	prior := m.jointPrior()
	usual := m.cells[0].base.Mean(prior)
	prior.Prior = usual
	weekly := 0.0
	for _, ci := range t.of {
		weekly += m.cells[ci].joint.base.Rate()
	}
	for i, ci := range t.of {
		j, p := m.cells[ci].joint, &x.Parts[i]
		n := p.Successes + p.Failures
		if p.Share = before.came[i] + t.old[i]; p.Share == 0 && m.clock-j.since < w.youngFor {
			born += n
			p.Share = n * (before.minutes + t.minutes) / x.Minutes
		}
		if weekly > 0 {
			p.Share += usualWorth * j.base.Rate() / weekly
		} else {
			p.Share += usualWorth / float64(len(t.of))
		}
		known += p.Share
		if p.Usual = n * j.base.Mean(prior); m.clock-j.since < w.youngFor { // it may be as bad as newborn ones are
			p.Usual = math.Min(p.Failures, n*math.Max(newbornLeast, newbornTimes*usual))
		}
	}
	for i := range x.Parts {
		x.Parts[i].Share /= known
	}
	return known, born
}

// slices says what a fault may be of.
func (w *witness) slices(x *detect.Scene) {
	m := w.m
	sets := make([]uint32, len(m.cells))
	for i, ci := range m.trail.of {
		for _, at := range m.cells[ci].joint.cells {
			sets[at] |= 1 << i
		}
	}
	x.Among = sets[w.cell]
	for at, c := range m.cells {
		if s := sets[at]; s != 0 && (at == 0 || len(c.slice) == 1) && !slices.Contains(x.Slices, s) {
			x.Slices = append(x.Slices, s)
		}
	}
}
