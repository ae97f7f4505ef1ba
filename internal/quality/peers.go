package quality

import (
	"time"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// peer is a way of alerting that users have today. judge says, once a minute and
// subject, whether its rule holds; held is for how long it must.
type peer struct {
	name   string
	pooled bool // its subjects are acquirers, not tenants
	judge  func(s *subject, at time.Time) (critical, holds bool)
	held   time.Duration

	states []peerState
	alerts []Alert
}

type peerState struct {
	since, good time.Time
	firing      int // index into alerts + 1
}

// field is all peers over one world: they share what they look at.
type field struct {
	w         *world.World
	tenants   []*subject
	acquirers []*subject
	peers     []*peer
	nowT      []minute
	nowA      []minute
	of        []int // acquirer of each cell
}

func newField(w *world.World, ps []*peer) *field {
	f := &field{w: w, peers: ps}
	for _, t := range w.Tenants {
		f.tenants = append(f.tenants, newSubject(t.ID))
	}
	at := map[string]int{}
	for i, name := range world.Acquirers {
		at[name] = i
		f.acquirers = append(f.acquirers, newSubject(name))
	}
	for _, c := range w.Cells {
		f.of = append(f.of, at[c.Acquirer])
	}
	for _, p := range ps {
		p.states = make([]peerState, len(f.subjects(p)))
	}
	f.nowT, f.nowA = make([]minute, len(f.tenants)), make([]minute, len(f.acquirers))
	return f
}

func (f *field) subjects(p *peer) []*subject {
	if p.pooled {
		return f.acquirers
	}
	return f.tenants
}

// pass counts what the world's last step brought, and judges when a minute is full.
func (f *field) pass() {
	for i, c := range f.w.Cells {
		if c.N == 0 {
			continue
		}
		m := of(c)
		f.nowT[c.Tenant].add(m)
		f.nowA[f.of[i]].add(m)
	}
	if f.w.Now.Unix()%60 != 0 {
		return
	}
	f.take(f.w.Now, f.tenants, f.nowT)
	f.take(f.w.Now, f.acquirers, f.nowA)
	for _, p := range f.peers {
		f.judge(p, f.w.Now)
	}
	clear(f.nowT)
	clear(f.nowA)
}

func (f *field) take(at time.Time, subjects []*subject, ms []minute) {
	for i, s := range subjects {
		s.take(at, ms[i], at.Before(f.w.Scored()))
	}
}

func (f *field) judge(p *peer, at time.Time) {
	if at.Before(f.w.Scored()) {
		return
	}
	for i, s := range f.subjects(p) {
		critical, holds := p.judge(s, at)
		p.move(i, s.name, at, critical, holds)
	}
}

// move is the life of an alert: pending for held, firing until five minutes good.
func (p *peer) move(i int, name string, at time.Time, critical, holds bool) {
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
		a := Alert{Tenant: name, Rule: p.name, At: at, Paged: at}
		if p.pooled {
			a.Tenant, a.Slice = string(tenant.Product), map[string]string{"acquirer": name}
		}
		p.alerts = append(p.alerts, a)
		s.firing = len(p.alerts)
	}
	if s.firing > 0 {
		a := &p.alerts[s.firing-1]
		a.End, a.Critical = at, a.Critical || critical
	}
}
