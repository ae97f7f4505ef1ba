package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/trail"
)

const (
	pastWorth     = 10.0  // events that the hours before are worth beside the half hour before
	usualWorth    = 20.0  // events that the week's shares are worth beside those of some hours
	swingOfTime   = 0.01  // variance of the next minutes' volume beside the last half hour's: a tenth
	swingOfShares = 0.001 // and of what a combination has of it
)

// follow keeps the trail where it is needed: where nobody says how many customers fail.
func (m *meter) follow(step detect.Step, n, k []float64, alive int64) {
	if m.spec.Histogram != "" || len(m.joints) == 0 || !m.plain && m.cells[0].who(step.Start, alive) != nil {
		m.trail = nil
		return
	}
	if m.trail == nil {
		m.trail = &trail.Trail{}
	}
	if len(m.trail.Combinations()) < len(m.joints) {
		for ci, c := range m.cells {
			if c.joint != nil {
				m.trail.Add(ci)
			}
		}
	}
	m.trail.Note(step, n, k)
}

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
	return w.scene(w.m.trail.Start(len(x.Blocks) - 1 - at))
}

// scene is what went on since from; without parts where that cannot be said.
func (w *witness) scene(from int64) (x detect.Scene) {
	t := w.m.trail
	if t == nil || len(t.Combinations()) == 0 || len(t.Combinations()) > trail.Most {
		return x
	}
	before := t.Split(from, &x)
	if x.Minutes <= 0 {
		return detect.Scene{}
	}
	known, born := w.shares(&x, before)
	if w.slices(&x); x.Among == 0 {
		return detect.Scene{}
	}
	// What usually comes: as in the time before, drawn to the hours before that.
	come, old, older := 0.0, 0.0, t.Older()
	for i, v := range before.Came {
		come, old = come+v, old+older.Came[i]
	}
	rate := 0.0
	switch {
	case old > 0 && older.Minutes > 0:
		rate = (come + pastWorth) / (before.Minutes + pastWorth*older.Minutes/old)
	case before.Minutes > 0:
		rate = come / before.Minutes
	}
	if !(rate*x.Minutes+born > 0) {
		return detect.Scene{}
	}
	x.Expected = rate*x.Minutes + born
	x.Size = 1 / (1/(come+pastWorth) + swingOfTime)
	x.Sharing = 1 / (1/known + swingOfShares)
	return x
}

// shares says what each combination usually has of the successes, and fails. It returns
// the events that the shares rest on, and how many are of what is new: of that, what
// comes is what usually comes.
func (w *witness) shares(x *detect.Scene, before trail.Sum) (known, born float64) {
	m, of, older := w.m, w.m.trail.Combinations(), w.m.trail.Older()
	prior := m.jointPrior()
	usual := m.cells[0].base.Mean(prior)
	prior.Prior = usual
	weekly := 0.0
	for _, ci := range of {
		weekly += m.cells[ci].joint.base.Rate()
	}
	for i, ci := range of {
		j, p := m.cells[ci].joint, &x.Parts[i]
		n := p.Successes + p.Failures
		if p.Share = before.Came[i] + older.Came[i]; p.Share == 0 && m.clock-j.since < w.youngFor {
			born += n
			p.Share = n * (before.Minutes + older.Minutes) / x.Minutes
		}
		if weekly > 0 {
			p.Share += usualWorth * j.base.Rate() / weekly
		} else {
			p.Share += usualWorth / float64(len(of))
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
	for i, ci := range m.trail.Combinations() {
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
