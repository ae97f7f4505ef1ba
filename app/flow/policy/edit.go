package policy

import (
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

// Edit is a policy that somebody wants in force.
type Edit struct {
	Policy *profiles.Policy
	Match  int // the revision in force that the edit is of; 0: any
	Now    bool
	By     string
	Reason string
	Last   []tenant.ID // the largest tenants
	Keeps  Keeping     // nil: nobody asked
}

// Edit begins to roll a policy out, or puts it in force at once. changed is
// false when it is in force or being rolled out already.
func (b *Book) Edit(tx *partition.Tx, e Edit) (out rollout.State, changed bool, err error) {
	state, err := State(tx)
	if err != nil {
		return state, false, err
	}
	if err := Matches(state, e.Match); err != nil {
		return state, false, err
	}
	r := rollout.Revision{Sha: e.Policy.Sha, Text: string(e.Policy.Text), Author: e.By, Reason: e.Reason, Origin: rollout.FromAPI}
	now, rules := tx.Now(), b.Rules()
	var c rollout.Change
	switch open := state.Rollout.Open(); {
	case !open && rules.Revision == state.Standing.InForce && rules.Policy.Sha == r.Sha,
		open && !e.Now && rules.Next != nil && rules.Next.Policy.Sha == r.Sha: // asked for twice
		return state, false, nil
	case rollout.Said(e.Reason) != nil:
		err = rollout.Said(e.Reason)
	case !e.Now:
		c, err = rollout.Begin(state, rollout.Beginning{Revision: r, Settings: Settings(rules.Policy, e.Policy, rules.Catalog), Tenants: b.Directory.IDs(), Last: e.Last, Untried: profiles.Untried(rules.Policy, e.Policy)}, now)
	case open && rules.Next != nil && rules.Next.Policy.Sha == r.Sha:
		c, err = rollout.Hurry(e.keeping(state, now), e.By, e.Reason, now)
	default:
		c = rollout.Put(e.keeping(state, now), r, now)
	}
	if err != nil {
		return state, false, err
	}
	b.change(tx, c)
	return c.State, true, nil
}

// keeping is the state with who follows no policy, if that was asked.
func (e Edit) keeping(s rollout.State, now time.Time) rollout.State {
	if e.Keeps != nil {
		keeps := e.Keeps(e.Policy, now)
		s.Keeps = &keeps
	}
	return s
}

// Matches refuses an edit of a revision that is in force no longer.
func Matches(s rollout.State, match int) error {
	if match == 0 || match == s.Standing.InForce {
		return nil
	}
	return problem.New(problem.Conflict, "the policy was changed meanwhile: revision %d is in force", s.Standing.InForce).
		WithHint("plan again against it: tocsin policy plan")
}

// RollBack puts an earlier revision in force for every tenant at once; to 0 is
// the one before. keeps may be nil: nobody asked.
func (b *Book) RollBack(tx *partition.Tx, to int, by, reason string, keeps Keeping) (rollout.State, error) {
	state, err := State(tx)
	if err != nil {
		return state, err
	}
	c, err := rollout.RollBack(state, to, by, reason, tx.Now())
	if err != nil {
		return state, err
	}
	p, err := b.parsed(tx.Context(), c.Standing.InForce)
	if err != nil { // one that this release cannot use
		return state, err
	}
	if keeps != nil {
		all := keeps(p, tx.Now())
		state.Keeps = &all
		if c, err = rollout.RollBack(state, to, by, reason, tx.Now()); err != nil {
			return state, err
		}
	}
	b.change(tx, c)
	return c.State, nil
}

// Resume goes on with a halted rollout.
func (b *Book) Resume(tx *partition.Tx, by, reason string) (rollout.State, error) {
	state, err := State(tx)
	if err != nil {
		return state, err
	}
	c, err := rollout.Resume(state, by, reason, b.Directory.IDs(), tx.Now())
	if err != nil {
		return state, err
	}
	b.change(tx, c)
	return c.State, nil
}

// Settings are what the policy in force says of how its successor is rolled
// out, so that no edit can shorten its own trial. Teams are those that either of them
// can call.
func Settings(p, next *profiles.Policy, c *catalog.Catalog) rollout.Settings {
	set := rollout.Settings{Stages: p.Evolution.Stages, StageFor: p.Evolution.StageFor, Teams: map[string]float64{}, Pooled: profiles.PooledPart}
	for _, d := range slices.Concat(p.Rules, next.Rules) {
		team, _ := c.Owner(catalog.ServiceID(d.Service))
		set.Teams[string(team.ID)] = profiles.Budget{FalsePagesPerWeek: team.FalsePagesPerWeek}.Weekly()
		if n := p.Evolution.ShadowPagesPerWeek; n != nil {
			set.Teams[string(team.ID)] = *n
		}
	}
	return set
}

// holds is the calendar entry that makes a rollout wait: one for everybody,
// or for a tenant that would get the policy next.
func (b *Book) holds(r rollout.Rollout, now time.Time) *rollout.Hold {
	c := b.Rules().Policy.Calendar()
	held := func(on calendar.Scope) *rollout.Hold {
		on.Environment = b.Environment()
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
	for _, t := range b.Directory.List() {
		if r.Place(t.ID) != rollout.Beside {
			continue
		}
		if h := held(calendar.Scope{Tenant: t.ID, Countries: t.Countries}); h != nil {
			return h
		}
	}
	return nil
}
