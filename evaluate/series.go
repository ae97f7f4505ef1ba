package evaluate

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
)

// longestGap is how many scrape intervals an increment may span and still be
// spread over them; what spans more cannot be dated.
const longestGap = 3

// series is one counter as it was last seen. What every sample touches comes first.
type series struct {
	t        int64   // time of the last sample
	v        float64 // its value
	weight   float64 // events a millisecond, smoothed: its part in the coverage
	interval int64   // usual time between samples, ms; 0 not known
	target   *target
	one      *use // what it counts in, where that is one place and says nothing of who fails; derived
	uses     []*use
	names    bool // one of its uses does: see there; derived
	known    bool // t and v hold a sample
	ended    bool // a stale marker came after the last sample
	gone     bool // waited for in vain: no longer expected
	arriving bool // its first sample, or the first after an end, is being applied
	events   bool // it came by AddEvents: only t is used
	rivalry  rivalry
	long     int // samples in a row that came much later than interval

	missedFrom int64 // receive time (ms) of the first step that closed without it; 0 none
	first      int64 // observed without interruption but for gaps from here to t
	endedAt    int64
	gaps       []span // within first..t
	ls         labels.Labels
}

// use is what a series counts in one meter.
type use struct {
	m     *meter
	group *group // of a histogram's bucket
	lane  int    // of its cells; not of a histogram's bucket
	bad   bool
	who   bool         // it counts customers who fail, and no events
	names bool         // its events fail, and say whose they are
	whose *crowd.Crowd // all of them, where its labels say it
	cells []int        // total first

	// Of a histogram's bucket:
	s     *series
	le    float64
	key   uint64    // of the group
	over  []float64 // per cell: what one event adds to those that take too long
	tells bool      // one of them is not zero, or it holds all events
	at    int       // where its edge is among those of its cells' distributions, most likely
}

// whole says whether an increment is a number of events, and not of those up to an edge.
func (u *use) whole() bool { return u.group == nil || math.IsInf(u.le, 1) }

type span struct{ from, to int64 }

// lastAt is the newest time that is known of the series.
func (s *series) lastAt() int64 {
	if s.ended {
		return max(s.t, s.endedAt)
	}
	return s.t
}

// apply takes one sample of s: it refuses what is late, finds the increment and
// since when it grew, and counts it in the meters of s.
func (ts *tenantState) apply(s *series, sm Sample) {
	if (s.known || s.ended) && sm.T <= s.lastAt() {
		ts.lateSamples++
		return
	}
	if value.IsStaleNaN(sm.V) {
		s.ended, s.endedAt, ts.fullAt = true, sm.T, 0
		s.changed()
		return
	}
	if !(sm.V >= 0) || sm.V > mostValue || sm.T <= 0 {
		ts.refusedSamples++
		return
	}
	if !s.sending() {
		s.arriving = true
		s.changed()
	}
	if s.known && ts.rival(s, sm) {
		return
	}
	s.target.see(sm.T)
	ts.newest = max(ts.newest, sm.T)
	if !s.known {
		ts.born(s, sm)
	} else {
		ts.grown(s, sm)
	}
	s.known, s.t, s.v, s.arriving = true, sm.T, sm.V, false
	s.ended, s.gone, s.missedFrom = false, false, 0
}

// steady takes a sample as nearly all are: the next of a counter that is in time and counts
// in one place. It does what apply does, and nothing where the sample is another; false then.
func (ts *tenantState) steady(s *series, sm *Sample) bool {
	d := sm.T - s.t
	if off := d - s.interval; off >= 4 || off <= -4 || d < 1000 || d > ts.o.LiveFor.Milliseconds() || !s.goesOn() || len(s.uses) != 1 { // an interval that is followed by quarters stays
		return false
	}
	u := s.uses[0]
	if !(sm.V >= s.v) || sm.V > mostValue || sm.Start > s.t || u.who || u.names || u.group != nil || len(s.gaps) > 0 {
		return false
	}
	inc, from := sm.V-s.v, s.t
	s.target.see(sm.T)
	s.target.interval, s.long = s.interval, 0
	ts.newest = max(ts.newest, sm.T)
	s.brings(inc / float64(d))
	ts.lateEvents += u.m.spread(u, inc, from, sm.T)
	s.t, s.v, s.missedFrom = sm.T, sm.V, 0
	return true
}

// born counts the first sample of a series from zero when its start timestamp or
// its running target says that it began after the scrape before; else it notes
// the level only.
func (ts *tenantState) born(s *series, sm Sample) {
	from, running := s.target.before(sm.T)
	started := sm.Start > 0 && sm.Start <= sm.T
	switch {
	case running && started:
		from = max(from, sm.Start)
	case started:
		from = sm.Start
	case !running:
		s.first = sm.T
		s.stirred()
		return
	}
	ts.count(s, sm.V, from, sm.T, true)
}

// grown counts what s grew by since its last sample. A counter that was away
// while its target went on (evicted for being idle) grew in the target's last
// interval, not while it was away.
func (ts *tenantState) grown(s *series, sm Sample) {
	inc, from := sm.V-s.v, s.t
	if sm.V < s.v || (sm.Start > s.t && sm.Start <= sm.T) {
		inc, from = sm.V, max(s.t, min(sm.Start, sm.T))
	}
	away := s.ended || sm.T-s.t > ts.o.LiveFor.Milliseconds()
	if away {
		if prev, running := s.target.before(sm.T); running && prev > s.t {
			ts.count(s, inc, max(from, prev), sm.T, true)
			return
		}
	}
	s.learnInterval(sm.T-s.t, ts.o.LiveFor.Milliseconds())
	ts.count(s, inc, from, sm.T, false)
}

// learnInterval follows the time between samples: shorter ones at once but
// gently, longer ones (a missed scrape) only when they come four times in a row.
func (s *series) learnInterval(d, most int64) {
	was := s.interval
	switch {
	case d < 1000 || d > most:
		return
	case s.interval == 0:
		s.interval = d
		if g := s.target.interval; g > 0 && g < d {
			s.interval = g
		}
	case 2*d <= 3*s.interval:
		s.long = 0
		s.interval += (d - s.interval) / 4
	default:
		if s.long++; s.long >= 4 {
			s.interval, s.long = d, 0
		}
	}
	s.target.interval = s.interval
	if s.interval != was {
		s.retimed(was)
	}
}

// count adds inc events that happened in (from, to] to the meters of s, spread
// by time; over too long a gap they join the volume only. fresh says that s was
// not observed before from.
func (ts *tenantState) count(s *series, inc float64, from, to int64, fresh bool) {
	usual := s.interval
	if usual == 0 {
		usual = max(s.target.interval, ts.o.Step.Milliseconds())
	}
	dated := to-from <= longestGap*usual
	if fresh {
		s.first, s.gaps = from, nil
		if !dated {
			s.first = to
		}
		s.stirred()
	} else if !dated {
		s.gaps = append(s.gaps, span{from, to})
		s.stirred()
		if len(s.gaps) > 64 {
			s.gaps = slices.Delete(s.gaps, 0, 1)
		}
	}
	if !dated {
		for i, u := range s.uses {
			if u.who {
				u.m.met(u, inc, to, to)
				continue
			}
			if i == 0 && u.whole() {
				ts.gapEvents += inc
			}
			u.m.volumeOnly(u, inc)
		}
		return
	}
	s.brings(inc / float64(max(to-from, 1)))
	for i, u := range s.uses {
		if u.who {
			u.m.met(u, inc, from, to)
			continue
		}
		late := u.m.spread(u, inc, from, to)
		if i == 0 {
			ts.lateEvents += late
		}
		if u.names && inc > 0 {
			named := inc * float64(len(u.whose.Marks()))
			ts.failed(u, inc, named, u.whose, to, late >= inc)
		}
	}
}

// goesOn says whether the next sample goes on from the last, and from one sender.
func (s *series) goesOn() bool {
	return s.known && !s.ended && !s.gone && !s.rivalry.on && s.rivalry.t == 0
}

// brings follows how many events a millisecond it brings.
func (s *series) brings(rate float64) {
	if s.weight == 0 {
		s.weight = rate
	} else {
		s.weight += 0.1 * (rate - s.weight)
	}
}

// overlap is how much of a..b lies in from..to, in ms.
func overlap(a, b, from, to int64) int64 { return max(0, min(b, to)-max(a, from)) }

// observed is how much of the step a..b was expected of s and how much of that
// was seen, in ms.
func (s *series) observed(a, b int64) (expected, seen int64) {
	if !s.known || s.first >= b {
		return 0, 0
	}
	seen = overlap(a, b, s.first, s.t)
	for _, g := range s.gaps {
		seen -= overlap(a, b, g.from, g.to)
	}
	end := b
	if s.ended || s.gone {
		end = s.t
	}
	return overlap(a, b, s.first, max(end, s.t)), max(0, seen)
}

// waited says whether a step that ends at end is not complete without s.
func (s *series) waited(end int64) bool {
	return s.known && !s.ended && !s.gone && s.t < end
}

// pruneGaps forgets gaps that no open step can touch.
func (s *series) pruneGaps() {
	if len(s.gaps) == 0 {
		return
	}
	oldest := int64(math.MaxInt64)
	for _, u := range s.uses {
		oldest = min(oldest, u.m.next)
	}
	s.gaps = slices.DeleteFunc(s.gaps, func(g span) bool { return g.to <= oldest })
}

// coverage is the share of a..b that was observed, by time and by usual volume,
// the smaller: without its successes a step is not half observed. from is the
// next time after a that anything was observed.
func (m *meter) coverage(a, b int64) (share float64, from int64) {
	if full, _ := m.full(a, b); full {
		return 1, a
	}
	var expected, seen int64
	var wExpected, wSeen float64
	from = math.MaxInt64
	for _, s := range m.series {
		e, o := s.observed(a, b)
		expected, seen = expected+e, seen+o
		wExpected, wSeen = wExpected+s.weight*float64(e), wSeen+s.weight*float64(o)
		if o == 0 && s.t > a {
			from = min(from, s.resumes(a))
		}
	}
	if seen == 0 {
		return 0, from
	}
	share = float64(seen) / float64(expected)
	if wExpected > 0 {
		share = math.Min(share, wSeen/wExpected)
	}
	// A step in which the first series began late is short, whatever its series say.
	return math.Min(share, float64(m.union(a, b))/float64(b-a)), a
}

// union is how long at least one series was observed, at most: the widest single one.
func (m *meter) union(a, b int64) (widest int64) {
	for _, s := range m.series {
		_, o := s.observed(a, b)
		if widest = max(widest, o); widest == b-a {
			break
		}
	}
	return widest
}

// resumes is when s is observed again after a.
func (s *series) resumes(a int64) int64 {
	at := max(a, s.first)
	for _, g := range s.gaps {
		if g.from <= at && at < g.to {
			at = g.to
		}
	}
	return at
}

// at is a sample's time.
func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// fading is a sum that forgets.
type fading struct {
	at int64
	v  float64
}

// fade leaves of it what is left at a time; after so many ms it counts 1/e.
func (f *fading) fade(at int64, over float64) {
	if at > f.at {
		if f.v != 0 {
			f.v *= math.Exp(-float64(at-f.at) / over)
		}
		f.at = at
	}
}
