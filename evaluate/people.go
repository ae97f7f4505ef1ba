package evaluate

import (
	"cmp"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Who fails is worth more than how often: one customer who tries again and again is no
// fault. Where a counter of failing customers comes, or failures say whose they are,
// they count as far as they are of many.

const (
	perCustomer = 1.5       // failures of one newly failing customer that count: a fault has people try again, and what usual failures leave must not be room for one who tries on and on
	peopleFade  = 300_000   // ms after which what is left of that counts 1/e
	afresh      = 3_600_000 // ms, by the clock's hours, in which a customer newly fails once
	mostComing  = 1_000     // steps that wait to be judged
)

// people is what is known of who fails in a cell.
type people struct {
	credit fading  // failures that may still count
	heard  int64   // time of the newest sample that says so
	total  float64 // customers so far
	before float64 // the same when the suspicion began
	k      float64 // failures of the newest step that count; derived

	// Where failures say whose they are:
	met             [2]hour // the newest first
	named, nameless fading  // failures of late that say it, and that do not
	anonymous       float64 // failures so far that do not
	unnamed         float64 // the same when the suspicion began
	coming          []coming
	day             daily
	seen, worth     fading // failures of late, and those of them that may count
	paying          paying
}

// coming is what failures of a step that is still open said, from at on.
type coming struct {
	at             int64
	news, nameless float64
}

// hour is who failed in one hour of the clock.
type hour struct {
	number int64 // of hours since the epoch; 0: none yet
	crowd  crowd.Crowd
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

// met takes customers of whom a counter says that they newly failed in (from, to]. What
// they may fail is theirs from the step on in which the first of them may have: the
// counter may come before the failures or after, and after a source's silence the
// counts of many steps come at once.
func (m *meter) met(u *use, customers float64, from, to int64) {
	for _, ci := range u.cells {
		c := m.cells[ci]
		if c.people == nil {
			c.people, m.named = &people{}, true
		}
		c.people.heard = max(c.people.heard, to)
		if customers > 0 {
			c.people.comes(from/m.base*m.base, customers, 0)
		}
	}
}

// namesThem says whether the failures of a series say whose they are, and by whom all of
// them are where its labels say it.
func (m *meter) namesThem(u *use, get func(string) string) (names bool, whose *crowd.Crowd) {
	switch l := m.spec.Customers; {
	case !u.bad || m.spec.Histogram != "" || m.spec.CustomersApart():
		return false, nil
	case l == nil || l.Label == "":
		return ofEvents(m.spec), nil
	default:
		whose = &crowd.Crowd{}
		if v := get(l.Label); v != "" {
			whose.Meet(crowd.Of(v))
		}
		return true, whose
	}
}

// failed takes n failures at a time, so many of which say that they are of these
// customers. Each newly fails once an hour, also when it is said late or again; what is
// late counts in no step any more, and nothing may count in its place.
func (ts *tenantState) failed(u *use, n, named float64, whose *crowd.Crowd, at int64, late bool) {
	for _, ci := range u.cells {
		c := u.m.cells[ci]
		if !c.judged || c.people == nil && named == 0 {
			continue
		}
		if c.people == nil {
			c.people, u.m.named = &people{}, true
		}
		x := c.people
		x.named.fade(at, peopleFade)
		x.nameless.fade(at, peopleFade)
		x.named.v, x.nameless.v = x.named.v+named, x.nameless.v+n-named
		news := 0.
		if named > 0 {
			x.heard = max(x.heard, at)
			news = ts.newly(x, whose, at)
		}
		if !late {
			x.weighs(at, n, perCustomer*news+n-named)
			x.comes(at/u.m.base*u.m.base, news, n-named)
		}
	}
}

// comes keeps what was said of a step until the step closes.
func (x *people) comes(at int64, news, nameless float64) {
	i, found := slices.BinarySearchFunc(x.coming, at, func(c coming, at int64) int { return cmp.Compare(c.at, at) })
	if !found {
		x.coming = slices.Insert(x.coming, i, coming{at: at})
	}
	x.coming[i].news, x.coming[i].nameless = x.coming[i].news+news, x.coming[i].nameless+nameless
	if len(x.coming) > mostComing { // steps that are hardly observed are not judged
		x.coming[1].news, x.coming[1].nameless = x.coming[0].news+x.coming[1].news, x.coming[0].nameless+x.coming[1].nameless
		x.coming = slices.Delete(x.coming, 0, 1)
	}
}

// came takes what was said of steps until end.
func (x *people) came(end int64) {
	done := 0
	for _, c := range x.coming {
		if c.at >= end {
			break
		}
		x.credit.v += perCustomer*c.news + c.nameless
		x.total, x.anonymous = x.total+c.news, x.anonymous+c.nameless
		done++
	}
	x.coming = slices.Delete(x.coming, 0, done)
}

// newly is how many of those who failed at a time did not before in that hour. What is
// older than the hour before is not told apart any more: nobody is new there.
func (ts *tenantState) newly(x *people, whose *crowd.Crowd, at int64) (news float64) {
	n := at / afresh
	if n > x.met[0].number {
		x.met[1], x.met[0] = x.met[0], hour{number: n}
	}
	x.day.add(n, whose)
	for i := range x.met {
		if h := &x.met[i]; h.number == n {
			exact := h.crowd.Level() == 0
			if news = h.crowd.Join(whose); exact && h.crowd.Level() > 0 {
				ts.thinned++
			}
		}
	}
	return news
}

// informs says whether it is known who fails: a counter that went away tells nothing,
// nor do failures most of which are nobody's.
func (x *people) informs(start, alive int64) bool {
	return x != nil && x.heard >= start-alive && x.named.v >= x.nameless.v && !x.day.few()
}

// estimated says whether there were too many of late to tell each apart.
func (x *people) estimated() bool { return x.met[0].crowd.Level() > 0 || x.met[1].crowd.Level() > 0 }

// begin notes where a suspicion begins.
func (x *people) begin() { x.before, x.unnamed = x.total, x.anonymous }

// forgetPeople drops who failed in hours that nothing is counted in any more.
func (m *meter) forgetPeople(now int64) {
	for _, c := range m.cells {
		if x := c.people; x != nil && x.met[0].number+1 < now/afresh {
			x.met = [2]hour{}
		}
	}
}

// capFailures works out how many of a step's failures count.
func (ts *tenantState) capFailures(m *meter, step detect.Step, n, k []float64) {
	if !m.named {
		return
	}
	length := step.End - step.Start
	fades := payingFades(length)
	for ci, c := range m.cells {
		x := c.people
		if x == nil {
			continue
		}
		x.credit.fade(step.End, peopleFade)
		x.came(step.End)
		x.paying.follow(n[ci]-k[ci], length, &fades)
		x.k = math.Min(k[ci], x.credit.v)
		x.credit.v -= x.k
	}
}

// counted are the events and failures of a step that are evidence: retries are neither.
func (c *cell) counted(n, k float64, start, alive int64) (float64, float64) {
	switch {
	case c.people.informs(start, alive):
		if c.people.paying.missing() {
			return n, k
		}
		return n - (k - c.people.k), c.people.k
	case c.lent != nil:
		kept := k * c.lent.counts()
		return n - (k - kept), kept
	}
	return n, k
}

// peopleNamed is the version from which on checkpoints hold who was named.
const peopleNamed = 11

// people codes who fails.
func (c *coder) people(v *people) {
	c.Ints(&v.credit.at, &v.heard)
	c.Floats(&v.credit.v, &v.total, &v.before)
	if !c.Since(peopleNamed) {
		return
	}
	c.Ints(&v.named.at, &v.nameless.at)
	c.Floats(&v.named.v, &v.nameless.v, &v.anonymous, &v.unnamed)
	checkpoint.List(c.Coder, &v.coming, func(w *coming) {
		c.Int(&w.at)
		c.Floats(&w.news, &w.nameless)
	})
	for i := range v.met {
		c.hour(&v.met[i])
	}
	if c.Since(12) {
		c.daily(&v.day)
	}
	if c.Since(14) {
		c.Ints(&v.seen.at, &v.worth.at)
		c.Floats(&v.seen.v, &v.worth.v)
	}
	if c.Since(17) {
		o := &v.paying
		c.Ints(&o.known, &o.gone)
		c.Floats(&o.late, &o.hour)
	}
}

func (c *coder) hour(h *hour) {
	level, marks := h.crowd.Level(), h.crowd.Marks()
	c.Int(&h.number)
	c.Small(&level)
	last := int64(0) // sorted, so that steps are shorter than marks
	checkpoint.List(c.Coder, &marks, func(m *crowd.Mark) {
		step := int64(*m) - last
		c.Int(&step)
		last += step
		*m = crowd.Mark(last)
	})
	if !c.Reading() || c.Err() != nil {
		return
	}
	var err error
	if h.crowd, err = crowd.New(level, marks); err != nil {
		c.Fail()
	}
}
