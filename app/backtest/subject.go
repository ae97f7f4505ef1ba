package backtest

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// subject is one tenant of a replay. It has an engine of its own: what concerns several
// tenants is decided outside of engines, so that each can live through some minutes alone,
// while its state is near, and several at the same time.
type subject struct {
	id     tenant.ID
	engine *evaluate.Engine
	buf    []evaluate.Sample

	// Of the stretch that is being read:
	runs []heardRun
	// Of the cut:
	silences []silence
	said     []said
	told     []evaluate.Contribution
	next     int // of said, when it is handed on
}

// heardRun is a run of one of its series.
type heardRun struct {
	ref  *evaluate.Ref
	run  int               // of the stretch
	rest []recorded.Sample // of the cut
}

// silence is what its source is known to do in a window.
type silence struct {
	window int
	source string
	sources.Silence
}

// said is what came of a window: alerts, and the contributions up to told.
type said struct {
	window int
	alerts []alert.Alert
	told   int
}

// subjects makes one of each tenant, by id.
func subjects(life []event, o evaluate.Options) (out []*subject) {
	for _, e := range life {
		at, found := find(out, e.doc.ID)
		if !found {
			out = slices.Insert(out, at, &subject{id: e.doc.ID, engine: evaluate.New(o)})
		}
	}
	return out
}

func find(list []*subject, id tenant.ID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(s *subject, id tenant.ID) int { return cmp.Compare(s.id, id) })
}

// subject finds a tenant; nil when there is no such.
func (r *Replay) subject(id tenant.ID) *subject {
	if at, found := find(r.subjects, id); found {
		return r.subjects[at]
	}
	return nil
}

// add takes samples of one series that are received now.
func (s *subject) add(now time.Time, ref *evaluate.Ref, xs []recorded.Sample) {
	s.buf = s.buf[:0]
	for _, x := range xs {
		s.buf = append(s.buf, evaluate.Sample{T: x.T, V: x.V})
	}
	s.engine.Append(now, ref, s.buf)
}

// watch has the tenant live through a cut.
func (s *subject) watch(c *cut) {
	s.said, s.told, s.next = s.said[:0], s.told[:0], 0
	silences, due := s.silences, int64(math.MinInt64)
	for i := range s.runs {
		s.runs[i].rest = c.samples[s.runs[i].run]
	}
	for window, end := range c.ends {
		now := time.UnixMilli(end).UTC()
		for ; len(silences) > 0 && silences[0].window == window; silences = silences[1:] {
			s.engine.SourceAlive(s.id, silences[0].source, silences[0].Since, silences[0].Heard)
		}
		out := s.engine.Advance(now)
		s.told = append(s.told, out.Contributions...)
		if len(out.Alerts) > 0 || len(out.Contributions) > 0 {
			s.said = append(s.said, said{window, out.Alerts, len(s.told)})
		}
		if due < end {
			due = s.hear(now, end)
		}
	}
	s.silences = s.silences[:0]
}

// hear takes what was sent before end, and says when the next sample was.
func (s *subject) hear(now time.Time, end int64) (next int64) {
	next = math.MaxInt64
	for i := range s.runs {
		h := &s.runs[i]
		n := 0
		for n < len(h.rest) && h.rest[n].T < end {
			n++
		}
		if n > 0 {
			s.add(now, h.ref, h.rest[:n])
			h.rest = h.rest[n:]
		}
		if len(h.rest) > 0 {
			next = min(next, h.rest[0].T)
		}
	}
	return next
}
