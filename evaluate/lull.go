package evaluate

import "math"

// Some senders drop a counter that has not moved for a while. Of a thin tenant nothing
// arrives then for as long as nobody pays: that is its usual silence, and no absence.

const (
	lullFrom  = 240_000         // ms without a sample that are a lull
	lullFades = 14 * 24 * 3.6e6 // ms after which a lull's length counts 1/e
	timesLull = 3               // of the usual lull that are an absence
)

// lulls are the two longest silences that ended by themselves, fading. The longest may
// have been a fault, or this process was down; what happened twice is usual.
type lulls struct {
	at            int64
	first, second float64 // ms
}

func (l *lulls) ended(received, gap int64) {
	fade := math.Exp(-float64(received-l.at) / lullFades)
	l.at, l.first, l.second = received, l.first*fade, l.second*fade
	switch g := float64(gap); {
	case g > l.first:
		l.first, l.second = g, l.first
	case g > l.second:
		l.second = g
	}
}

// usual is the longest silence, in ms, that is nothing new.
func (l lulls) usual() int64 { return int64(l.second) }

// absenceAfter is how long a silence, in ms, is an absence where chance is no reason for it.
func absenceAfter(lull int64) int64 { return max(absentAfter.Milliseconds(), timesLull*lull) }
