package evaluate

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/sli"
)

// always says whether a rule of m wants the slice judged whatever its volume.
func (m *meter) always(d sli.Dim) bool {
	for _, r := range m.rules {
		for _, a := range r.Always {
			if a.Label == d.Label && strings.EqualFold(a.Value, d.Value) {
				return true
			}
		}
	}
	return false
}

// judgedAtMost is how many values of a label the rules in force allow: the most that
// one of them names, else what is usual.
func judgedAtMost(rules []placed, usual int) int {
	most := 0
	for _, r := range rules {
		if r.place != inShadow {
			most = max(most, r.Slices)
		}
	}
	return cmp.Or(most, usual)
}

// rebalance chooses which values of each dimension are judged: those with the
// most volume. What fires keeps its place.
func (m *meter) rebalance(at int64, maxSlices int) {
	if m.balanced == 0 {
		m.balanced = at
		return
	}
	if at-m.balanced < rebalanceEvery {
		return
	}
	fade := math.Exp(-float64(at-m.balanced) / volumeFades)
	m.balanced = at
	m.settle()
	defer m.chooseEdges(at)
	for _, c := range m.cells {
		c.volume *= fade
	}
	for _, label := range m.spec.Slices {
		m.rebalanceLabel(label, maxSlices)
	}
}

// mayChange says whether the judged slices of a label may be others: there are more, or too
// many of them.
func (m *meter) mayChange(label string, most int) bool {
	values := 0
	for _, c := range m.cells {
		if len(c.slice) != 1 || c.slice[0].Label != label {
			continue
		}
		if values++; !c.judged && c.volume > 0 {
			return true
		}
	}
	return values > most
}

func (m *meter) rebalanceLabel(label string, maxSlices int) {
	if !m.mayChange(label, maxSlices) {
		return
	}
	var in, out []*cell
	for _, c := range m.cells {
		if len(c.slice) == 1 && c.slice[0].Label == label {
			if c.judged {
				in = append(in, c)
			} else if c.volume > 0 {
				out = append(out, c)
			}
		}
	}
	most := func(a, b *cell) int {
		return cmp.Or(cmp.Compare(b.volume, a.volume), cmp.Compare(a.slice[0].Value, b.slice[0].Value))
	}
	slices.SortFunc(in, most)
	slices.SortFunc(out, most)
	in, room := m.atMost(in, maxSlices)
	for _, c := range out {
		if room > 0 {
			m.judge(c)
			in = append(in, c)
			slices.SortFunc(in, most)
			room--
			continue
		}
		i := len(in) - 1
		for i >= 0 && (in[i].busy() || m.always(in[i].slice[0])) {
			i--
		}
		if i < 0 || c.volume < challenge*in[i].volume {
			return
		}
		m.giveUp(in[i])
		m.judge(c)
		in = append(slices.Delete(in, i, i+1), c)
		slices.SortFunc(in, most)
	}
}

// atMost gives up the judged cells of a label that are too many since the tenant's
// rules allow fewer: the smallest first, none that fires. Those that a feature names
// do not count. It says how many more there may be.
func (m *meter) atMost(in []*cell, most int) (kept []*cell, room int) {
	free := slices.DeleteFunc(slices.Clone(in), func(c *cell) bool { return m.always(c.slice[0]) })
	room = most - len(free)
	for i := len(free) - 1; i >= 0 && room < 0; i-- {
		if !free[i].busy() {
			m.giveUp(free[i])
			room++
		}
	}
	return slices.DeleteFunc(in, func(c *cell) bool { return !c.judged }), room
}

// giveUp ends that a cell is judged.
func (m *meter) giveUp(c *cell) {
	m.recount()
	c.judged, c.base, c.watches, c.latency, c.share, c.mix, c.healed, c.people, c.lent = false, nil, nil, nil, nil, mix{}, 0, nil, nil
}

// busy says whether an alert of the cell stands or is about to.
func (c *cell) busy() bool {
	for _, w := range c.watches {
		if w.rings() || w != nil && !w.trial && w.Raised != nil {
			return true
		}
	}
	return false
}
