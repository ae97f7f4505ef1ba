package evaluate

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// mostLessons bounds what is remembered of one tenant; older ones have done their work.
const mostLessons = 64

// Lesson is a person's word on an alert that rang: a false alarm is learned after all,
// anything else stays out of what is usual, and comes out of it as far as it got in.
type Lesson struct {
	Alert alert.Key     `json:"alert"` // of [tenant.Product]: every tenant has its share
	Word  alert.Verdict `json:"word"`
	From  time.Time     `json:"from"` // the onset
	To    time.Time     `json:"to"`   // zero: it still rings
	// How bad it was: events, those that failed and the usual share of them, or of traffic
	// those that came and those that were expected.
	N        float64   `json:"n"`
	K        float64   `json:"k"`
	Usual    float64   `json:"usual"`
	Expected float64   `json:"expected,omitempty"`
	At       time.Time `json:"at"` // it counts from the first step on that ends at this time or later
	By       string    `json:"by"`
}

// Beyond says whether the same rings again although it was called a false alarm: no word
// makes so many failures usual.
func (l Lesson) Beyond() bool {
	return l.Word == alert.VerdictFalse && l.Expected == 0 && l.N > 0 && l.K/l.N-l.Usual > detect.MostTold
}

// lesson is a Lesson as it is looked up.
type lesson struct {
	Lesson
	id           alert.ID
	at, from, to int64 // ms; to 0: it still rings
}

// Learn takes a person's word. The newest of an alert counts. Taking it again, before a
// replay, changes nothing.
func (e *Engine) Learn(l Lesson) {
	v := lesson{Lesson: l, id: l.Alert.ID(), at: l.At.UnixMilli(), from: l.From.UnixMilli()}
	if !l.To.IsZero() {
		v.to = l.To.UnixMilli()
	}
	if l.Alert.Tenant != tenant.Product {
		if ts := e.tenants[l.Alert.Tenant]; ts != nil {
			ts.hear(v)
		}
		return
	}
	for _, ts := range e.tenants {
		ts.hear(v)
	}
}

func (ts *tenantState) hear(v lesson) {
	if slices.ContainsFunc(ts.lessons, func(o lesson) bool { return o.id == v.id && o.at > v.at }) {
		return
	}
	ts.lessons = slices.DeleteFunc(ts.lessons, func(o lesson) bool { return o.id == v.id })
	i, _ := slices.BinarySearchFunc(ts.lessons, v.at+1, func(o lesson, at int64) int { return cmp.Compare(o.at, at) })
	ts.lessons = slices.Insert(ts.lessons, i, v)
	ts.lessons = ts.lessons[max(0, len(ts.lessons)-mostLessons):]
}

// LessonFrom is the earliest time that a new lesson of the alert can count from: no step
// that ends then has closed.
func (e *Engine) LessonFrom(k alert.Key, now time.Time) time.Time {
	from := now.UnixMilli()
	for id, ts := range e.tenants {
		if k.Tenant != tenant.Product && k.Tenant != id {
			continue
		}
		if m, _ := ts.judging(k); m != nil {
			from = max(from, m.lastClose+1)
		}
	}
	return at(from)
}

// Aside says how many hours of an alert are kept aside, for a person to say what they
// were.
func (e *Engine) Aside(k alert.Key, from, to time.Time) int {
	ts := e.tenants[k.Tenant]
	if ts == nil {
		return 0
	}
	m, r := ts.judging(k)
	if m == nil {
		return 0
	}
	ci, ok := m.cellOf(k.Slice)
	switch {
	case !ok:
		return 0
	case r.Kind == rule.Traffic && ci == 0:
		return m.flow.season.Aside(from.UnixMilli(), to.UnixMilli())
	case r.Kind == rule.Traffic && m.cells[ci].share != nil:
		return m.cells[ci].share.Aside(from.UnixMilli(), to.UnixMilli())
	case r.Kind.Ratio():
		return m.cells[ci].base.Aside(from.UnixMilli(), to.UnixMilli())
	}
	return 0
}

// judging finds the meter and the rule that an alert comes from; nil when it is gone.
func (ts *tenantState) judging(k alert.Key) (*meter, *ruleState) {
	for _, m := range ts.meters {
		if m.env != k.Environment {
			continue
		}
		for _, r := range m.rules {
			if r.Name == k.Rule && r.Service == k.Service && r.place != inShadow {
				return m, r
			}
		}
	}
	return nil, nil
}

// cellOf finds the judged cell of a slice.
func (m *meter) cellOf(s sli.Slice) (ci int, ok bool) {
	switch len(s) {
	case 0:
	case 1:
		if ci, ok = m.byDim[s[0]]; !ok {
			return 0, false
		}
	default:
		return 0, false
	}
	return ci, m.cells[ci].judged
}

// heed follows what people said since the step before, which ended at last.
func (ts *tenantState) heed(m *meter, last, end int64) {
	if len(ts.lessons) == 0 {
		return
	}
	for _, v := range ts.lessons {
		if v.at <= last || v.at > end {
			continue
		}
		k := v.Alert
		k.Tenant = ts.id
		if of, r := ts.judging(k); of == m {
			m.teach(r, v, end)
		}
	}
	for _, c := range m.cells {
		for i, w := range c.watches {
			if w.rings() {
				w.forgiven = ts.forgives(m, spot{m.rules[i], c, w}, end)
				m.troubled = true
			}
		}
	}
}

// forgives says whether somebody called what g fires about a false alarm: it goes on
// until the evidence is gone, and what comes is learned.
func (ts *tenantState) forgives(m *meter, g spot, end int64) bool {
	id := alert.Key{Environment: m.env, Tenant: ts.id, Service: g.r.Service, Rule: g.r.Name, Slice: g.c.slice}.ID()
	return slices.ContainsFunc(ts.lessons, func(v lesson) bool {
		return v.id == id && v.Word == alert.VerdictFalse && g.w.Onset < v.at && v.at <= end
	})
}

// teach has a lesson learned by what the alert was about.
func (m *meter) teach(r *ruleState, v lesson, end int64) {
	m.disturb()
	ci, ok := m.cellOf(v.Alert.Slice)
	if !ok {
		return
	}
	to := v.to
	if to == 0 {
		to = end
	}
	switch {
	case r.Kind == rule.Traffic:
		m.teachFlow(ci, v, to)
	case r.Kind.Ratio():
		m.teachRatio(r, ci, v, to, end)
	}
}

// teachRatio puts the hours that a false alarm kept out back, those after it too; of
// what was no false alarm it takes them out.
func (m *meter) teachRatio(r *ruleState, ci int, v lesson, to, end int64) {
	c := m.cells[ci]
	if v.Word != alert.VerdictFalse {
		m.touched(ci, func(b *detect.Baseline) {
			b.Retract(v.from, to)
			b.Remove(to, to+holdAfter)
		})
		c.base.Untell(v.from, to)
		return
	}
	shared := v.Alert.Tenant == tenant.Product
	if !shared {
		for i, w := range c.watches {
			if w != nil && m.rules[i] == r && w.Onset <= to {
				w.forgiven = w.Firing
			}
		}
		if c.healed <= to+m.length {
			c.healed = 0
		}
	}
	m.concerned(ci, func(at int, b *detect.Baseline) {
		if at >= 0 && m.cells[at].withholds(end) && (at != ci || shared) {
			return // by an alarm of its own, of which nobody said that it was false
		}
		b.Return(v.from, to+holdAfter)
	})
	if !shared && v.N > 0 {
		c.base.Tell(v.from, v.K/v.N, m.priorOf(r, ci))
	}
}

// concerned calls f for what touched does, with the cell's place; below zero: of a
// combination in which nothing else rings.
func (m *meter) concerned(ci int, f func(at int, b *detect.Baseline)) {
	done := map[int]bool{}
	once := func(at int) {
		if b := m.cells[at].base; b != nil && !done[at] {
			done[at] = true
			f(at, b)
		}
	}
	once(ci)
	once(0)
	for _, c := range m.cells {
		if c.joint == nil || !slices.Contains(c.joint.cells, ci) {
			continue
		}
		if !slices.ContainsFunc(c.joint.cells, func(at int) bool { return at > 0 && at != ci && m.cells[at].withholds(m.lastClose) }) {
			f(-1, &c.joint.base)
		}
		for _, at := range c.joint.cells {
			once(at)
		}
	}
}

// teachFlow is teachRatio for a volume.
func (m *meter) teachFlow(ci int, v lesson, to int64) {
	if m.flow == nil {
		return
	}
	s, shared := &m.flow.season, v.Alert.Tenant == tenant.Product
	m.flow.minute = 0
	before := v.from - 2*3_600_000 // of a share two hours are taken back, whenever it began
	switch {
	case v.Word != alert.VerdictFalse && ci == 0:
		s.RetractSpan(v.from, to)
		s.Untell(v.from, to)
	case v.Word != alert.VerdictFalse:
		if share := m.cells[ci].share; share != nil {
			share.Remove(before, to)
		}
	case shared && m.cells[ci].ringing(): // by itself, of which nobody said that it was false
	default:
		s.Return(v.from, to)
		for i, c := range m.cells {
			if c.share != nil && (ci == 0 || i == ci) {
				c.share.Return(before, to)
			}
		}
		if !shared && ci == 0 {
			s.Tell(v.from, v.N, v.Expected)
		}
	}
}

// withholds says whether a cell learns nothing of a step that starts at start (ms).
func (c *cell) withholds(start int64) bool {
	return c.judged && (c.ringing() || c.healed > 0 && start < c.healed+holdAfter)
}
