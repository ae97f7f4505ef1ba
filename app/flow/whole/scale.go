// Package whole is what is known of all tenants together: how much they do and what that is
// worth, what those of a tier usually show, what all profiles depend on, and how much
// must be at stake for a call.
//
// It sums and compares, for the running process and a backtest alike; it decides nothing.
package whole

import (
	"cmp"
	"math"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Scale is how much each tenant does, and all of them: in transactions a minute, and
// in what those are worth. List is to be set before use. Safe for concurrent use.
type Scale struct {
	List func() []tenant.Tenant // those that there are
	// Times is how many tenants each of them stands for; 0: one.
	Times float64

	mu       sync.Mutex
	observed map[tenant.ID]float64
	volume   float64
	turnover float64
	price    float64 // mean value of a transaction where one is known; 0: nowhere
	at       time.Time
}

// sumStands is how long a sum over all tenants is used: a mass outage asks for it with
// every alert.
const sumStands = time.Minute

// Set says how much of a tenant was observed.
func (s *Scale) Set(id tenant.ID, tpm float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.observed == nil {
		s.observed = map[tenant.ID]float64{}
	}
	s.observed[id] = Rounded(tpm)
}

// Forget forgets what was observed of a tenant: its id may become another's.
func (s *Scale) Forget(id tenant.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.observed, id)
}

// of is a tenant's volume: what was observed before what was promised; 0: not known.
func (s *Scale) of(t tenant.Tenant) float64 { return cmp.Or(s.observed[t.ID], t.ExpectedTPM) }

// worth is what a tenant's volume is worth. One whose value nobody said is worth the
// mean, and one that is marked priority twice what it does.
func (s *Scale) worth(t tenant.Tenant) float64 {
	w := s.of(t)
	if s.price > 0 {
		w *= cmp.Or(t.ValuePerTransaction, s.price)
	}
	if t.Priority {
		w *= 2
	}
	return w
}

func (s *Scale) sum(now time.Time) {
	if !s.at.IsZero() && now.Sub(s.at) < sumStands && !now.Before(s.at) {
		return
	}
	list := s.List()
	money, priced := 0.0, 0.0
	s.at, s.volume, s.turnover, s.price = now, 0, 0, 0
	for _, t := range list {
		if v := s.of(t); t.Watched() {
			s.volume += v
			if t.ValuePerTransaction > 0 {
				money, priced = money+v*t.ValuePerTransaction, priced+v
			}
		}
	}
	if priced > 0 {
		s.price = money / priced
	}
	for _, t := range list {
		if t.Watched() {
			s.turnover += s.worth(t)
		}
	}
	if s.Times > 0 {
		s.volume, s.turnover = s.volume*s.Times, s.turnover*s.Times
	}
}

// Stake is what a tenant is of the whole.
func (s *Scale) Stake(t tenant.Tenant, now time.Time) incident.Stake {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum(now)
	stake := incident.Stake{Value: t.ValuePerTransaction, Priority: t.Priority}
	if v := s.of(t); v > 0 {
		stake.Share = v / max(s.volume, v)
	}
	return stake
}

// Weight is a tenant's part of its teams' budgets, before being what it had.
func (s *Scale) Weight(p *profiles.Policy, t tenant.Tenant, before float64, tenants int, now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum(now)
	w := s.worth(t)
	if w <= 0 || !t.Watched() {
		return before
	}
	return profiles.Weight(w/max(s.turnover, w), p.Impact.LeastWeight, before, tenants)
}

// Rounded is a volume as it is compared: to a power of the root of two, so that what
// follows from it does not change with every sample.
func Rounded(tpm float64) float64 {
	if tpm <= 0 {
		return 0
	}
	return math.Exp2(math.Round(2*math.Log2(tpm)) / 2)
}

// Observe sums up what all profiles depend on besides their tenants' documents:
// how many tenants are watched, and the budgets of the teams.
func Observe(p *profiles.Policy, c *catalog.Catalog, watched int) profiles.Observation {
	o := profiles.Observation{Tenants: profiles.Rounded(watched), Budgets: map[string]profiles.Budget{}}
	for _, d := range p.Rules {
		team, _ := c.Owner(catalog.ServiceID(d.Service))
		o.Budgets[d.Service] = profiles.Budget{Team: string(team.ID), FalsePagesPerWeek: team.FalsePagesPerWeek, Sensitivity: team.Sensitivity}
	}
	return o
}
