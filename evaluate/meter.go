package evaluate

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/season"
	"github.com/tocsin-alerting/tocsin/detect/trail"
	"github.com/tocsin-alerting/tocsin/sli"
)

const (
	knownValues    = 64        // values of one dimension whose volume is followed; the rest share "other"
	rebalanceEvery = 300_000   // ms of event time between choices of the judged slices
	volumeFades    = 6 * 3.6e6 // ms after which volume counts 1/e in that choice
	challenge      = 1.25      // how much more volume than a judged slice takes its place
)

// meter counts one SLI of one tenant in one environment: its series, the steps
// that are still open, and its cells.
type meter struct {
	env    string
	spec   sli.Spec // Slices: of all rules that share the SLI, sorted
	id     sli.ID
	beside sli.ID // of the SLI's other source; empty: there is none
	series []*series
	cells  []*cell // the total first
	byDim  map[sli.Dim]int
	groups map[uint64]*group // of a histogram's buckets, by their labels without le
	others map[string]int    // label to the cell of what is beyond knownValues
	rules  []*ruleState

	base     int64 // the shortest step, ms
	length   int64 // of a step now, ms: a multiple of base
	next     int64 // start of the oldest open step; 0 before the first count
	newest   int64 // newest sample time
	received int64 // newest receive time, ms
	lulls    lulls
	chance   since // derived
	marks    []mark
	open     []pending // by at, oldest first; a step without counts has none
	lanes    []lane    // what series count in; derived
	byLane   map[string]int

	edgesMoved bool // senders have other bucket edges than when edges were chosen

	flow *flow // nil where no rule asks for it

	learned   int64 // ms of observed event time
	liveSeen  bool  // a step has been judged live
	balanced  int64 // event time of the last choice of slices
	lastClose int64 // end of the newest closed step
	kept      kept  // of events that stand for more than themselves
	recent    []closed
	tempo     tempo
	trail     *trail.Trail   // of its combinations; nil where somebody says who fails
	witness   witness        // of the trail
	day       lastDay        // of the total's events
	joints    map[string]int // combinations to their cells
	fades     [2]float64     // of a step as long as fadesOf
	lateFade  float64
	fadesOf   int64
	judging   []int                   // the judged cells; derived, none: to be made
	combos    []combo                 // derived, as well
	clock     int64                   // ms that combinations were observed while nothing rang
	was       [2 * recentSteps]closed // what recent moves through
	still                             // of what cells are left alone of
	holds     []bool                  // cells that do not learn the newest step
	held      []float64               // how much of it is of combinations that do not
	resolving bool                    // series are resolved anew: what is found then is not newborn
}

// cell is one slice of a meter; the empty slice is the total. What every step touches
// comes first: at thousands of tenants a step's cost is that of the memory it touches.
type cell struct {
	base    *detect.Baseline
	watches []*watch      // one per rule of the meter; nil where the rule does not cut so
	since   int64         // what the meter had learned when it began to be judged
	latency *latency      // of a histogram's
	people  *people       // who fails; nil where nobody says
	lent    *people       // the same as the spans beside say it, where people does not; derived
	fails   fading        // failures of late, where spans beside may say whose they are
	healed  int64         // end of the newest fault, ms
	mix     mix           // what its combinations make one expect
	share   *season.Share // of the total's volume, where traffic is judged; not the total's own
	judged  bool
	sending bool // its last contribution held events

	slice  sli.Slice
	other  string  // for the values of this label beyond knownValues; never judged
	refs   int     // series that count in it
	volume float64 // events, fading; the newest are owed: see still
	joint  *joint  // it stands for a combination
}

// mark says when sample times first reached t.
type mark struct{ t, received int64 }

// setSpec says what is counted, in steps of at least base (ms); the ID stays.
func (m *meter) setSpec(spec sli.Spec, base int64) {
	m.spec, m.base, m.beside = spec, base, ""
	if spec.Beside != nil {
		m.beside = spec.Beside.ID()
	}
}

func newMeter(env string, spec sli.Spec, base int64) *meter {
	m := &meter{env: env, spec: spec, id: spec.ID(), base: base, length: base,
		byDim: map[sli.Dim]int{}, groups: map[uint64]*group{}, joints: map[string]int{}, byLane: map[string]int{}, others: map[string]int{}}
	m.scale, m.stale, m.troubled, m.astir = [2]float64{1, 1}, true, true, true
	m.setSpec(spec, base)
	m.addCell(nil)
	return m
}

func (m *meter) addCell(s sli.Slice) int {
	m.stale = true
	m.cells = append(m.cells, &cell{slice: s, judged: len(s) == 0})
	i := len(m.cells) - 1
	if m.cells[i].judged {
		m.judge(m.cells[i])
	}
	return i
}

// cellFor finds or makes the cell of one dimension; beyond knownValues a cell
// nobody counts in any more gives way, else the value joins the others.
func (m *meter) cellFor(d sli.Dim, maxSlices int) int {
	if i, ok := m.byDim[d]; ok {
		return i
	}
	known, judged, free := 0, 0, -1
	for i, c := range m.cells {
		if len(c.slice) != 1 || c.slice[0].Label != d.Label {
			continue
		}
		known++
		if c.judged {
			judged++
		} else if c.refs == 0 && free < 0 {
			free = i
		}
	}
	i := free
	switch {
	case known < knownValues, free < 0 && m.always(d):
		i = m.addCell(sli.Slice{d})
	case free >= 0:
		m.disturb()
		delete(m.byDim, m.cells[free].slice[0])
		for r := range m.recent {
			m.recent[r].cells = slices.DeleteFunc(m.recent[r].cells, func(c contributed) bool { return c.cell == free })
		}
		m.cells[free] = &cell{slice: sli.Slice{d}}
		m.part(free)
	default:
		if o, ok := m.others[d.Label]; ok {
			return o
		}
		m.cells = append(m.cells, &cell{other: d.Label})
		m.recount()
		m.others[d.Label] = len(m.cells) - 1
		return len(m.cells) - 1
	}
	m.byDim[d] = i
	m.recount() // a second value makes a slice of the first
	if judged < maxSlices || m.always(d) {
		m.judge(m.cells[i])
	}
	return i
}

// judge gives a cell a baseline and detectors.
func (m *meter) judge(c *cell) {
	m.recount()
	m.disturb()
	c.judged, c.since = true, m.learned
	c.base = &detect.Baseline{}
	if c.latency = nil; m.spec.Histogram != "" {
		c.latency = &latency{}
	}
	c.watches = make([]*watch, len(m.rules))
	for i, r := range m.rules {
		if r.Cuts(c.slice) {
			c.watches[i] = &watch{trial: r.place == inShadow}
		}
	}
}

// note remembers when the samples first reached a time.
func (m *meter) note(t, received int64) {
	if gap := received - m.received; m.received > 0 && gap >= lullFrom {
		m.lulls.ended(received, gap)
	}
	m.received = max(m.received, received)
	if t <= m.newest {
		return
	}
	m.newest = t
	if n := len(m.marks); n > 0 && m.marks[n-1].received == received {
		m.marks[n-1].t = t
		return
	}
	if len(m.marks) >= 128 {
		m.marks = slices.Delete(m.marks, 0, 1)
	}
	m.marks = append(m.marks, mark{t, received})
}

// forgetMarks drops the marks that no open step waits for, and keeps their room.
func (m *meter) forgetMarks() {
	old := 0
	for old < len(m.marks)-1 && m.marks[old].t < m.next {
		old++
	}
	m.marks = slices.Delete(m.marks, 0, old)
}

// closable says whether the step that ends at end is complete, or has waited
// long enough; seen is the receive time (ms) that decided so, due when it will.
func (m *meter) closable(end, now, patience int64) (ok, forced bool, seen, due int64) {
	if m.newest < end {
		return false, false, 0, 0
	}
	if !m.waits(end) {
		return true, false, m.received, 0
	}
	due = m.received
	for _, k := range m.marks {
		if k.t >= end {
			due = k.received
			break
		}
	}
	due += patience
	return now >= due, true, due, due
}
