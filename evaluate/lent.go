package evaluate

import "math"

// A tenant's failures may be counted by metrics, which do not say whose they are, while its
// spans do. What those say is lent to the cells of the same slices: the share of failures
// that counts.

const (
	lentFade = 180_000 // ms over which that share is taken
	lentFrom = 0.5     // of the failures that metrics count must be seen by spans
)

// lend works out who says for each judged cell of a step that ends at end whose its k
// failures are, where it does not say it itself.
func (ts *tenantState) lend(m *meter, start, end int64, k []float64) {
	if m.beside == "" || ofEvents(m.spec) || len(ts.sources) == 0 {
		return
	}
	from := ts.besideOf(m)
	for _, ci := range m.judgedCells() {
		c := m.cells[ci]
		c.fails.fade(end, lentFade)
		c.fails.v += k[ci]
		if c.lent = nil; from == nil || c.people.informs(start, ts.o.LiveFor.Milliseconds()) {
			continue
		}
		if x := from.of(c); x.informs(start, ts.o.LiveFor.Milliseconds()) && x.sees(end) >= lentFrom*c.fails.v {
			c.lent = x
		}
	}
}

// besideOf is the meter of the spans beside m; nil when there is none.
func (ts *tenantState) besideOf(m *meter) *meter {
	for _, o := range ts.meters {
		if o.id == m.beside && o.env == m.env && ofEvents(o.spec) {
			return o
		}
	}
	return nil
}

// of is what m knows of who fails in the slice of another meter's cell.
func (m *meter) of(c *cell) *people {
	switch len(c.slice) {
	case 0:
		return m.cells[0].people
	case 1:
		if i, ok := m.byDim[c.slice[0]]; ok {
			return m.cells[i].people
		}
	}
	return nil
}

// weighs adds n failures of which so many may count.
func (x *people) weighs(at int64, n, worth float64) {
	x.seen.fade(at, lentFade)
	x.worth.fade(at, lentFade)
	x.seen.v, x.worth.v = x.seen.v+n, x.worth.v+worth
}

// sees is how many failures it saw of late, at a time.
func (x *people) sees(at int64) float64 {
	return x.seen.v * math.Exp(-float64(max(0, at-x.seen.at))/lentFade)
}

// counts is the share of failures that are evidence, and no retries.
func (x *people) counts() float64 {
	if x.seen.v <= 0 {
		return 1
	}
	return math.Min(1, x.worth.v/x.seen.v)
}

// who is what is known of who fails in the cell; nil where nothing says it.
func (c *cell) who(start, alive int64) *people {
	if c.people.informs(start, alive) {
		return c.people
	}
	return c.lent
}

// calm notes that nothing is suspected: what will be begins here.
func (c *cell) calm() {
	for _, x := range []*people{c.people, c.lent} {
		if x != nil {
			x.begin()
		}
	}
}
