package evaluate

import (
	"slices"
	"sort"

	"github.com/tocsin-alerting/tocsin/checkpoint"
)

// A series counts in several cells: the total, its slices, its combination. Most series
// share all of theirs with others, which differ in their outcome. So samples are counted
// in lanes, and the cells' counts made of those once a step.

// lane is a set of cells that series count in.
type lane struct {
	cells []int
	refs  int // series
}

type counts struct{ n, k float64 }

// pending is what one base step holds so far.
type pending struct {
	at    int64
	lanes []counts  // by lane; there may be more lanes
	n, k  []float64 // by cell, beside: of histograms, and what lanes held that are gone
}

// laneFor finds or makes the lane of cells. One without series gives way.
func (m *meter) laneFor(cells []int) int {
	key := jointKey(cells)
	if i, ok := m.byLane[key]; ok {
		return i
	}
	i := slices.IndexFunc(m.lanes, func(l lane) bool { return l.refs == 0 })
	if i < 0 {
		i = len(m.lanes)
		m.lanes = append(m.lanes, lane{})
	} else {
		m.settle()
		for p := range m.open {
			m.fold(&m.open[p])
		}
		delete(m.byLane, jointKey(m.lanes[i].cells))
	}
	m.stale = true
	m.lanes[i] = lane{cells: slices.Clone(cells)}
	m.byLane[key] = i
	return i
}

// fold counts by cell what the lanes hold.
func (m *meter) fold(p *pending) {
	m.widen(p)
	for i, x := range p.lanes {
		for _, c := range m.lanes[i].cells {
			p.n[c], p.k[c] = p.n[c]+x.n, p.k[c]+x.k
		}
	}
	p.lanes = p.lanes[:0]
}

// widen makes room for counts by cell.
func (m *meter) widen(p *pending) {
	for len(p.n) < len(m.cells) {
		p.n, p.k = append(p.n, 0), append(p.k, 0)
	}
}

// spread counts inc in the base steps of (from, to] by time and returns what
// falls into steps that are closed: it is late and not counted.
func (m *meter) spread(u *use, inc float64, from, to int64) (late float64) {
	if to <= from {
		from = to - 1
	}
	first := m.begins(from)
	if inc == 0 {
		return 0
	}
	if u.group != nil {
		if u.group.dirty {
			m.weigh(u.group)
		}
		m.learnShape(u, inc)
	}
	each := inc / float64(to-from)
	for at := first; at < to; at += m.base {
		part := each * float64(min(at+m.base, to)-max(at, from))
		if at < m.next {
			if u.whole() {
				late += part
			}
			continue
		}
		m.count(m.pendingAt(at), u, part)
	}
	return late
}

// startOf is the start of the base step that a time is in: nearly always it is one of the
// two newest.
func (m *meter) startOf(t int64) int64 {
	for i := len(m.open) - 1; i >= max(0, len(m.open)-2); i-- {
		if at := m.open[i].at; t >= at && t < at+m.base {
			return at
		}
	}
	return t / m.base * m.base
}

// begins is the base step that holds a time; steps from there on are open, unless they
// have closed.
func (m *meter) begins(from int64) (first int64) {
	first = m.startOf(from)
	if begin := max(first, m.lastClose); m.next == 0 || begin < m.next {
		m.next = begin // nothing has closed from here on
	}
	return first
}

// count adds part of an increment to a step.
func (m *meter) count(p *pending, u *use, part float64) {
	if u.group == nil {
		for len(p.lanes) <= u.lane {
			p.lanes = append(p.lanes, counts{})
		}
		x := &p.lanes[u.lane]
		if x.n += part; u.bad {
			x.k += part
		}
		return
	}
	if m.widen(p); !u.tells {
		return
	}
	for i, c := range u.cells {
		p.k[c] += part * u.over[i]
		if u.whole() {
			p.n[c] += part
		}
	}
}

func (m *meter) volumeOnly(u *use, inc float64) {
	for _, c := range u.cells {
		if u.whole() {
			m.cells[c].volume += inc
		}
	}
	if m.next == 0 {
		m.next = m.newest / m.base * m.base
	}
}

// pendingAt finds or makes what the step at a time holds: nearly always it is one of the
// two newest.
func (m *meter) pendingAt(at int64) *pending {
	n := len(m.open)
	switch {
	case n > 0 && m.open[n-1].at == at:
		return &m.open[n-1]
	case n > 1 && m.open[n-2].at == at:
		return &m.open[n-2]
	}
	i := sort.Search(n, func(i int) bool { return m.open[i].at >= at })
	if i < n && m.open[i].at == at {
		return &m.open[i]
	}
	p := pending{at: at}
	if n < cap(m.open) { // take the buffers of a step that closed
		old := m.open[:n+1][n]
		p.lanes, p.n, p.k = old.lanes[:0], old.n[:0], old.k[:0]
	}
	m.open = slices.Insert(m.open, i, p)
	return &m.open[i]
}

// take sums and removes what the open steps up to end hold, and works out what the mix of
// combinations makes one expect of it.
func (m *meter) take(end, youngFor int64) (n, k []float64) {
	d := m.desk
	d.n, d.k, d.mixed = resized(d.n, len(m.cells)), resized(d.k, len(m.cells)), resized(d.mixed, len(m.cells))
	n, k = d.n, d.k
	clear(n)
	clear(k)
	done, whole := 0, true
	for ; done < len(m.open) && m.open[done].at < end; done++ {
		whole = whole && len(m.open[done].n) == 0
	}
	if m.laned = nil; whole && done <= 1 && !m.thorough {
		m.laned = m.none[:0]
		if done == 1 {
			m.laned = m.open[0].lanes
		}
		m.spreadOut(n, k, youngFor)
	} else {
		m.addUp(m.open[:done], n, k)
		m.explain(n, k, youngFor)
	}
	if done > 0 { // rotate, so that the buffers stay behind the end
		slices.Reverse(m.open[:done])
		slices.Reverse(m.open[done:])
		slices.Reverse(m.open)
		m.open = m.open[:len(m.open)-done]
	}
	return n, k
}

// addUp sums open steps by cell.
func (m *meter) addUp(steps []pending, n, k []float64) {
	for s := range steps {
		p := &steps[s]
		for c, v := range p.n {
			n[c], k[c] = n[c]+v, k[c]+p.k[c]
		}
		for i := range p.lanes {
			x := &p.lanes[i]
			for _, c := range m.lanes[i].cells {
				n[c], k[c] = n[c]+x.n, k[c]+x.k
			}
		}
	}
}

// spreadOut is addUp and explain of one step that is kept by lane only.
func (m *meter) spreadOut(n, k []float64, youngFor int64) {
	mixed := m.desk.mixed[:len(n)]
	clear(mixed)
	var all counts // of the total, which every lane leads to
	var known explained
	for i := range m.laned {
		x, p := &m.laned[i], &m.paths[i]
		if x.n == 0 {
			continue
		}
		places := m.places[p.from:p.to]
		all.n, all.k = all.n+x.n, all.k+x.k
		if x.k != 0 {
			for _, c := range places {
				k[c] += x.k
			}
		}
		if p.joint < 0 {
			for _, c := range places {
				n[c] += x.n
			}
			continue
		}
		n[p.cell], k[p.cell] = x.n, x.k
		expected := x.n * p.expects
		if p.newborn {
			expected = m.expectedOfNewborn(&m.combos[p.joint], x.n, x.k, youngFor)
		}
		known.volume, known.expected = known.volume+x.n, known.expected+expected
		for _, c := range places {
			n[c] += x.n
			v := &mixed[c]
			v.volume, v.expected = v.volume+x.n, v.expected+expected
		}
	}
	n[0], k[0], mixed[0] = all.n, all.k, known
}

// pending codes an open step, by cell.
func (c *coder) pending(m *meter, p *pending) {
	if !c.Reading() && len(p.lanes) > 0 {
		by := pending{at: p.at, lanes: p.lanes, n: slices.Clone(p.n), k: slices.Clone(p.k)}
		m.fold(&by)
		p = &by
	}
	c.Int(&p.at)
	checkpoint.List(c.Coder, &p.n, func(v *float64) { c.Floats(v) })
	checkpoint.List(c.Coder, &p.k, func(v *float64) { c.Floats(v) })
}
