package flow

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// PolicyEdit is a policy that somebody wants in force.
type PolicyEdit struct {
	Policy *profiles.Policy
	Match  int // the revision in force that the edit is of; 0: any
	Now    bool
	By     string
	Reason string
	Last   []tenant.ID // the largest tenants
}

// EditPolicy begins to roll a policy out, or puts it in force at once. changed is
// false when it is in force or being rolled out already.
func (s *Shared) EditPolicy(tx *partition.Tx, e PolicyEdit) (out rollout.State, changed bool, err error) {
	state, err := PolicyState(tx)
	if err != nil {
		return state, false, err
	}
	if err := MatchesPolicy(state, e.Match); err != nil {
		return state, false, err
	}
	r := rollout.Revision{Sha: e.Policy.Sha, Text: string(e.Policy.Text), Author: e.By, Reason: e.Reason, Origin: rollout.FromAPI}
	now, rules := tx.Now(), s.Rules()
	var c rollout.Change
	switch open := state.Rollout.Open(); {
	case !open && rules.Revision == state.Standing.InForce && rules.Policy.Sha == r.Sha,
		open && !e.Now && rules.Next != nil && rules.Next.Policy.Sha == r.Sha: // asked for twice
		return state, false, nil
	case rollout.Said(e.Reason) != nil:
		err = rollout.Said(e.Reason)
	case !e.Now:
		c, err = rollout.Begin(state, rollout.Beginning{Revision: r, Settings: RolloutSettings(rules.Policy, e.Policy, rules.Catalog), Tenants: s.directory.IDs(), Last: e.Last, Untried: profiles.Untried(rules.Policy, e.Policy)}, now)
	case open && rules.Next != nil && rules.Next.Policy.Sha == r.Sha:
		c, err = rollout.Hurry(state, e.By, e.Reason, now)
	default:
		c = rollout.Put(state, r, now)
	}
	if err != nil {
		return state, false, err
	}
	s.changePolicy(tx, c)
	return c.State, true, nil
}

// MatchesPolicy refuses an edit of a revision that is in force no longer.
func MatchesPolicy(s rollout.State, match int) error {
	if match == 0 || match == s.Standing.InForce {
		return nil
	}
	return problem.New(problem.Conflict, "the policy was changed meanwhile: revision %d is in force", s.Standing.InForce).
		WithHint("plan again against it: tocsin policy plan")
}

// RollBackPolicy puts an earlier revision in force for every tenant at once; to 0 is
// the one before.
func (s *Shared) RollBackPolicy(tx *partition.Tx, to int, by, reason string) (rollout.State, error) {
	state, err := PolicyState(tx)
	if err != nil {
		return state, err
	}
	c, err := rollout.RollBack(state, to, by, reason, tx.Now())
	if err != nil {
		return state, err
	}
	if _, err := s.policyOf(tx.Context(), c.Standing.InForce); err != nil { // one that this release cannot use
		return state, err
	}
	s.changePolicy(tx, c)
	return c.State, nil
}

// ResumeRollout goes on with a halted rollout.
func (s *Shared) ResumeRollout(tx *partition.Tx, by, reason string) (rollout.State, error) {
	state, err := PolicyState(tx)
	if err != nil {
		return state, err
	}
	c, err := rollout.Resume(state, by, reason, s.directory.IDs(), tx.Now())
	if err != nil {
		return state, err
	}
	s.changePolicy(tx, c)
	return c.State, nil
}

// RolloutSettings are what the policy in force says of how its successor is rolled
// out, so that no edit can shorten its own trial. Teams are those that either of them
// can call.
func RolloutSettings(p, next *profiles.Policy, c *catalog.Catalog) rollout.Settings {
	set := rollout.Settings{Stages: p.Evolution.Stages, StageFor: p.Evolution.StageFor, Teams: map[string]float64{}, Pooled: profiles.PooledPart}
	for _, d := range slices.Concat(p.Rules, next.Rules) {
		team, _ := c.Owner(catalog.ServiceID(d.Service))
		set.Teams[string(team.ID)] = cmp.Or(p.Evolution.ShadowPagesPerWeek, profiles.Budget{FalsePagesPerWeek: team.FalsePagesPerWeek}.Weekly())
	}
	return set
}

// holdsRevisions is the calendar entry that makes a rollout wait: one for everybody,
// or for a tenant that would get the policy next.
func (s *Shared) holdsRevisions(r rollout.Rollout, now time.Time) *rollout.Hold {
	c := s.Rules().Policy.Calendar()
	held := func(on calendar.Scope) *rollout.Hold {
		on.Environment = s.Settings.Environment
		e, is := c.Active(now, calendar.HoldRevisions, on)
		if !is {
			return nil
		}
		_, until := c.Holds(e.Name, now)
		return &rollout.Hold{Name: e.Name, Until: until}
	}
	if h := held(calendar.Scope{}); h != nil {
		return h
	}
	if !slices.ContainsFunc(c.Entries(), func(e calendar.Entry) bool { return e.Effect == calendar.HoldRevisions }) {
		return nil
	}
	for _, t := range s.directory.List() {
		if r.Place(t.ID) != rollout.Beside {
			continue
		}
		if h := held(calendar.Scope{Tenant: t.ID, Countries: t.Countries}); h != nil {
			return h
		}
	}
	return nil
}

// ObserveUnder is what a tenant's profile under a policy depends on besides its
// document, when it depends on what was observed under the one it has.
func (s *Shared) ObserveUnder(p *profiles.Policy, t tenant.Tenant, now time.Time) profiles.Observation {
	return s.under(p, t, s.directory.Observed(t.ID), now)
}

func (s *Shared) under(p *profiles.Policy, t tenant.Tenant, o profiles.Observation, now time.Time) profiles.Observation {
	base := s.observe(p)
	o.Tenants, o.Budgets = base.Tenants, base.Budgets
	has, _ := s.Rules().Of(t.ID)
	made := filter(o.Overrides, func(x profiles.Override) bool { // by API
		return !slices.ContainsFunc(has.Overrides, func(y profiles.Override) bool {
			ends := x.Until.Equal(y.Until)
			y.Until = x.Until
			return ends && x == y
		})
	})
	o.Overrides = slices.Concat(p.InForce(t.ID, now), made)
	if _, known := p.Tier(o.Tier); !known {
		o.Tier = p.TierOf(cmp.Or(o.TPM, t.ExpectedTPM)).Name
	}
	return o
}

// Volumes are the transactions a minute of those tenants that have some now, by the
// SLI that the policy calls their volume.
func (s *Shared) Volumes(ctx context.Context) (map[tenant.ID]float64, error) {
	all, err := s.Glance(ctx)
	if err != nil {
		return nil, err
	}
	out, name := map[tenant.ID]float64{}, s.Rules().Policy.Volume.SLI
	for _, g := range all {
		for _, f := range g.Flows {
			if f.SLI == name {
				out[g.Tenant] += f.RatePerMinute
			}
		}
	}
	return out, nil
}
