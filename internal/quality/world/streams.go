package world

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

// Taker takes what the streams deliver, as a backtest's replay does.
type Taker interface {
	Window(end time.Time) error
	Take(s *recorded.Series, xs []recorded.Sample)
}

// Streams is how the world's counts reach a monitoring system: as counters that
// are scraped, with what goes wrong on the way. Series are born with their first
// event and with their first one after a restart, idle ones are evicted, scrapes are
// missed, come twice or in two requests, a pair of replicas changes its turn, and one
// source falls silent and sends its backlog afterwards.
type Streams struct {
	w       *World
	src     *rand.Rand
	windows [3][]*counters // by the part of a step in which they are scraped
	cells   []*counters    // as World.Cells
	waiting []late         // second requests, for the next window
	silent  [2]time.Time
	backlog []late
	one     [1]recorded.Sample
	mishaps
}

// The series of a cell: by result, customers who fail, then buckets of durations.
const (
	results   = 3
	customers = results
	buckets   = customers + 1
	perCell   = buckets + Buckets
)

type counters struct {
	tenant int
	cell   *Cell
	v      [perCell]float64
	born   [perCell]bool
	series [perCell]*recorded.Series
	heard  time.Time // of its last event
}

type late struct {
	s *recorded.Series
	x recorded.Sample
}

// NewStreams makes the streams of a world that has not begun.
func NewStreams(w *World) *Streams {
	s := &Streams{w: w, src: rand.New(rand.NewPCG(w.Seed, 0x7363726170))}
	s.mishaps = newMishaps(w)
	index := 0
	for _, c := range w.Cells {
		k := &counters{tenant: c.Tenant, cell: c}
		base := labels.NewBuilder(labels.FromStrings("environment", "production", "tenant", w.Tenants[c.Tenant].ID, "service", "payments", "method", c.Method,
			"country", c.Country, "acquirer", c.Acquirer, "job", "gateway", "instance", fmt.Sprintf("gw-%02d", instance(c.Tenant)), "cluster", fmt.Sprintf("eu-%d", source(c.Tenant))))
		series := func(i int, name string, more ...string) {
			base.Set("__name__", name)
			for n := 0; n < len(more); n += 2 {
				base.Set(more[n], more[n+1])
			}
			k.series[i] = &recorded.Series{Index: index, Labels: base.Labels()}
			for n := 0; n < len(more); n += 2 {
				base.Del(more[n])
			}
			index++
		}
		for i, result := range [results]string{"success", "error", "declined"} {
			series(i, "payment_transactions_total", "result", result)
		}
		series(customers, "payment_failing_customers_total")
		for i := range Buckets {
			edge := "+Inf"
			if i < len(Edges) {
				edge = strconv.FormatFloat(Edges[i], 'g', -1, 64)
			}
			series(buckets+i, "payment_duration_seconds_bucket", "le", edge)
		}
		s.cells = append(s.cells, k)
		s.windows[c.Tenant%3] = append(s.windows[c.Tenant%3], k)
	}
	at := w.Scored().Add(time.Duration(s.src.Float64() * float64(w.Score-2*time.Hour)))
	s.silent = [2]time.Time{at, at.Add(25 * time.Minute)}
	for _, t := range w.Tenants {
		if source(t.index) == deadSource {
			w.Benign = append(w.Benign, &Fault{Name: "dead_source", Tenant: t.ID, From: s.silent[0], To: s.silent[1].Add(5 * time.Minute)})
		}
	}
	return s
}

// source is the sender of a tenant's samples; instance the process that counts them.
func source(tenant int) int   { return tenant % 3 }
func instance(tenant int) int { return tenant / 8 }

const (
	deadSource = 0 // the one that falls silent
	idle       = 30 * time.Minute
)

// evicts says whether a tenant's process forgets series that nothing happens to.
func evicts(tenant int) bool { return tenant%5 == 2 }

// Deliver hands the last step's counters to a taker, in three windows of five
// seconds, and lets time pass for it.
func (s *Streams) Deliver(to Taker) error {
	w := s.w
	s.draw(w, s.src)
	for _, k := range s.cells {
		s.count(k)
	}
	for window := range 3 {
		end := w.Now.Add(time.Duration(window-2) * 5 * time.Second)
		if err := to.Window(end); err != nil {
			return err
		}
		s.flush(to, &s.waiting)
		dead := !w.Now.Before(s.silent[0]) && w.Now.Before(s.silent[1])
		if !dead {
			s.flush(to, &s.backlog)
		}
		for _, k := range s.windows[window] {
			due := w.Now.Add(time.Duration(k.tenant) * Step).Sub(w.Start)
			if due%w.Scrape == 0 && !s.missed(k.tenant, w.Now) {
				s.scrape(to, k, end, dead && source(k.tenant) == deadSource)
			}
		}
	}
	return nil
}

func (s *Streams) flush(to Taker, list *[]late) {
	for _, l := range *list {
		s.give(to, l)
	}
	*list = (*list)[:0]
}

func (s *Streams) give(to Taker, l late) {
	s.one[0] = l.x
	to.Take(l.s, s.one[:])
}

// count brings a cell's counters up to date.
func (s *Streams) count(k *counters) {
	c, now := k.cell, s.w.Now
	if s.restarted[instance(k.tenant)] || evicts(k.tenant) && c.N == 0 && !k.heard.IsZero() && now.Sub(k.heard) > idle {
		k.v, k.born, k.heard = [perCell]float64{}, [perCell]bool{}, time.Time{}
	}
	if c.N == 0 {
		return
	}
	k.heard = now
	for r, n := range [results]uint64{c.N - c.Errors - c.Declined, c.Errors, c.Declined} {
		k.v[r] += float64(n)
		k.born[r] = k.born[r] || n > 0
	}
	if s.w.Tenants[k.tenant].Informed && c.Failing > 0 {
		k.v[customers] += float64(c.Failing)
		k.born[customers] = true
	}
	sum := 0.0
	for i, n := range c.Took {
		sum += float64(n)
		k.v[buckets+i] += sum
		k.born[buckets+i] = true
	}
}

// scrape hands over what a cell's process shows.
func (s *Streams) scrape(to Taker, k *counters, end time.Time, dead bool) {
	at := end.Add(-time.Duration(1000+k.tenant%1000) * time.Millisecond)
	if s.second(k.tenant, s.w.Now) {
		at = at.Add(-2500 * time.Millisecond) // the other replica's scrapes have times of their own
	}
	for i := range perCell {
		if !k.born[i] {
			continue
		}
		l := late{k.series[i], recorded.Sample{T: at.UnixMilli(), V: k.v[i]}}
		switch {
		case dead:
			s.backlog = append(s.backlog, l)
		case i > 0 && k.tenant%7 == 0: // this tenant's scrapes come in two requests
			s.waiting = append(s.waiting, l)
		default:
			s.give(to, l)
			if k.tenant%11 == 0 { // and this one's come twice
				s.give(to, l)
			}
		}
	}
}
