package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

// What changed for good must not ring for ever, nor be learned behind anybody's back:
// after a day of one level the alert says so, after seven, or when a person accepts it,
// it is the usual one.

const (
	levelHours  = 24
	steadySpan  = 0.25 // part of the level by which the two halves of a day may differ
	steadySigma = 3    // or standard deviations of chance
)

// level is what a cell did in the last 24 hours of an alarm, by hour modulo that.
type level struct {
	at   int64 // hour number of the newest
	n, k [levelHours]float64
}

func (l *level) add(s detect.Step) {
	at := s.Start / 3_600_000
	for h := max(l.at+1, at-levelHours+1); h <= at; h++ {
		l.n[h%levelHours], l.k[h%levelHours] = 0, 0
	}
	if at > l.at {
		l.at = at
	}
	if l.at-at < levelHours {
		l.n[at%levelHours] += s.N
		l.k[at%levelHours] += s.K
	}
}

// half sums the older or the newer twelve hours.
func (l *level) half(newer bool) (n, k float64) {
	from := l.at - levelHours + 1
	if newer {
		from += levelHours / 2
	}
	for h := max(from, 0); h < from+levelHours/2; h++ {
		n, k = n+l.n[h%levelHours], k+l.k[h%levelHours]
	}
	return n, k
}

// steady says whether both halves of the day show one level, and which.
func (l *level) steady() (ratio float64, ok bool) {
	n1, k1 := l.half(false)
	n2, k2 := l.half(true)
	if !(n1 > 0 && n2 > 0) {
		return 0, false
	}
	ratio = (k1 + k2) / (n1 + n2)
	chance := math.Sqrt(ratio * (1 - ratio) * (1/n1 + 1/n2))
	return ratio, math.Abs(k1/n1-k2/n2) <= math.Max(steadySpan*ratio, steadySigma*chance)
}

// lasts follows an alarm that goes on: it says when its level may be the new normal,
// and takes it as that at last, or when a person (by) accepted it. It changes d where
// that ends the alarm.
func (m *meter) lasts(r *ruleState, ci int, w *watch, s detect.Step, d *detect.Decision, by string) {
	if !w.Firing {
		w.level = nil
		return
	}
	if w.level == nil {
		w.level = &level{}
	}
	w.level.add(s)
	long := s.End - w.Onset
	if d.Changed || long <= offerAfter && by == "" {
		return
	}
	ratio, steady := w.level.steady()
	switch {
	case by != "":
		*d = m.acceptRatio(ci, w, s.End, by+" accepted %s as the usual")
	case long > r.accepts():
		*d = m.acceptRatio(ci, w, s.End, "after "+days(r.accepts())+" %s is taken as the usual")
	case steady && w.Raised != nil && (r.Kind != rule.Declines || w.Raised.Severity == ""):
		w.Raised.Why = fmt.Sprintf("it has been %s for a day: this may be the new normal; somebody may accept it, and after %s it is taken as that", alert.Percent(ratio), days(r.accepts()))
	}
}

// acceptRatio takes what the cell did in the last day of its alarm as its usual ratio.
// Its combinations are learned anew. why has a place for the ratio.
func (m *meter) acceptRatio(ci int, w *watch, at int64, why string) detect.Decision {
	m.disturb()
	n1, k1 := w.level.half(false)
	n2, k2 := w.level.half(true)
	seconds := min(levelHours*3600, float64(at-w.Onset)/1000)
	w.det, w.level, w.turn = detect.ErrorRatio{}, nil, nil
	if w.Raised != nil {
		w.Raised.Why = fmt.Sprintf(why, alert.Percent((k1+k2)/math.Max(n1+n2, 1)))
	}
	if !w.trial { // a shadow waits for those in force
		c := m.cells[ci]
		c.base.Accept(at, n1+n2, k1+k2, seconds)
		c.healed = 0
		for _, o := range m.cells {
			if o.joint != nil && (ci == 0 || slices.Contains(o.joint.cells, ci)) {
				o.joint.base, o.joint.since = detect.Baseline{}, m.clock
			}
		}
	}
	return detect.Decision{Changed: true}
}

// level codes the last day of an alarm.
func (c *coder) level(l *level) {
	c.Int(&l.at)
	for i := range l.n {
		c.Floats(&l.n[i], &l.k[i])
	}
	if c.Reading() && l.at < 0 {
		c.Fail()
	}
}
