package evaluate

import (
	"encoding/binary"
	"slices"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/trail"
)

// A slice is one dimension's view of what really differs: the combinations of all
// dimensions (card through alpha in DE). Each combination has a usual ratio of its own,
// so that of any slice, and of the total, it can be told what its mix makes one expect.
// Opting in to a method that fails more, at one acquirer of several, then alarms
// neither the acquirer nor the total nor the method.

const (
	maxJoints = trail.Most // combinations of one meter that are told apart; the rest is expected to be as its slices are
	// What a combination that was born less than a day ago may fail without being a
	// fault of what it is part of: this many times what is usual of the total, and at
	// least that much.
	newbornTimes = 5
	newbornLeast = 0.15
	// heldShare is the part of a cell's step from combinations that ring elsewhere from
	// which on the cell does not learn the step.
	heldShare = 0.05
)

// joint is one combination, kept as a cell that is not judged.
type joint struct {
	base  detect.Baseline
	cells []int // of the meter: the total and a slice of each dimension
	since int64 // what the meter's clock showed when it had learned nothing
}

// combo is a combination with its place.
type combo struct {
	at int
	*joint
	usual   float64 // its usual ratio; derived
	newborn bool    // it may have been younger than a day when usual was worked out
}

// combinations are those of a meter; derived.
func (m *meter) combinations() []combo {
	if len(m.combos) == 0 && len(m.joints) > 0 {
		for i, c := range m.cells {
			if c.joint != nil {
				m.combos = append(m.combos, combo{at: i, joint: c.joint})
			}
		}
	}
	return m.combos
}

func jointKey(cells []int) string {
	var b []byte
	for _, c := range cells {
		b = binary.AppendUvarint(b, uint64(c)) //nolint:gosec // an index
	}
	return string(b)
}

// jointFor finds or makes the combination of cells; false where there are too many.
// One that is found when the series are resolved anew is not newborn.
func (m *meter) jointFor(cells []int, youngFor int64) (int, bool) {
	key := jointKey(cells)
	if i, ok := m.joints[key]; ok {
		return i, true
	}
	j := &joint{cells: slices.Clone(cells), since: m.clock}
	if m.resolving && m.learned > 0 {
		j.since -= youngFor
	}
	m.combos = m.combos[:0]
	m.disturb()
	i := -1
	if len(m.joints) >= maxJoints {
		for at, c := range m.cells {
			if c.joint != nil && c.refs == 0 {
				i = at
				break
			}
		}
		if i < 0 {
			return 0, false
		}
		delete(m.joints, jointKey(m.cells[i].joint.cells))
		m.cells[i], m.trail = &cell{joint: j}, nil
	} else if i = slices.IndexFunc(m.cells, (*cell).vacant); i >= 0 {
		m.cells[i] = &cell{joint: j}
	} else {
		m.cells = append(m.cells, &cell{joint: j})
		i = len(m.cells) - 1
	}
	m.joints[key] = i
	return i, true
}

// vacant says whether the cell was a combination of what is no longer there.
func (c *cell) vacant() bool {
	return c.joint == nil && len(c.slice) == 0 && c.other == "" && !c.judged && c.refs == 0
}

// part forgets the combinations of a cell that gives way to another.
func (m *meter) part(ci int) {
	m.disturb()
	for i, c := range m.cells {
		if c.joint != nil && slices.Contains(c.joint.cells, ci) {
			delete(m.joints, jointKey(c.joint.cells))
			m.cells[i], m.trail, m.combos = &cell{}, nil, m.combos[:0]
		}
	}
}

// explained is what the combinations of a cell make one expect of a step.
type explained struct{ volume, expected float64 }

// explain works out what the step's mix makes one expect of each cell.
func (m *meter) explain(n, k []float64, youngFor int64) {
	clear(m.desk.mixed)
	for i := range m.combos {
		j := &m.combos[i]
		came := n[j.at]
		if came <= 0 {
			continue
		}
		expected := came * j.usual
		if j.newborn {
			expected = m.expectedOfNewborn(j, came, k[j.at], youngFor)
		}
		for _, at := range j.cells {
			x := &m.desk.mixed[at]
			x.volume, x.expected = x.volume+came, x.expected+expected
		}
	}
}

// expectedOfNewborn is how many failures a combination makes one expect that may have
// learned for less than a day.
func (m *meter) expectedOfNewborn(j *combo, n, k float64, youngFor int64) float64 {
	if m.clock-j.since >= youngFor {
		return n * j.usual
	}
	return min(k, n*m.newborn)
}

func (m *meter) jointPrior() detect.Parameters {
	for _, r := range m.rules {
		if r.Kind.Ratio() {
			return detect.Parameters{Prior: r.Prior}
		}
	}
	return detect.Parameters{}
}

// expected is how many failures of the cell's step its mix makes one expect, where its
// own usual ratio is usual.
func (m *meter) expected(ci int, n, usual float64) float64 {
	x := &m.desk.mixed[ci]
	return x.expected + max(0, n-x.volume)*usual
}

// touched calls f for what shares combinations with a cell: those, and their cells.
func (m *meter) touched(ci int, f func(*detect.Baseline)) {
	m.disturb()
	f(m.cells[ci].base)
	f(m.cells[0].base)
	for _, c := range m.cells {
		if c.joint == nil || !slices.Contains(c.joint.cells, ci) {
			continue
		}
		f(&c.joint.base)
		for _, at := range c.joint.cells {
			if base := m.cells[at].base; base != nil {
				f(base)
			}
		}
	}
}

// learnJoints teaches the combinations nothing of which rings, and says for each cell
// how much of its step is of the others.
// any says that some cell holds back.
func (m *meter) learnJoints(step detect.Step, n, k []float64, any bool) (held []float64) {
	holds := m.holds
	if any {
		held = slices.Grow(m.held[:0], len(m.cells))[:len(m.cells)]
		m.held = held
		clear(held)
	}
	spent := int64(step.Coverage * float64(step.End-step.Start))
	hour, seconds := step.Start/hourMs, step.Coverage*float64(step.End-step.Start)/1000
	if !holds[0] {
		m.clock += spent
	}
	for _, j := range m.combos {
		if any && slices.ContainsFunc(j.cells, func(at int) bool { return at > 0 && holds[at] }) {
			for _, at := range j.cells {
				held[at] += n[j.at]
			}
			if !holds[0] {
				j.since += spent
				m.settled += spent
			}
			m.withhold(&j.base, step, n[j.at], k[j.at])
			continue
		}
		if holds[0] {
			m.withhold(&j.base, step, n[j.at], k[j.at])
			continue
		}
		m.observe(&j.base, step, hour, seconds, n[j.at], k[j.at])
	}
	return held
}

// observe has a baseline learn a step that was observed for so many seconds of an hour.
func (m *meter) observe(b *detect.Baseline, step detect.Step, hour int64, seconds, n, k float64) {
	if b.Add(hour, n, min(k, n), seconds) {
		return
	}
	step.N, step.K = n, k
	was := b.Version()
	b.Observe(step)
	m.stale = m.stale || b.Version() != was
}

// withhold keeps a step from a baseline. What had been put back of the hour is taken out
// again.
func (m *meter) withhold(b *detect.Baseline, step detect.Step, n, k float64) {
	step.N, step.K = n, k
	was := b.Version()
	b.Withhold(step)
	m.stale = m.stale || b.Version() != was
}

// joint codes a combination.
func (c *coder) joint(m *meter, j *joint) {
	checkpoint.List(c.Coder, &j.cells, c.Small)
	learned := m.clock - j.since
	c.Int(&learned)
	j.since = m.clock - learned
	c.State(&j.base)
}
