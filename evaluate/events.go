package evaluate

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Events are the second way in: they carry their own time and are no counters.
// There is no series whose silence could be told from its rest, so liveness is
// the source's: a step in which the tenant's source sent spans, whosever, was
// observed, and without any of the tenant's it is a step without traffic. A step
// in which the source sent nothing is no data. Steps are 10 s and close 30 s after
// their end, by the time of receipt.

const (
	maxSources   = 16      // of one tenant
	maxActive    = 8640    // steps of a source that wait to be closed: a day
	densityFades = 30      // steps over which a source's regularity is learned
	weightFades  = 600_000 // ms after which a tenant's events by a source count 1/e
)

// Event is N events of one series that ended at T (unix ms). Weight is how many
// they stand for where most were not kept; 0 means N. Of failures, Named of N say that
// they are of Customers, which is not kept.
type Event struct {
	T         int64
	N, Weight float64
	Named     float64
	Customers *crowd.Crowd
}

// source is who sends a tenant's events, and when it was heard.
type source struct {
	name    string
	weight  fading  // the tenant's events by it
	active  []int64 // starts of the steps it was heard in that are not closed, sorted
	last    int64   // end of the newest of all
	density float64 // share of the steps, of late, in which it was heard
}

func ofEvents(s sli.Spec) bool { return s.Source == sli.Spans }

// baseOf is the shortest step of what an SLI counts, in ms.
func (o Options) baseOf(s sli.Spec) int64 {
	if ofEvents(s) {
		return o.SpanStep.Milliseconds()
	}
	return o.Step.Milliseconds()
}

// AddEvents takes events of one series that the source sent. As with Add,
// receivedAt is when the record that holds them was accepted, Advance comes
// before, and what matches no rule is ignored. ls is kept, events is not.
func (e *Engine) AddEvents(receivedAt time.Time, id tenant.ID, from string, ls labels.Labels, events []Event) {
	ts := e.tenants[id]
	if ts == nil || !ts.watched || len(events) == 0 {
		return
	}
	s := ts.lookup(ls, len(events), true)
	if s == nil {
		return
	}
	received := receivedAt.UnixMilli()
	for _, ev := range events {
		if ev.T > received+tooFarAhead.Milliseconds() || ev.T <= 0 || !(ev.N >= 0) || ev.N > mostValue {
			ts.refusedSamples++
			continue
		}
		if ev.N == 0 {
			continue // a histogram's edge that nothing was below
		}
		if !(ev.Weight > 0) || ev.Weight > mostValue {
			ev.Weight = ev.N
		}
		ts.happened(s, from, ev, received)
	}
	ts.heard(received)
	e.touch(ts)
}

func (e *Engine) touch(ts *tenantState) {
	if !ts.dirty {
		ts.dirty = true
		e.dirty = append(e.dirty, ts)
	}
}

// Heard says in which steps (their starts, unix ms) a source sent spans, whosever
// they are. Saying it again is harmless. It comes before the AddEvents of the same
// record.
func (e *Engine) Heard(receivedAt time.Time, from string, steps []int64) {
	received := receivedAt.UnixMilli()
	for _, id := range e.ids {
		ts := e.tenants[id]
		if s := ts.source(from, false); s != nil && ts.watched {
			for _, start := range steps {
				if start <= received+tooFarAhead.Milliseconds() {
					ts.mark(s, start, received)
				}
			}
			if received >= ts.lastReceived { // not when a record is read again
				ts.heard(received)
			}
			e.touch(ts)
		}
	}
}

// Counts says whether some SLI of the tenant counts the metric by events.
func (e *Engine) Counts(id tenant.ID, metric string) bool {
	ts := e.tenants[id]
	return ts != nil && ts.watched && slices.ContainsFunc(ts.specs, func(s sli.Spec) bool { return ofEvents(s) && s.Metric == metric })
}

// Sources lists the names of the tenants' sources, sorted.
func (e *Engine) Sources() []string {
	var out []string
	for _, id := range e.ids {
		for _, s := range e.tenants[id].sources {
			out = append(out, s.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// source finds a source of the tenant, or makes it; the one silent for longest
// makes room.
func (ts *tenantState) source(name string, make bool) *source {
	for _, s := range ts.sources {
		if s.name == name {
			return s
		}
	}
	if !make {
		return nil
	}
	if len(ts.sources) >= maxSources {
		oldest := 0
		for i, s := range ts.sources {
			if s.last < ts.sources[oldest].last {
				oldest = i
			}
		}
		ts.sources = slices.Delete(ts.sources, oldest, oldest+1)
	}
	s := &source{name: name, density: 1}
	ts.sources = append(ts.sources, s)
	return s
}

// happened counts an event in the meters of its series.
func (ts *tenantState) happened(s *series, from string, ev Event, received int64) {
	step := ts.o.SpanStep.Milliseconds()
	src := ts.source(from, true)
	src.weight.fade(ev.T, weightFades)
	src.weight.v += ev.N
	ts.newest = max(ts.newest, ev.T)
	s.t = max(s.t, ev.T)
	for i, u := range s.uses {
		late := u.m.spread(u, ev.N, ev.T, ev.T+1)
		if i == 0 {
			ts.lateEvents += late
		}
		if u.names {
			ts.failed(u, ev.N, ev.named(), ev.Customers, ev.T, late > 0)
		}
		if !u.whole() {
			continue
		}
		for _, c := range u.cells {
			u.m.cells[c].volume += ev.Weight
		}
		u.m.kept.add(u.bad, ev)
	}
	ts.mark(src, ev.T/step*step, received)
}

// mark notes that the source was heard in the step that starts at start.
func (ts *tenantState) mark(s *source, start, received int64) {
	step := ts.o.SpanStep.Milliseconds()
	oldest := int64(never)
	for _, m := range ts.meters {
		if ofEvents(m.spec) {
			m.note(start+step, received)
			if m.next != 0 {
				oldest = min(oldest, m.next)
			}
		}
	}
	if end := start + step; end > s.last {
		if idle := (start - s.last) / step; s.last > 0 && idle*step <= ts.o.LiveFor.Milliseconds() {
			s.density *= math.Pow(1-1./densityFades, float64(idle))
		}
		s.density += (1 - s.density) / densityFades
		s.last = end
	}
	if start < oldest {
		return
	}
	if i, found := slices.BinarySearch(s.active, start); !found && len(s.active) < maxActive {
		s.active = slices.Insert(s.active, i, start)
	}
}

// observedOf is the share of the step at start in which the tenant's sources were
// heard, by what each usually brings. One that is often silent for a step is
// missed only as far as it usually speaks.
func (ts *tenantState) observedOf(start int64) float64 {
	var expected, seen float64
	for _, s := range ts.sources {
		if _, found := slices.BinarySearch(s.active, start); found {
			expected, seen = expected+s.weight.v, seen+s.weight.v
		} else if s.last > start-ts.o.LiveFor.Milliseconds() {
			expected += s.weight.v * s.density
		}
	}
	if seen == 0 {
		return 0
	}
	return math.Min(1, seen/expected)
}

// heardAgain is the start of the first step from start on in which a source was
// heard.
func (ts *tenantState) heardAgain(start int64) int64 {
	next := int64(never)
	for _, s := range ts.sources {
		if i, _ := slices.BinarySearch(s.active, start); i < len(s.active) {
			next = min(next, s.active[i])
		}
	}
	return next
}

// closeEvents closes the steps of m that ended Options.Close ago, as far as a
// source was heard since: what lies behind that is not known yet. After a silence
// its steps wait as long from when the source is back, so that what it kept is
// counted.
func (ts *tenantState) closeEvents(m *meter, now int64, out *Output) {
	m.length = m.base
	m.next = m.next / m.base * m.base
	patience := ts.o.Close.Milliseconds()
	for m.newest >= m.next+m.base {
		end := m.next + m.base
		due := end
		if i := slices.IndexFunc(m.marks, func(k mark) bool { return k.t >= end }); i >= 0 {
			due = max(due, m.marks[i].received)
		}
		if due += patience; now < due {
			ts.due = min(ts.due, due)
			break
		}
		share := ts.observedOf(m.next)
		if share >= halfCovered {
			m.grow(m.next, ts.o.LiveFor.Milliseconds())
		}
		ts.closeStep(m, m.next, end, share, due, out)
		m.next = end
		if again := ts.heardAgain(end); share == 0 && again != never && again > end && len(m.open) == 0 {
			m.next = again / m.base * m.base // nothing was heard in between
		}
	}
	m.forgetMarks()
	ts.forgetSteps()
}

// grow lets the time between two observed steps count for the tenant's age: a
// source that speaks now and then is known as long as one that always does.
func (m *meter) grow(start, most int64) {
	for i := len(m.recent) - 1; i >= 0; i-- {
		if d := m.recent[i]; d.step.Coverage >= halfCovered {
			if idle := start - d.step.End; idle > 0 && idle <= most {
				m.learned += idle // and with it every cell
			}
			return
		}
	}
}

// forgetSteps drops what every meter has closed.
func (ts *tenantState) forgetSteps() {
	oldest := int64(never)
	for _, m := range ts.meters {
		if ofEvents(m.spec) && m.next != 0 {
			oldest = min(oldest, m.next)
		}
	}
	for _, s := range ts.sources {
		i, _ := slices.BinarySearch(s.active, oldest)
		s.active = slices.Delete(s.active, 0, i)
	}
}

// sources codes what is kept of events, behind the rest of a tenant's state.
func (c *coder) sources(ts *tenantState) {
	checkpoint.List(c.Coder, &ts.sources, func(s **source) {
		if c.Reading() {
			*s = &source{}
		}
		v := *s
		c.Text(&v.name)
		c.Ints(&v.weight.at, &v.last)
		c.Floats(&v.weight.v, &v.density)
		checkpoint.List(c.Coder, &v.active, func(at *int64) { c.Int(at) })
	})
	if c.Err() != nil {
		return
	}
	for _, s := range ts.series {
		c.Bools(&s.events)
	}
	for _, m := range ts.meters {
		k := &m.kept
		for _, f := range []*fading{&k.good, &k.goodWeight, &k.bad, &k.badWeight, &k.now, &k.nowWeight} {
			c.Int(&f.at)
			c.Floats(&f.v)
		}
	}
}
