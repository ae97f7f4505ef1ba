package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect/histogram"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// A rule of kind latency judges the share of events that take longer than an edge of
// their histogram, as errors are judged. Which edge that is each cell learns for
// itself (package histogram); a sender that does not have it is interpolated between
// its own edges. So the counters of a step are, for each cell, all events (the bucket
// +Inf) and those that the edge leaves over.

// group is one histogram of one sender: its buckets, which share all labels but le.
type group struct {
	buckets []*use    // with finite edges and +Inf
	edges   []float64 // finite ones that are sent now, sorted
	dirty   bool      // edges and shares must be made again
}

// latency is what a cell knows of its histogram.
type latency struct {
	shape  histogram.Shape
	choice histogram.Choice
	from   int64 // steps before were counted by another edge: not judged
}

// bucketUse makes s a bucket of its group; false when its edge makes no sense.
func (m *meter) bucketUse(s *series, u *use) bool {
	le, ok := sli.ParseEdge(s.ls.Get(sli.Le))
	if !ok {
		return false
	}
	h, _ := s.ls.HashWithoutLabels(nil, sli.Le)
	g := m.groups[h]
	if g == nil {
		g = &group{}
		m.groups[h] = g
	}
	u.s, u.le, u.group, u.key, g.dirty = s, le, g, h, true
	u.over = make([]float64, len(u.cells))
	g.buckets = append(g.buckets, u)
	return true
}

// dropBucket takes a series' bucket out of its group.
func (m *meter) dropBucket(u *use) {
	if u.group == nil {
		return
	}
	u.group.buckets = slices.DeleteFunc(u.group.buckets, func(o *use) bool { return o == u })
	if u.group.dirty = true; len(u.group.buckets) == 0 {
		delete(m.groups, u.key)
	}
}

func (s *series) sending() bool { return s.events || s.arriving || s.known && !s.ended && !s.gone }

// stirred tells the meters of s that it changed its tempo.
func (s *series) stirred() {
	for _, u := range s.uses {
		u.m.stirred()
	}
}

// changed tells the meters and groups of s that it began or ceased to send.
func (s *series) changed() {
	s.stirred()
	for _, u := range s.uses {
		if u.group != nil {
			u.group.dirty = true
		}
	}
}

// weigh works out what one event of each bucket adds to those over the cells' edges.
func (m *meter) weigh(g *group) {
	g.dirty = false
	g.edges = g.edges[:0]
	for _, u := range g.buckets {
		if u.s.sending() && !math.IsInf(u.le, 1) {
			g.edges = append(g.edges, u.le)
		}
	}
	slices.Sort(g.edges)
	g.edges = slices.Compact(g.edges)
	m.edgesMoved = true
	for _, u := range g.buckets {
		u.tells = u.whole()
		for i, c := range u.cells {
			u.over[i] = adds(u.le, g.edges, m.cells[c].latency.edge())
			u.tells = u.tells || u.over[i] != 0
		}
	}
}

// reweigh does so for all groups of a restored meter; nothing has moved by that.
func (m *meter) reweigh() {
	moved := m.edgesMoved
	for _, g := range m.groups {
		m.weigh(g)
	}
	m.edgesMoved = moved
}

// judges says whether a step that starts at start was counted by the edge.
func (l *latency) judges(start int64) bool { return l.choice.Le > 0 && start >= l.from }

func (l *latency) edge() float64 {
	if l == nil {
		return 0
	}
	return l.choice.Le
}

// adds is what an event of the bucket up to le adds to the events over the edge: the
// bucket +Inf all, the edge's own takes it away; of the two beside an edge that the
// sender does not have each a part. Over its highest edge nothing can be told, and
// nothing is said to be over.
func adds(le float64, edges []float64, edge float64) float64 {
	if edge <= 0 || len(edges) == 0 {
		return 0
	}
	above, found := slices.BinarySearch(edges, edge)
	if math.IsInf(le, 1) {
		if above == len(edges) {
			return 0
		}
		return 1
	}
	switch {
	case found:
		if le == edge {
			return -1
		}
		return 0
	case above == len(edges):
		return 0
	}
	lower, upper := 0.0, edges[above]
	if above > 0 {
		lower = edges[above-1]
	}
	part := (edge - lower) / (upper - lower)
	switch le {
	case upper:
		return -part
	case lower:
		return -(1 - part)
	}
	return 0
}

// learnShape counts inc events in what the cells know of their distribution. What
// chooses the edge may hold an hour of a fault; what a cell is judged by is learned
// from clean steps only.
func (m *meter) learnShape(u *use, inc float64) {
	for _, c := range u.cells {
		cl := m.cells[c]
		if cl.latency == nil || m.astir && cl.busy() {
			continue
		}
		if math.IsInf(u.le, 1) {
			cl.latency.shape.Seen(u.group.edges, inc)
		} else {
			u.at = cl.latency.shape.Below(u.le, u.at, inc)
		}
	}
}

// sent lists the edges that most of the volume is counted by now.
func (m *meter) sent() []float64 {
	weight, all := map[float64]float64{}, 0.0
	for _, g := range m.groups {
		if g.dirty {
			m.weigh(g)
		}
		w := 0.0
		for _, u := range g.buckets {
			if math.IsInf(u.le, 1) && u.s.sending() {
				w = u.s.weight + 1e-12
			}
		}
		all += w
		for _, le := range g.edges {
			weight[le] += w
		}
	}
	var out []float64
	for le, w := range weight {
		if w >= all/2 {
			out = append(out, le)
		}
	}
	slices.Sort(out)
	return out
}

// chooseEdges has every cell judged by the edge that suits it. A cell in which
// something fires keeps its edge.
func (m *meter) chooseEdges(at int64) {
	if m.spec.Histogram == "" {
		return
	}
	have := m.sent()
	m.edgesMoved = false
	changed := false
	for _, c := range m.cells {
		l := c.latency
		if l == nil || c.busy() {
			continue
		}
		l.shape.Fade(at)
		was := l.choice.Le
		l.choice = l.shape.Choose(have, was)
		if l.choice.Le == was {
			continue
		}
		changed = true
		m.resume()
		m.disturb()
		// Open steps were counted by the old edge.
		l.from = m.newest + m.length
		minutes := float64(m.seen(c)) / 60_000
		if rate := c.base.Rate(); rate > 0 {
			minutes = l.choice.N / rate
		}
		c.base.Accept(at, l.choice.N, l.choice.N*l.choice.Usual, minutes*60)
		for i, w := range c.watches {
			if w != nil {
				c.watches[i] = &watch{}
			}
		}
	}
	if changed {
		for _, g := range m.groups {
			g.dirty = true
		}
	}
}

// whole says whether each histogram was observed with the buckets that count: all
// events without those up to the edge would look slow.
func (m *meter) whole(a, b int64) bool {
	if _, all := m.full(a, b); all {
		return true
	}
	for _, g := range m.groups {
		var all, least int64 = 0, math.MaxInt64
		for _, u := range g.buckets {
			counts := slices.ContainsFunc(u.over, func(v float64) bool { return v != 0 })
			if !counts && !math.IsInf(u.le, 1) {
				continue
			}
			_, seen := u.s.observed(a, b)
			if math.IsInf(u.le, 1) {
				all = max(all, seen)
			} else if u.s.sending() {
				least = min(least, seen)
			}
		}
		if all > 0 && least < all*9/10 {
			return false
		}
	}
	return true
}

// bound keeps what takes too long between nothing and everything. Buckets may contradict
// each other, as after one of them was reset alone, and their samples may fall into
// different steps: what then follows is no count.
func (m *meter) bound(n, k []float64) {
	if m.spec.Histogram == "" {
		return
	}
	for i, v := range k {
		k[i] = min(max(v, 0), n[i])
	}
}

// judgeable says whether the cell can be judged by the step that starts at start.
func (c *cell) judgeable(r *ruleState, start int64) bool {
	return r.Kind != rule.Latency || c.latency != nil && c.latency.judges(start)
}

// asked is alternative without a look at a cell that has none.
func (m *meter) asked(ci int) float64 {
	if m.spec.Histogram == "" {
		return 0
	}
	return m.cells[ci].alternative()
}

// alternative is the ratio that a small fault has, where that is known.
func (c *cell) alternative() float64 {
	if c.latency == nil {
		return 0
	}
	return c.latency.choice.Lower
}

// slower is the share of events that took longer than le in the cell as it usually is.
func (c *cell) slower(le float64) (share float64, ok bool) {
	if c.latency == nil {
		return 0, false
	}
	share, n := c.latency.shape.Over(le)
	return share, n > 0
}

func (c *coder) latency(l *latency) {
	c.Ints(&l.from, &l.shape.At)
	c.Floats(&l.choice.Le, &l.choice.Usual, &l.choice.Lower, &l.choice.N)
	checkpoint.List(c.Coder, &l.shape.Edges, func(e *histogram.Edge) { c.Floats(&e.Le, &e.Below, &e.N) })
}
