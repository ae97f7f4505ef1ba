package evaluate

import (
	"slices"
	"time"
)

// Block is some series of one tenant whose samples come at the same times, as those of one
// scrape do. What they have in common is worked out once for each time and not for each
// sample. The value may be used again with other series.
type Block struct {
	Refs []*Ref

	plan
	courses []course // by place; then those of series that had other samples before
	one     [1]Sample
}

// mostParts is how many base steps an increment may touch to be counted with others.
const mostParts = 6

// course is what the series of a block that count in a meter have in common at a time: the
// base steps over which what grew since the sample before is spread.
type course struct {
	m        *meter
	from, to int64 // from 0: no series counts in it so far
	moved    int   // series that got from one to the other, which the meter was not told of
	begun    bool  // the meter knows of the first step
	first    int64
	divided  bool // what follows is worked out
	plain    bool // nothing of it is late, and the parts are all of it
	n        int  // steps that it touches
	parts    [mostParts]struct {
		ms    float64
		lanes []counts
	}
}

// AppendBlock is [Engine.Append] of what the series of a block had at a time (unix
// milliseconds), one after the other: v[j] is what the j-th had. A sample that goes on as
// those before it did, as nearly all do, is counted here; any other goes the way of every
// sample.
func (e *Engine) AppendBlock(receivedAt time.Time, b *Block, t int64, v []float64) {
	received := receivedAt.UnixMilli()
	if !b.holds(b.Refs) {
		b.look(b.Refs)
		b.courses = slices.Grow(b.courses[:0], len(b.meters))
		for _, m := range b.meters {
			b.courses = append(b.courses, course{m: m})
		}
	}
	ts := b.of
	early := ts != nil && ts.watched && t <= received+tooFarAhead.Milliseconds()
	var seen *target
	for j := range b.counted {
		c := &b.counted[j]
		if early && c.s != nil && b.goOn(c, t, v[j]) {
			if c.s.target != seen {
				seen = c.s.target
				seen.see(t)
			}
			continue
		}
		if r := b.Refs[j]; r.passedOver() {
			r.ts.unmatched.saw(r.unmatched, 1)
			continue
		}
		b.settle(received) // what is so far is what it finds
		b.one[0] = Sample{T: t, V: v[j]}
		e.Append(receivedAt, b.Refs[j], b.one[:])
		b.old = b.old || c.s == nil && b.Refs[j].s != nil
	}
	b.settle(received)
	if seen != nil {
		ts.newest = max(ts.newest, t)
		ts.heard(received)
		e.touch(ts)
	}
}

// goOn is apply of the next sample of a series that is sending, of which there is nothing
// to be said but by how much it grew. It does nothing, and says so, where there is more.
func (b *Block) goOn(x *counted, t int64, v float64) bool {
	s := x.s
	from := s.t
	d, inc := t-from, v-s.v
	if !s.goesOn() || d <= 0 || d > longestGap*s.interval || d > b.longest || !(inc >= 0) || v > mostValue || s.names && inc > 0 {
		return false
	}
	if d == s.interval {
		s.long, s.target.interval = 0, d
	} else {
		s.learnInterval(d, b.longest)
	}
	rate := inc / float64(d)
	s.brings(rate)
	s.t, s.v, s.missedFrom = t, v, 0
	for i := x.from; i < x.to; i++ {
		w := &b.ways[i]
		c := &b.courses[w.place]
		if c.from != from {
			c = b.course(int(w.place), from, t)
		}
		if w.who {
			c.m.met(w.u, inc, from, t)
			continue
		}
		c.moved++
		if !c.begun {
			c.begun, c.first = true, c.m.begins(from)
		}
		if inc == 0 {
			continue
		}
		if !c.divided {
			c.divide()
		}
		switch {
		case !c.plain || w.grouped:
			if late := c.m.spread(w.u, inc, from, t); i == x.from {
				b.of.lateEvents += late
			}
		case w.bad:
			for i := range c.parts[:c.n] {
				p := &c.parts[i]
				n, part := &p.lanes[w.lane], rate*p.ms
				n.n, n.k = n.n+part, n.k+part
			}
		default:
			for i := range c.parts[:c.n] {
				p := &c.parts[i]
				p.lanes[w.lane].n += rate * p.ms
			}
		}
	}
	return true
}

// course finds or makes what is common in the meter at a place.
func (b *Block) course(place int, from, to int64) *course {
	m, at := b.meters[place], place
	if b.courses[place].from != 0 {
		for at = len(b.meters); at < len(b.courses) && (b.courses[at].m != m || b.courses[at].from != from); {
			at++
		}
		if at < len(b.courses) {
			return &b.courses[at]
		}
		b.courses = append(b.courses, course{})
	}
	b.courses[at] = course{m: m, from: from, to: to}
	return &b.courses[at]
}

// divide works out the parts, and has the meter open the steps, with room for every lane.
func (c *course) divide() {
	m, first := c.m, c.first
	c.divided, c.plain = true, first >= m.next && (c.to-first-1)/m.base < mostParts
	for at := first; c.plain && at < c.to; at += m.base {
		p, part := m.pendingAt(at), &c.parts[c.n]
		for len(p.lanes) < len(m.lanes) {
			p.lanes = append(p.lanes, counts{})
		}
		part.ms, part.lanes = float64(min(at+m.base, c.to)-max(at, c.from)), p.lanes
		c.n++
	}
}

// settle tells the meters where their series are now.
func (b *Block) settle(received int64) {
	for i := range b.courses {
		c := &b.courses[i]
		if c.from == 0 {
			continue
		}
		if c.moved > 0 && c.m.tempo.counted {
			c.m.tempo.moved(c.moved, c.from, c.to)
		}
		c.m.note(c.to, received)
		c.from = 0
	}
	b.courses = b.courses[:len(b.meters)]
}
