package evaluate

import "math"

// tempo is what a meter has worked out of its series. It is made again when one of them
// begins or ceases to send, or changes its interval: looking at all of them for every
// record that comes would cost more than counting it.
type tempo struct {
	sized  bool  // the length of a step suits them
	smooth bool  // none of them has gaps
	end    int64 // of the step that is waited for
	passed int   // so many of them, in their order, are not waited for at end
}

// stirred has a meter's tempo made again.
func (m *meter) stirred() { m.tempo = tempo{} }

// waits says whether a step that ends at end is not complete without some series.
// Series only move on, so that each is looked at once a step.
func (m *meter) waits(end int64) bool {
	if m.tempo.end != end {
		m.tempo.end, m.tempo.passed = end, 0
	}
	for ; m.tempo.passed < len(m.series); m.tempo.passed++ {
		if m.series[m.tempo.passed].waited(end) {
			return true
		}
	}
	return false
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
			steps := int64(math.Ceil(float64(s.interval)/float64(m.base) - 0.2))
			length = max(length, min(steps*m.base, most))
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
	m.tempo.smooth = true
	for _, s := range m.series {
		s.pruneGaps()
		m.tempo.smooth = m.tempo.smooth && len(s.gaps) == 0
	}
}

// full says whether every series that had to do with the step a..b was observed all
// through it, as it is nearly always, and whether all there are had to do with it.
func (m *meter) full(a, b int64) (full, all bool) {
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
