package evaluate

import "math"

// tempo is what a meter has worked out of its series. It is made again when one of them
// begins or ceases to send, or changes its interval: looking at all of them for every
// record that comes would cost more than counting it.
type tempo struct {
	sized  bool // the length of a step suits them
	smooth bool // none of them has gaps

	counted bool // what follows is made, and kept up by moved
	even    bool // none has gaps
	silent  bool // some are known and not waited for any more, or not known yet
	live    int  // others
	behind  int  // of those, not at end yet,
	next    int  // nor at end and another step
	end     int64
	length  int64
	first   int64 // from then on all live ones are observed
	quiet   int64 // none of the silent ones was observed after
}

// stirred has a meter's tempo made again.
func (m *meter) stirred() { m.tempo = tempo{} }

// moved says that n series got from one time to another.
func (x *tempo) moved(n int, from, to int64) {
	if from < x.end && to >= x.end {
		x.behind -= n
	}
	if then := x.end + x.length; to >= then {
		if from < then {
			x.next -= n
		}
		if to >= then+x.length {
			x.counted = false // it is further than is kept up
		}
	}
}

// waits says whether a step that ends at end is not complete without some series.
func (m *meter) waits(end int64) bool {
	x := &m.tempo
	switch {
	case !x.counted || x.length != m.length:
		m.lookThrough(end)
	case x.end == end:
	case x.end+x.length == end:
		x.end, x.behind, x.next = end, x.next, x.live
	default:
		m.lookThrough(end)
	}
	return x.behind > 0
}

// lookThrough looks at all series.
func (m *meter) lookThrough(end int64) {
	x := tempo{sized: m.tempo.sized, smooth: m.tempo.smooth, counted: true, even: true, end: end, length: m.length}
	for _, s := range m.series {
		x.even = x.even && len(s.gaps) == 0
		if !s.known || s.ended || s.gone {
			if x.silent = true; s.known {
				x.quiet = max(x.quiet, s.t)
			}
			continue
		}
		x.live++
		x.first = max(x.first, s.first)
		if s.t < end {
			x.behind++
		}
		if s.t < end+x.length {
			x.next++
		}
		if s.t >= end+2*x.length {
			x.counted = false
		}
	}
	m.tempo = x
}

// stepsOf is how many base steps an interval takes.
func (m *meter) stepsOf(interval int64) int64 {
	return int64(math.Ceil(float64(interval)/float64(m.base) - 0.2))
}

// retimed tells the meters of s that its interval changed, where that may change a step:
// no scrape is on time to the millisecond.
func (s *series) retimed(was int64) {
	for _, u := range s.uses {
		if was == 0 || u.m.stepsOf(was) != u.m.stepsOf(s.interval) {
			u.m.stirred()
		}
	}
}

// setLength adapts the step to the slowest series that still sends.
func (m *meter) setLength(most int64) {
	if m.tempo.sized {
		return
	}
	m.tempo.sized = true
	length := int64(0)
	for _, s := range m.series {
		if s.known && !s.ended && !s.gone && s.interval > 0 {
			length = max(length, min(m.stepsOf(s.interval)*m.base, most))
		}
	}
	if length > 0 {
		m.length = length
	}
}

// pruneGaps forgets the gaps of its series that no open step can touch.
func (m *meter) pruneGaps() {
	if m.tempo.smooth {
		return
	}
	m.tempo.smooth, m.tempo.counted = true, false
	for _, s := range m.series {
		s.pruneGaps()
		m.tempo.smooth = m.tempo.smooth && len(s.gaps) == 0
	}
}

// full says whether every series that had to do with the step a..b was observed all
// through it, as it is nearly always, and whether all there are had to do with it.
func (m *meter) full(a, b int64) (full, all bool) {
	if x := &m.tempo; x.counted && x.even && x.end == b && x.behind == 0 && x.live > 0 && x.first <= a && x.quiet <= a {
		return true, !x.silent
	}
	all = true
	for _, s := range m.series {
		switch {
		case s.known && s.t >= b && s.first <= a && len(s.gaps) == 0:
			full = true
		case !s.known || s.first >= b || (s.ended || s.gone) && s.t <= a:
			all = false
		default:
			return false, false
		}
	}
	return full, full && all
}
