package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Nearly every step of nearly every cell brings nothing that anybody could see. What such
// a step touches lies side by side here, by place; the cells behind it, of some kilobytes
// each, are left alone until somebody asks, or an hour closes. What is kept here is either
// derived, or what a cell has coming: settle and catch bring the cells up to date.

// pulse is what a step must know of a cell.
type pulse struct {
	usual   float64 // by the first rule
	slice   sli.Slice
	sending bool // its last contribution held events
	ripe    bool // it was judged for long enough to tell others
}

// view is what a step must know of one rule's watch of a cell.
type view struct {
	idle  detect.Idle
	usual float64
	rate  float64 // events a minute that are usual
	w     *watch
	det   *detect.ErrorRatio // of w, which a step that passes does not touch
	thick bool               // it has events enough to be held against its last hour
	quiet bool               // it rings of nothing, and a step without events changes nothing
}

// catch has the watch catch up with what stands for its detector.
func (v *view) catch() {
	if v.idle.On() {
		v.w.det.Catch(&v.idle)
		v.w.Score = v.idle.Score()
	}
}

// resume has the detector go on by itself.
func (v *view) resume() {
	v.quiet = false
	if v.catch(); v.idle.On() {
		v.w.det.Resume(&v.idle)
	}
}

// owed is what came in a lane that its cells were not told yet.
type owed struct {
	came float64 // to be added to their volume
	n, k float64 // to be learned
}

// path is where a lane leads, beside the total.
type path struct {
	expects  float64 // the combination's usual ratio
	from, to int32   // of meter.places: the cells of its slices
	joint    int32   // its combination's place in meter.combos; below zero: it has none
	cell     int32   // of that
	newborn  bool
}

// still is what a meter keeps so that its cells can be left alone.
type still struct {
	stale    bool // what is derived of cells must be made anew
	troubled bool // some cell may not learn
	named    bool // some cell was told who fails
	plain    bool // nobody says who fails, as of the newest step
	thorough bool // no cell is left alone
	uniform  bool // every baseline is at hour

	pulses []pulse // by place in judging, as mixes and a rule's views
	paths  []path
	places []int32
	laned  []counts // the newest step by lane; nil where some of it is kept by cell
	none   [1]counts

	owed    []owed // by lane
	owing   bool
	hour    int64   // number of the hour in which what is owed came
	seconds float64 // that it was observed
	desk    *desk

	mixes   []mix      // as many times as much as scale says
	scale   [2]float64 // by which what mixes hold is ahead of now
	mixer   *ruleState // by what is usual of whose cells
	over    float64    // slow events that the newest step's mix makes one expect of the total
	ripens  int64      // what learned must be for a cell to become ripe
	newborn float64    // what a combination may fail that was born today, without being a fault
	astir   bool       // something may ring, stand, or be held to be one customer's
	settled int64      // what clock must be for every combination to be old
}

// disturb settles, and has made anew what is derived, before something other than a step
// changes what cells have learned.
func (m *meter) disturb() {
	m.settle()
	m.stale, m.troubled, m.astir = true, true, true
}

// settle tells the cells what came since.
func (m *meter) settle() {
	if !m.owing {
		return
	}
	m.owing = false
	pending := resized(m.desk.pending[:0], len(m.cells))
	clear(pending)
	m.desk.pending = pending
	for i := range m.owed {
		x := &m.owed[i]
		if x.came == 0 && x.n == 0 {
			continue
		}
		for _, ci := range m.lanes[i].cells {
			p := &pending[ci]
			p.came, p.n, p.k = p.came+x.came, p.n+x.n, p.k+x.k
		}
		*x = owed{}
	}
	for ci, c := range m.cells {
		p := &pending[ci]
		c.volume += p.came
		if b := c.baseline(); b != nil && m.seconds > 0 {
			b.Add(m.hour, p.n, min(p.k, p.n), m.seconds)
		}
	}
	m.seconds = 0
	for at := range m.mixes {
		x := &m.mixes[at]
		x.now(&m.scale)
		m.cells[m.judging[at]].mix = *x
	}
	m.scale = [2]float64{1, 1}
}

// baseline is what the cell learns; nil where it learns nothing.
func (c *cell) baseline() *detect.Baseline {
	switch {
	case c.judged:
		return c.base
	case c.joint != nil:
		return &c.joint.base
	}
	return nil
}

// catch brings the cells up to date.
func (m *meter) catch() {
	m.settle()
	for at := range m.pulses {
		m.cells[m.judging[at]].sending = m.pulses[at].sending
	}
	for _, r := range m.rules {
		for i := range r.views {
			r.views[i].catch()
		}
	}
}

// resume has every detector go on by itself.
func (m *meter) resume() {
	for _, r := range m.rules {
		for i := range r.views {
			r.views[i].resume()
		}
	}
}

// refresh makes anew what is derived of the cells.
func (m *meter) refresh(youngFor int64) {
	m.catch()
	m.stale, m.uniform, m.astir = false, false, true
	m.setPriors()
	m.judgedCells()
	m.combinations()
	m.pulses, m.mixes, m.owed = resized(m.pulses, len(m.judging)), resized(m.mixes, len(m.judging)), resized(m.owed, len(m.lanes))
	m.ripens = math.MaxInt64
	for at, ci := range m.judging {
		c, x := m.cells[ci], &m.pulses[at]
		m.mixes[at] = c.mix
		*x = pulse{slice: c.slice, sending: c.sending, ripe: m.seen(c) >= youngFor}
		if len(m.rules) > 0 {
			x.usual = c.base.Usually(m.prior(m.rules[0], ci))
		}
		if !x.ripe {
			m.ripens = min(m.ripens, c.since+youngFor)
		}
	}
	for ri, r := range m.rules {
		if r.Kind != rule.Traffic && r.Kind != rule.BurnRate {
			m.see(ri, r)
		}
	}
	m.expect(youngFor)
	m.trace()
}

// see makes a rule's views.
func (m *meter) see(ri int, r *ruleState) {
	r.views = resized(r.views, len(m.judging))
	for at, ci := range m.judging {
		c, v := m.cells[ci], &r.views[at]
		w := c.watches[ri]
		if w == nil || v.w != w {
			*v = view{w: w}
		}
		if w == nil {
			continue
		}
		v.det = &w.det
		prior := m.prior(r, ci)
		v.usual = c.base.Usually(prior)
		v.rate = c.base.Rate()
		if v.det.Young() && m.pulses[at].ripe {
			v.resume()
		}
		if v.thick = r.Kind.LooksBack() && c.latency == nil && v.rate >= leastTurning; v.thick {
			v.resume()
		}
		w.det.Renew(&v.idle, prior, c.alternative(), c.base)
	}
}

// expect makes what is usual of the combinations.
func (m *meter) expect(youngFor int64) {
	m.settled = math.MinInt64
	if len(m.combos) == 0 {
		return
	}
	usual := m.cells[0].base.Usually(m.jointPrior().Prior)
	m.newborn = max(newbornLeast, newbornTimes*usual)
	for i := range m.combos {
		j := &m.combos[i]
		j.usual, j.newborn = j.base.Usually(usual), m.clock-j.since < youngFor
		m.settled = max(m.settled, j.since+2*youngFor)
	}
}

// trace makes the paths of the lanes.
func (m *meter) trace() {
	m.places, m.paths = slices.Grow(m.places[:0], 4*len(m.lanes)), slices.Grow(m.paths[:0], len(m.lanes))
	for i := range m.lanes {
		p := path{from: short(len(m.places)), joint: -1}
		for _, ci := range m.lanes[i].cells {
			switch at := slices.IndexFunc(m.combos, func(j combo) bool { return j.at == ci }); {
			case at >= 0:
				j := &m.combos[at]
				p.joint, p.cell, p.expects, p.newborn = short(at), short(ci), j.usual, j.newborn
			case ci > 0:
				m.places = append(m.places, short(ci))
			}
		}
		p.to = short(len(m.places))
		m.paths = append(m.paths, p)
	}
}

// short is an index in half the room.
func short(i int) int32 { return int32(i) } //nolint:gosec // there are some hundred cells

// resized is a slice of a length, what is new of it zero.
func resized[T any](s []T, length int) []T {
	if was := len(s); was < length {
		s = slices.Grow(s, length-was)[:length]
		clear(s[was:])
	}
	return s[:length]
}

// seen is for how much event time a cell was judged, in ms.
func (m *meter) seen(c *cell) int64 { return m.learned - c.since }

// owe keeps what came in the newest step for the cells' volumes.
func (m *meter) owe(n []float64) {
	if m.laned == nil {
		m.settle()
		for ci, v := range n {
			m.cells[ci].volume += v
		}
		return
	}
	m.owing = true
	for i := range m.laned {
		m.owed[i].came += m.laned[i].n
	}
}

// defers keeps what a step teaches for later where every cell learns it; false: it must be
// learned now.
func (m *meter) defers(hour int64, seconds float64, spent int64) bool {
	if m.laned == nil || m.troubled || !m.uniform || hour != m.hour || m.spec.Histogram != "" {
		return false
	}
	m.owing = true
	m.seconds += seconds
	m.clock += spent
	for i := range m.laned {
		if x := &m.laned[i]; x.n != 0 {
			m.owed[i].n, m.owed[i].k = m.owed[i].n+x.n, m.owed[i].k+x.k
		}
	}
	return true
}

// isPlain says whether nobody says who fails.
func (ts *tenantState) isPlain(m *meter) bool {
	return !m.named && (m.beside == "" || ofEvents(m.spec) || len(ts.sources) == 0)
}
