package evaluate

import (
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
)

// tellAfter is how much time a tenant's volume is summed up over before the pool is told.
const tellAfter = 60_000

// summed is what came in the cells since the pool was told last.
type summed struct {
	start, end int64
	cells      []cellSum // by cell
}

type cellSum struct{ n, expected float64 }

// tellFlow sums up the volume of single dimensions and tells the pool once a minute. What
// is told is what is usual at the hour of the week: factors and calendar are not in it.
// Hours that are not known tell nothing.
func (ts *tenantState) tellFlow(m *meter, step detect.Step, n []float64, live bool, out *Output) {
	f := m.flow
	if f == nil || len(m.cells) < 2 || ts.youngFlow(m) {
		return
	}
	x := &f.summed
	now := f.at(ts.zone, step.Start)
	if !f.season.Seen(now.Slot) {
		*x = summed{cells: x.cells[:0]}
		return
	}
	if len(x.cells) == 0 {
		x.start = step.Start
	}
	for len(x.cells) < len(m.cells) {
		x.cells = append(x.cells, cellSum{})
	}
	minutes := step.Coverage * float64(step.End-step.Start) / 60_000
	for _, ci := range m.judging {
		c := m.cells[ci]
		if ci == 0 || c.share == nil {
			continue
		}
		expected := now.Expected * minutes * c.part(now.Slot)
		if expected <= 0 || n[ci] < farBelow*expected && !m.fresh(ci, step.Start, step.End) {
			continue
		}
		x.cells[ci].n, x.cells[ci].expected = x.cells[ci].n+n[ci], x.cells[ci].expected+expected
	}
	x.end = step.End
	if x.end/tellAfter == x.start/tellAfter {
		return
	}
	for _, r := range m.rules {
		if r.Kind != rule.Traffic || r.place == inShadow {
			continue
		}
		for ci, c := range x.cells {
			slice := m.cells[ci].slice
			if c.expected <= 0 || !m.cells[ci].judged || m.cells[ci].share == nil || len(slice) != 1 || !r.Cuts(slice) {
				continue
			}
			out.Contributions = append(out.Contributions, exchange.Contribution{Origin: ts.origin(m, r), Slice: slice,
				Step: detect.Step{Start: x.start, End: x.end, N: c.n, Coverage: 1}, Expected: c.expected, Live: live})
		}
	}
	*x = summed{cells: x.cells[:0]}
}
