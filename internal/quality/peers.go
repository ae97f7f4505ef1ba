package quality

import (
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// minute is what one tenant, or one acquirer over all tenants, did in a minute.
type minute struct{ n, k float64 }

// ring keeps the last minutes and gives sums over windows.
type ring struct {
	m  []minute // cumulative, by minute modulo its length
	at int
}

func newRing(minutes int) *ring { return &ring{m: make([]minute, minutes+1)} }

func (r *ring) add(x minute) {
	last := r.m[r.at%len(r.m)]
	r.at++
	r.m[r.at%len(r.m)] = minute{last.n + x.n, last.k + x.k}
}

// sum over the last minutes; fewer when there are no more.
func (r *ring) sum(minutes int) minute {
	minutes = min(minutes, r.at, len(r.m)-1)
	a, b := r.m[r.at%len(r.m)], r.m[(r.at-minutes)%len(r.m)]
	return minute{a.n - b.n, a.k - b.k}
}

func (m minute) ratio() float64 {
	if m.n == 0 {
		return 0
	}
	return m.k / m.n
}

// peer is a way of alerting that users have today. judge says, once a minute and
// subject, whether its rule holds; held is for how long it must.
type peer struct {
	name   string
	pooled bool // its subjects are acquirers, not tenants
	judge  func(p *peer, subject int, at time.Time) (critical, holds bool)
	held   time.Duration

	w       *World
	rings   []*ring
	learned []learned
	states  []peerState
	alerts  []Alert
}

type peerState struct {
	since, good time.Time
	firing      int // index into alerts + 1
}

// learned is what a rule tuned by hand knows of a subject, from the learning time.
type learned struct {
	n, k    float64
	minutes float64
	hour    [168]stats // of the quarter hours of each hour of the week
	error   [168]stats
}

type stats struct{ n, sum, squares float64 }

func (s *stats) add(x float64) { s.n++; s.sum += x; s.squares += x * x }

func (s stats) z(x float64) float64 {
	if s.n < 4 {
		return 0
	}
	mean := s.sum / s.n
	sd := math.Sqrt(max(s.squares/s.n-mean*mean, 1e-12))
	return (x - mean) / sd
}

const peerMemory = 7*24*60 + 30 // minutes: a week, for what compares with the week before

// peers are rules as people write them, each with the settings that serve it
// best in such a world and keep their names honest.
func peers() []*peer {
	return []*peer{
		{name: "static rules", held: 5 * time.Minute, judge: func(p *peer, i int, _ time.Time) (bool, bool) {
			five, quarter := p.rings[i].sum(5), p.rings[i].sum(15)
			return true, five.ratio() > 0.05 || quarter.n == 0
		}},
		{name: "static rules, tuned per tenant", held: 5 * time.Minute, judge: func(p *peer, i int, _ time.Time) (bool, bool) {
			l, ten, quarter := p.learned[i], p.rings[i].sum(10), p.rings[i].sum(15)
			usual := l.k / max(l.n, 1)
			bad := ten.n >= 20 && ten.k >= 8 && ten.ratio() > max(0.05, 3*usual)
			return true, bad || quarter.n == 0 && 15*l.n/max(l.minutes, 1) > 60
		}},
		{name: "burn rate, SLO 99%", judge: func(p *peer, i int, _ time.Time) (bool, bool) { return burn(p.rings[i], 0.01, 0) }},
		{name: "burn rate, tuned per tenant", judge: func(p *peer, i int, _ time.Time) (bool, bool) {
			l := p.learned[i]
			if critical, holds := burn(p.rings[i], max(0.001, 1.5*l.k/max(l.n, 1)), 60); holds {
				return critical, true
			}
			now, all := p.rings[i].sum(30), p.rings[i].at
			if all < 7*24*60+30 {
				return false, false
			}
			before := minute{p.rings[i].sum(7*24*60+30).n - p.rings[i].sum(7*24*60).n, 0}
			return true, before.n >= 60 && now.n < 0.3*before.n
		}},
		{name: "hour of week, z > 3", held: 5 * time.Minute, judge: func(p *peer, i int, at time.Time) (bool, bool) {
			quarter := p.rings[i].sum(15)
			h := hourOfWeek(at)
			return true, p.learned[i].hour[h].z(quarter.n) < -3 || quarter.k >= 3 && p.learned[i].error[h].z(quarter.ratio()) > 3
		}},
		{name: "sum by (acquirer)", pooled: true, held: 2 * time.Minute, judge: func(p *peer, i int, _ time.Time) (bool, bool) {
			l, two := p.learned[i], p.rings[i].sum(2)
			return true, two.n >= 100 && two.ratio() > l.k/max(l.n, 1)+0.03
		}},
	}
}

// burn is the multi-window burn rate of the SRE workbook.
func burn(r *ring, budget, atLeast float64) (critical, holds bool) {
	hot := func(minutes int, factor float64) bool {
		m := r.sum(minutes)
		return m.n > 0 && m.ratio() > factor*budget
	}
	enough := r.sum(60).n >= atLeast
	if enough && hot(60, min(14.4, 0.9/budget)) && hot(5, min(14.4, 0.9/budget)) {
		return true, true
	}
	return false, enough && hot(360, min(6, 0.7/budget)) && hot(30, min(6, 0.7/budget))
}

func hourOfWeek(at time.Time) int { return int(at.Weekday())*24 + at.Hour() }

func (p *peer) start(w *World) {
	p.w = w
	n := len(w.Customers)
	if p.pooled {
		n = len(acquirers)
	}
	p.learned, p.states = make([]learned, n), make([]peerState, n)
	for range n {
		p.rings = append(p.rings, newRing(peerMemory))
	}
}

// take is one minute of every subject, ending at at.
func (p *peer) take(at time.Time, ms []minute) {
	learning := at.Before(p.w.Scored())
	for i, m := range ms {
		p.rings[i].add(m)
		if learning {
			l := &p.learned[i]
			l.n, l.k, l.minutes = l.n+m.n, l.k+m.k, l.minutes+1
			if at.Minute()%5 == 0 {
				quarter := p.rings[i].sum(15)
				l.hour[hourOfWeek(at)].add(quarter.n)
				if quarter.n > 0 {
					l.error[hourOfWeek(at)].add(quarter.ratio())
				}
			}
			continue
		}
		critical, holds := p.judge(p, i, at)
		p.move(i, at, critical, holds)
	}
}

// move is the life of an alert: pending for held, firing until five minutes good.
func (p *peer) move(i int, at time.Time, critical, holds bool) {
	s := &p.states[i]
	if !holds {
		s.since = time.Time{}
		if s.firing > 0 {
			if s.good.IsZero() {
				s.good = at
			}
			if at.Sub(s.good) >= 5*time.Minute {
				s.firing = 0
			}
		}
		return
	}
	s.good = time.Time{}
	if s.since.IsZero() {
		s.since = at
	}
	if s.firing == 0 && at.Sub(s.since) >= p.held {
		who := string(tenant.Product)
		if !p.pooled {
			who = p.w.Customers[i].ID
		}
		p.alerts = append(p.alerts, Alert{Tenant: who, At: at, Pages: true})
		s.firing = len(p.alerts)
	}
	if s.firing > 0 {
		a := &p.alerts[s.firing-1]
		a.End, a.Critical = at, a.Critical || critical
	}
}
