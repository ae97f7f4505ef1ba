package evaluate

import (
	"sort"
	"time"
)

// Block is samples of some series of one tenant that came at the same times, as those of
// one scrape do: V[j][i] is what the j-th series had at T[i] (unix milliseconds, oldest
// first). What they have in common is worked out once for each time and not for each
// sample. The value may be used again with other content.
type Block struct {
	Refs []*Ref
	T    []int64
	V    [][]float64

	courses []course
	one     [1]Sample
}

// mostParts is how many base steps an increment may touch to be counted with others.
const mostParts = 6

// course is what the series of a block that count in a meter have in common at a time: the
// base steps over which what grew since the sample before is spread.
type course struct {
	m        *meter
	from, to int64
	moved    int  // series that got from one to the other, which the meter was not told of
	begun    bool // the meter knows of the first step
	first    int64
	plain    bool // nothing of it is late, and what follows is all of it
	open     int  // steps that the meter had open when what follows was worked out
	at       int  // the place of the first of them that it touches
	n        int  // how many those are
	ms       [mostParts]float64
}

// AppendBlock is [Engine.Append] of what the series of a block had at T[i], one after the
// other. A sample that goes on as those before it did, as nearly all do, is counted here;
// any other goes the way of every sample.
func (e *Engine) AppendBlock(receivedAt time.Time, b *Block, i int) {
	received, t := receivedAt.UnixMilli(), b.T[i]
	early := t <= received+tooFarAhead.Milliseconds()
	var of *tenantState
	var seen *target
	for j, r := range b.Refs {
		ts, s, v := r.ts, r.s, b.V[j][i]
		known := ts != nil && ts.generation == r.generation && ts.watched
		if known && s == nil && r.unmatched != "" {
			ts.unmatched.saw(r.unmatched, 1)
			continue
		}
		if !known || s == nil || !early || !b.goOn(ts, s, t, v) {
			b.settle(received) // what is so far is what it finds
			b.one[0] = Sample{T: t, V: v}
			e.Append(receivedAt, r, b.one[:])
			continue
		}
		if of = ts; s.target != seen {
			seen = s.target
			seen.see(t)
		}
	}
	b.settle(received)
	if of != nil {
		of.newest = max(of.newest, t)
		of.heard(received)
		e.touch(of)
	}
}

// goOn is apply of the next sample of a series that is sending, of which there is nothing
// to be said but by how much it grew. It does nothing, and says so, where there is more.
func (b *Block) goOn(ts *tenantState, s *series, t int64, v float64) bool {
	from, most := s.t, ts.o.LiveFor.Milliseconds()
	d, inc := t-from, v-s.v
	if !s.goesOn() || d <= 0 || d > longestGap*s.interval || d > most || !(inc >= 0) || v > mostValue || s.names && inc > 0 {
		return false
	}
	if d == s.interval {
		s.long, s.target.interval = 0, d
	} else {
		s.learnInterval(d, most)
	}
	rate := inc / float64(d)
	s.brings(rate)
	s.t, s.v, s.missedFrom = t, v, 0
	if s.one != nil { // nearly always
		ts.lateEvents += b.grew(s.one, from, t, inc, rate)
		return true
	}
	for i, u := range s.uses {
		if u.who {
			b.course(u.m, from, t)
			u.m.met(u, inc, from, t)
			continue
		}
		if late := b.grew(u, from, t, inc, rate); i == 0 {
			ts.lateEvents += late
		}
	}
	return true
}

// grew counts inc events, rate of them a millisecond, where a series counts in, and says
// how many of them came too late.
func (b *Block) grew(u *use, from, to int64, inc, rate float64) (late float64) {
	c := b.course(u.m, from, to)
	c.moved++
	if !c.begun {
		c.begun = true
		c.first = u.m.begins(from)
	}
	if inc == 0 || c.spread(u, inc, rate) {
		return 0
	}
	return u.m.spread(u, inc, from, to)
}

// course finds or makes what is common in a meter.
func (b *Block) course(m *meter, from, to int64) *course {
	for i := range b.courses {
		if c := &b.courses[i]; c.m == m && c.from == from {
			return c
		}
	}
	b.courses = append(b.courses, course{m: m, from: from, to: to, open: -1})
	return &b.courses[len(b.courses)-1]
}

// spread is the meter's spread of inc events, which are each a millisecond; false when it
// must do that itself.
func (c *course) spread(u *use, inc, each float64) bool {
	m := c.m
	if c.open != len(m.open) {
		c.divide()
	}
	if !c.plain {
		return false
	}
	steps := m.open[c.at : c.at+c.n]
	if u.group != nil {
		if u.group.dirty {
			m.weigh(u.group)
		}
		m.learnShape(u, inc)
		for i := range steps {
			m.count(&steps[i], u, each*c.ms[i])
		}
		return true
	}
	for i := range steps {
		if u.lane >= len(steps[i].lanes) {
			m.count(&steps[i], u, each*c.ms[i])
			continue
		}
		x, part := &steps[i].lanes[u.lane], each*c.ms[i]
		if x.n += part; u.bad {
			x.k += part
		}
	}
	return true
}

// divide works out the parts, and has the meter open the steps.
func (c *course) divide() {
	m, first := c.m, c.first
	c.n, c.plain = 0, first >= m.next && (c.to-first-1)/m.base < mostParts
	if c.plain {
		for at := first; at < c.to; at += m.base {
			m.pendingAt(at)
			c.ms[c.n] = float64(min(at+m.base, c.to) - max(at, c.from))
			c.n++
		}
		c.at = sort.Search(len(m.open), func(i int) bool { return m.open[i].at >= first })
	}
	c.open = len(m.open)
}

// settle tells the meters where their series are now.
func (b *Block) settle(received int64) {
	for i := range b.courses {
		c := &b.courses[i]
		if c.moved > 0 && c.m.tempo.counted {
			c.m.tempo.moved(c.moved, c.from, c.to)
		}
		c.m.note(c.to, received)
	}
	b.courses = b.courses[:0]
}
