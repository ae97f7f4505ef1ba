package backtest

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
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

	owner *owner // of what is read of it; nil: nothing is
	// Of the cut:
	blocks   []block
	silences []silence
	said     []said
	told     []exchange.Contribution
	next     int // of said, when it is handed on
}

// block is what some of its series have at the same times, and how much of it was heard.
type block struct {
	evaluate.Block
	*sheet
	next int
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

// watch has the tenant live through a cut. heard is what its runs are.
func (s *subject) watch(c *cut, heard []*known) {
	s.said, s.told, s.next = s.said[:0], s.told[:0], 0
	silences, due := s.silences, s.lay(heard)
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

// lay lays out what was sent in the cut, and says when the first sample was.
func (s *subject) lay(heard []*known) (first int64) {
	s.blocks, first = s.blocks[:0], math.MaxInt64
	if s.owner == nil {
		return first
	}
	for i := range s.owner.sheets {
		x := &s.owner.sheets[i]
		if i < cap(s.blocks) { // take the buffers of one that is over
			s.blocks = s.blocks[:i+1]
		} else {
			s.blocks = append(s.blocks, block{})
		}
		b := &s.blocks[i]
		b.sheet, b.next, b.Refs = x, x.from, b.Refs[:0]
		for _, run := range x.runs {
			b.Refs = append(b.Refs, heard[run].ref)
		}
		if x.from < x.to {
			first = min(first, x.t[x.from])
		}
	}
	return first
}

// hear takes what was sent before end, and says when the next sample was.
func (s *subject) hear(now time.Time, end int64) (next int64) {
	next = math.MaxInt64
	for i := range s.blocks {
		b := &s.blocks[i]
		for ; b.next < b.to && b.t[b.next] < end; b.next++ {
			s.engine.AppendBlock(now, &b.Block, b.t[b.next], b.at(b.next))
		}
		if b.next < b.to {
			next = min(next, b.t[b.next])
		}
	}
	return next
}
