package world

import (
	"math"
	"time"
)

// Fault is something that happens to cells: a real one, or one that only looks
// like it.
type Fault struct {
	Name     string // one of Kinds; benign: retries, blip, opt_in, gap, restart, dead_source
	Truth    bool
	From, To time.Time
	Tenant   string // empty: all
	Acquirer string // empty: all
	Country  string // empty: all
	Errors   float64
	Lost     float64       // share of the volume that does not come
	Slower   float64       // how many times longer everything takes; 0: as ever
	Retries  float64       // of one customer, a minute
	Grows    time.Duration // from nothing to its full size

	// What it did.
	Evidence  map[string]float64 // nats a perfect observer had, by tenant
	Seen      time.Time          // when such an observer had enough of them; zero: never
	LostBy    map[string]float64 // transactions lost, by tenant
	Transacts float64            // lost in all
	total     float64            // nats
	cell      *Cell              // the one customer's
	told      time.Time          // when the one customer was counted last
}

// Kinds are the true faults; they come about equally often.
var Kinds = []string{"acquirer_down", "five_points", "latency", "traffic_lost", "leak", "country_down"}

// Enough is the evidence, in nats, from which a fault could be seen.
const Enough = 14

// Critical says whether it takes most of what it touches.
func (f *Fault) Critical() bool { return f.Errors >= 0.6 || f.Lost >= 0.9 }

// Detectable says whether some tenant's data, or that of all together, shows it.
func (f *Fault) Detectable() bool { return !f.Seen.IsZero() }

// Shared says that it touches more than one tenant.
func (f *Fault) Shared() bool { return f.Tenant == "" }

// Touched is how many tenants could know of it: those whose data show something.
func (f *Fault) Touched() (n int) {
	for _, nats := range f.Evidence {
		if nats > 1 {
			n++
		}
	}
	return n
}

func (f *Fault) hits(t *Tenant, c *Cell) bool {
	return (f.Tenant == "" || f.Tenant == t.ID) && (f.Acquirer == "" || f.Acquirer == c.Acquirer) && (f.Country == "" || f.Country == c.Country) && (f.cell == nil || f.cell == c)
}

func (f *Fault) grown(at time.Time) float64 {
	if f.Grows <= 0 {
		return 1
	}
	return min(1, float64(at.Sub(f.From))/float64(f.Grows))
}

// step is what one step of a cell is about to be.
type step struct {
	usual        float64 // expected payments when nothing is wrong
	base, errors float64 // share that fails, usually and now
	keep         float64 // share that comes
	times        float64 // how many times longer they take
	retries      float64 // expected, of one customer
	retrier      *Fault
}

func (w *World) hit(s *step, f *Fault, t *Tenant, c *Cell, at time.Time) {
	if !f.hits(t, c) {
		return
	}
	g := f.grown(at)
	s.keep *= 1 - f.Lost*g
	s.errors += f.Errors * g * (1 - s.errors)
	if f.Slower > 0 {
		s.times *= 1 + (f.Slower-1)*g
	}
	if f.Retries > 0 {
		s.retries += f.Retries * Step.Minutes()
		s.retrier = f
	}
	if f.Truth {
		w.harm(f, t.ID, c, s, g)
	}
}

// harm adds what one step of a fault cost a cell, and how much of it could be seen.
func (w *World) harm(f *Fault, id string, c *Cell, s *step, grown float64) {
	lost, nats := s.usual*f.Lost*grown, 0.0
	if f.Errors > 0 {
		p0, p1 := s.base, min(s.errors, 0.999)
		nats += s.usual * (p1*math.Log(p1/p0) + (1-p1)*math.Log((1-p1)/(1-p0)))
		lost += s.usual * f.Errors * grown
	}
	if f.Lost > 0 {
		keep := max(1-f.Lost*grown, 0.02)
		nats += s.usual * (1 - keep + keep*math.Log(keep))
	}
	if f.Slower > 0 {
		nats += s.usual * apart(c.took.usual, c.took.shares(1+(f.Slower-1)*grown))
	}
	f.Evidence[id] += nats
	f.LostBy[id] += lost
	f.Transacts += lost
	f.total += nats
	if f.Seen.IsZero() && (f.Shared() && f.total >= Enough || f.Evidence[id] >= Enough) {
		f.Seen = w.Now
	}
}

// begin brings the lists of what is going on up to date.
func (w *World) begin(at time.Time) {
	changed := false
	for len(w.upcoming) > 0 && !w.upcoming[0].From.After(at) {
		w.active = append(w.active, w.upcoming[0])
		w.upcoming = w.upcoming[1:]
		changed = true
	}
	kept := w.active[:0]
	for _, f := range w.active {
		if f.To.After(at) {
			kept = append(kept, f)
		} else {
			changed = true
		}
	}
	if w.active = kept; !changed {
		return
	}
	w.shared = w.shared[:0]
	byTenant := map[string][]*Fault{}
	for _, f := range w.active {
		if f.Shared() {
			w.shared = append(w.shared, f)
		} else {
			byTenant[f.Tenant] = append(byTenant[f.Tenant], f)
		}
	}
	for _, t := range w.Tenants {
		t.active = byTenant[t.ID]
	}
}
