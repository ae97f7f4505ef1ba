package evaluate

import (
	"math"

	"github.com/tocsin-alerting/tocsin/sli"
)

// Who fails is worth more than how often: one customer who tries again and again is no
// fault. Where a counter of failing customers comes, failures count as far as they are
// of many.

const (
	perCustomer = 1.5     // failures of one newly failing customer that count: a fault has people try again, and what usual failures leave must not be room for one who tries on and on
	peopleFade  = 300_000 // ms after which what is left of that counts 1/e
)

// people is what is known of who fails in a cell.
type people struct {
	credit fading  // failures that may still count
	heard  int64   // time of the newest sample that says so
	total  float64 // customers so far
	before float64 // the same when the suspicion began
	k      float64 // failures of the newest step that count; derived
}

// resolveCustomers has the series count in the cells of its labels.
func (ts *tenantState) resolveCustomers(s *series, spec sli.Spec, env string) {
	m := ts.meter(env, spec)
	if m == nil {
		return
	}
	u := &use{m: m, who: true, cells: []int{0}}
	for _, label := range spec.Slices {
		if v := s.ls.Get(label); v != "" {
			u.cells = append(u.cells, m.cellFor(sli.Dim{Label: label, Value: v}, ts.judged))
		}
	}
	for _, c := range u.cells {
		m.cells[c].refs++
	}
	s.uses = append(s.uses, u)
}

// met takes newly failing customers. What they may fail is theirs from now on: the
// counter may come before the failures or after.
func (m *meter) met(u *use, customers float64, at int64) {
	for _, ci := range u.cells {
		c := m.cells[ci]
		if c.people == nil {
			c.people = &people{}
		}
		x := c.people
		x.credit.fadeBy(at, peopleFade)
		x.credit.v += perCustomer * customers
		x.heard = max(x.heard, at)
		x.total += customers
	}
}

// informs says whether the counter is there: one that went away tells nothing.
func (x *people) informs(start, alive int64) bool { return x != nil && x.heard >= start-alive }

// capFailures works out how many of a step's failures count.
func (ts *tenantState) capFailures(m *meter, end int64, k []float64) {
	for ci, c := range m.cells {
		x := c.people
		if x == nil {
			continue
		}
		x.credit.fadeBy(end, peopleFade)
		x.k = math.Min(k[ci], x.credit.v)
		x.credit.v -= x.k
	}
}

// counted are the events and failures of a step that are evidence: retries are neither.
func (c *cell) counted(n, k float64, start, alive int64) (float64, float64) {
	if !c.people.informs(start, alive) {
		return n, k
	}
	return n - (k - c.people.k), c.people.k
}

// people codes who fails.
func (c *coder) people(x **people) {
	some := *x != nil
	if c.bools(&some); !some {
		return
	}
	if c.reading {
		*x = &people{}
	}
	v := *x
	c.ints(&v.credit.at, &v.heard)
	c.floats(&v.credit.v, &v.total, &v.before)
}
