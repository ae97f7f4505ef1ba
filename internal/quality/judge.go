package quality

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
)

// found is what a detector said of one fault.
type found struct {
	first, paged time.Time
	alert        Alert   // the first
	pages        []Alert // that called for it
}

// notice keeps the first alert.
func (x *found) notice(a Alert) {
	if x.first.IsZero() || a.At.Before(x.first) {
		x.first, x.alert = a.At, a
	}
}

// notice takes the beginning of an alert, while others of its tenant may ring, for the
// notice of the tenant's own fault that shows so.
func (c *court) notice(said map[*world.Fault]*found, a Alert) {
	for _, f := range c.about(a) {
		if f.Tenant == a.Tenant && a.shows(f) {
			said[f].notice(a)
		}
	}
}

// judge scores alerts by the world's truth, for a team that has so many tenants.
func (c *court) judge(name string, all []Alert, team int) Result {
	all = slices.DeleteFunc(slices.Clone(all), func(a Alert) bool { return a.At.Before(c.w.Scored()) })
	r := newResult(name)
	r.incidents, r.incidentCalls = perIncident(all)
	begun := apart(all)
	all = merged(all)
	r.Alerts = len(all)
	said := map[*world.Fault]*found{}
	for _, f := range c.w.Faults {
		said[f] = &found{}
	}
	for _, a := range all {
		if !a.Paged.IsZero() {
			r.Pages++
		}
		if a.source() && c.silent(a.At, "dead_source", 0) {
			r.SourcePages++
			continue
		}
		if a.source() && c.silent(a.At, "gap", blind) {
			continue // of a small world's only process: nothing came of its source either
		}
		about := c.about(a)
		if len(about) == 0 {
			w := Wrong{Alert: a, Cause: c.cause(a)}
			if t := c.tenants[a.Tenant]; t != nil {
				w.TPS = t.TPS
			}
			r.Wrong = append(r.Wrong, w)
			continue
		}
		for _, f := range about {
			said[f].notice(a)
		}
		if f := said[about[0]]; !a.Paged.IsZero() { // a page is about the tenant's own fault, if it has one
			f.paged = earlier(f.paged, a.Paged)
			f.pages = append(f.pages, a)
		}
	}
	for _, a := range begun {
		c.notice(said, a)
	}
	c.wrong(&r, team)
	c.recall(&r, said, all)
	r.settle()
	return r
}

// manyTenants share a fault that is to be heard of at once, and once.
const manyTenants = 20

// blind is how long a source may be silent before it is said.
const blind = 5 * time.Minute

// silent says whether something of that name, and so long, was going on then.
func (c *court) silent(at time.Time, name string, least time.Duration) bool {
	return slices.ContainsFunc(c.w.Benign, func(f *world.Fault) bool {
		return f.Name == name && f.To.Sub(f.From) >= least && !at.Before(f.From) && !at.After(f.To.Add(time.Minute))
	})
}

func earlier(old, at time.Time) time.Time {
	if old.IsZero() || at.Before(old) {
		return at
	}
	return old
}

// perIncident counts the incidents that called, and their calls.
func perIncident(all []Alert) (incidents, n int) {
	calls := map[int]bool{}
	for _, a := range all {
		if a.Incident > 0 && !a.Paged.IsZero() {
			calls[a.Incident] = true
			n++
		}
	}
	return len(calls), n
}

// wrong counts the false ones. Pages of single tenants grow with their number, those
// over all tenants do not.
func (c *court) wrong(r *Result, team int) {
	months := float64(c.w.Score) / float64(month)
	r.worlds, r.weeks = 1, c.w.Score.Hours()/(7*24)
	for _, t := range c.w.Tenants {
		r.months += months
		r.bandMonths[band(t.TPS)] += months
		if t.Informed {
			r.informed += months
		} else {
			r.uninformed += months
		}
	}
	for _, w := range r.Wrong {
		r.ByCause[w.Cause]++
		weight := 1.0
		if t := c.tenants[w.Tenant]; t != nil {
			weight = float64(team) / float64(len(c.w.Tenants))
			r.bandWrong[band(t.TPS)]++
			if t.Informed {
				r.wrongInformed++
			} else {
				r.wrongOthers++
			}
		}
		if w.Cause == "dead_source" {
			r.DeadAlerts++
		}
		if w.Paged.IsZero() {
			continue
		}
		r.falsePages += weight
		if w.Cause == "dead_source" {
			r.DeadPages++
		}
	}
}

func (c *court) recall(r *Result, said map[*world.Fault]*found, all []Alert) {
	for _, f := range c.w.Faults {
		if !f.Detectable() {
			continue
		}
		at := said[f]
		is, delay := !at.first.IsZero(), at.first.Sub(f.From)
		called, call := !at.paged.IsZero(), at.paged.Sub(f.From)
		r.Faults.count(is)
		kind := r.Kinds[f.Name]
		kind.count(is)
		r.Kinds[f.Name] = kind
		r.lost += f.Transacts
		r.perfect.take(f)
		r.Told = append(r.Told, c.told(f, at))
		if !is {
			r.Missed = append(r.Missed, c.missed(f, all))
		}
		if is {
			r.seen += f.Transacts
			r.delays, r.over = append(r.delays, delay), append(r.over, at.first.Sub(f.Seen))
			if delay <= time.Hour {
				r.in60 += f.Transacts
			}
		}
		if called && call <= soon {
			r.in5 += f.Transacts
		}
		if f.Critical() {
			r.Critical.count(is)
			if is {
				r.critical = append(r.critical, delay)
			}
		}
		if f.Touched() >= manyTenants {
			r.Shared.count(called)
			r.calls += len(at.pages)
			if called {
				r.shared, r.sharedOver = append(r.shared, call), append(r.sharedOver, at.paged.Sub(f.Seen))
			}
		}
	}
}

// take counts a detectable fault.
func (o *observed) take(f *world.Fault) {
	delay := f.Seen.Sub(f.From)
	o.delays = append(o.delays, delay)
	if f.Critical() {
		o.critical = append(o.critical, delay)
	}
	if f.Touched() >= manyTenants {
		o.shared = append(o.shared, delay)
	}
	if delay <= soon {
		o.in5 += f.Transacts
	}
	if delay <= time.Hour {
		o.in60 += f.Transacts
	}
}

// most is the most nats that a perfect observer had of one tenant, and that tenant's rate.
func (c *court) most(f *world.Fault) (tps, nats float64) {
	for id, x := range f.Evidence {
		if t := c.tenants[id]; t != nil && x > nats {
			tps, nats = t.TPS, x
		}
	}
	return tps, nats
}

// missed tells a fault that nobody noticed, and whether something else rang there when it began.
func (c *court) missed(f *world.Fault, all []Alert) Miss {
	m := Miss{Fault: f}
	m.TPS, m.Nats = c.most(f)
	m.Rang = slices.ContainsFunc(all, func(a Alert) bool {
		return a.Tenant == f.Tenant && a.At.Before(f.From) && a.End.Add(again).After(f.From)
	})
	return m
}
