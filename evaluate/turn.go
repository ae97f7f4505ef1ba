package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// A tenant's own cells are held against their last hour too where they have failures
// enough, as what is judged over all tenants is: see detect.Change for how many that is.

// leastTurning is how many events a minute a cell must have usually before it is looked
// at at all: with fewer not even a few percent of failures are enough.
const leastTurning = 1000

// ownTurn is what a watch knows of its cell's last hour.
type ownTurn struct {
	test  detect.Change
	level detect.Level
}

// turning moves the test of a cell against its last hour by the step; false: nothing
// is to be said of it, whatever else the step says. The level is learned of all failures that
// came: what counts of them is less while the customers of a gap are not told of.
func (ts *tenantState) turning(j *judgement, ci int, w *watch, s *detect.Step, came float64) bool {
	m, p, d := j.m, &j.p, &j.lately
	c := m.cells[ci]
	switch {
	case c.latency != nil:
		return false
	case !j.live || c.base.Rate() < leastTurning || ts.young(m, c) || m.settling(ci, 2*ts.o.YoungFor.Milliseconds()):
		if w.turn != nil { // what it rings for ends; what comes of a backlog is skewed
			*w.turn, *d = ownTurn{}, detect.Decision{}
		}
		return false
	case w.turn == nil:
		w.turn = &ownTurn{}
	}
	x := w.turn
	if j.loses && !x.test.Firing() {
		x.level = detect.Level{} // what fails without that traffic says nothing of what fails with it
		return false
	}
	usual := c.base.Usually(p.Prior)
	mean := math.Max(s.N*usual, m.expected(ci, s.N, usual))
	factor, known := x.level.Factor()
	with, step := p.ForChange(), *s
	x.test.Next(&with, factor*mean, known, &step, d)
	if d.Changed && !d.Firing {
		x.level = detect.Level{}
	}
	if !x.test.Suspects() {
		x.level.Observe(s.End, came, mean)
	}
	return d.Changed || d.Score > 0
}

// loses says whether lost traffic rings somewhere in the meter: the mix of what comes is
// then not the usual one, and neither is what fails of it.
func (m *meter) loses() bool {
	return m.astir && slices.ContainsFunc(m.cells, func(c *cell) bool {
		return slices.ContainsFunc(c.watches, func(w *watch) bool { return w != nil && w.vol != nil && w.rings() })
	})
}

// settling says whether a combination of the cell is younger than that, as after an opt-in:
// what its mix makes one expect is then explained and not known.
func (m *meter) settling(ci int, least int64) bool {
	return m.clock < m.settled && slices.ContainsFunc(m.combos, func(j combo) bool {
		return m.clock-j.since < least && slices.Contains(j.cells, ci)
	})
}

// ownTurn codes what a watch knows of the last hour.
func (c *coder) ownTurn(x *ownTurn) {
	c.State(&x.test)
	at, k, expected := x.level.Fields()
	c.Int(at)
	c.Floats(k, expected)
}
