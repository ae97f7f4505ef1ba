package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	maxPages = 50 // kept with a rollout
	// maxTenants are added up of one page: what more would see changes no verdict.
	maxTenants = 200
	together   = 15 * time.Minute // pages of one service and slice within it are one
)

// Verdict is how a page of one policy compares with the other's.
type Verdict string

// The verdicts.
const (
	Extra  Verdict = "extra"  // only the new policy would have made it
	Agreed Verdict = "agreed" // both made it
	Gone   Verdict = "gone"   // only the policy in force made it
	Small  Verdict = "ticket" // too little is at stake for either to call somebody
)

// Page is one that a policy made or would have made for a tenant in shadow.
type Page struct {
	// Verdict follows from the sides, when there are any.
	Verdict Verdict   `json:"verdict"`
	Team    string    `json:"team"`   // that owns the service
	Tenant  tenant.ID `json:"tenant"` // of several the first
	Tenants int       `json:"tenants"`
	Service string    `json:"service"`
	Slice   sli.Slice `json:"slice"`
	Rule    string    `json:"rule"`
	At      time.Time `json:"at"`
	Onset   time.Time `json:"onset_at"` // of the fault; zero: nobody knows
	Reason  string    `json:"reason"`
	Weighed string    `json:"weighed"` // why somebody would be called, or nobody; empty: it was not weighed
	New     *Side     `json:"new,omitempty"`
	Old     *Side     `json:"old,omitempty"`
	// Said is what somebody said since of an incident that the policy in force made of it;
	// empty: nothing.
	Said alert.Verdict `json:"said"`
	By   string        `json:"said_by"`
	// Of are the tenants whose part is in the sides, at most maxTenants.
	Of []tenant.ID `json:"of,omitempty"`
}

// Side is what one of the policies makes of a fault; nil: it raises nothing critical.
type Side struct {
	Facts  impact.Facts  `json:"facts"`  // of all the tenants
	Limits impact.Limits `json:"limits"` // that the policy demands at that time
}

func (s *Side) wakes() bool { return s != nil && s.Limits.Wakes(s.Facts).Wakes }

// and adds another tenant's part; all: one of the two is of all tenants together, which has
// the other's part in it.
func (s *Side) and(o *Side, all bool) *Side {
	if s == nil || o == nil {
		return cmp.Or(s, o)
	}
	if all {
		return &Side{Facts: s.Facts.Or(o.Facts), Limits: o.Limits}
	}
	return &Side{Facts: s.Facts.And(o.Facts), Limits: o.Limits}
}

// Weigh says what the page is, by what is at stake.
func (p Page) Weigh() Page {
	if p.New == nil && p.Old == nil { // of a release that did not weigh
		return p
	}
	side := cmp.Or(p.New, p.Old)
	switch n, o := p.New.wakes(), p.Old.wakes(); {
	case n && o:
		p.Verdict = Agreed
	case n:
		p.Verdict = Extra
	case o:
		p.Verdict, side = Gone, p.Old
	default:
		p.Verdict = Small
	}
	p.Weighed = side.Limits.Wakes(side.Facts).Reason
	return p
}

// same says whether two pages would have been one incident: many tenants of one
// slice, or of one above or below it, fail together.
func (p Page) same(q Page) bool {
	weighed := p.Weighed != "" && q.Weighed != ""
	return (weighed || p.Verdict == q.Verdict) && p.Team == q.Team && p.Service == q.Service && p.Slice.Related(q.Slice) && p.At.Sub(q.At).Abs() <= together
}

// with adds what another tenant sees of the same fault.
func (p Page) with(q Page) Page {
	if slices.Contains(p.Of, q.Tenant) { // another rule of it
		return p
	}
	p.Tenants++
	if p.Said == "" {
		p.Said, p.By = q.Said, q.By
	}
	if q.Weighed == "" || len(p.Of) == maxTenants {
		return p
	}
	all := q.Tenant == tenant.Product || slices.Contains(p.Of, tenant.Product)
	p.New, p.Old = p.New.and(q.New, all), p.Old.and(q.Old, all)
	p.Of = append(slices.Clone(p.Of), q.Tenant)
	return p.Weigh()
}

func extras(pages []Page) (out []Page) {
	for _, p := range pages {
		if p.Verdict == Extra {
			out = append(out, p)
		}
	}
	return out
}

// accepted says whether somebody has called the page right: a fault that lasts is
// seen again when a halted stage begins anew. What of it is too small by itself may be what
// made the page together with others.
func (r Rollout) accepted(p Page) bool {
	began := p.Onset
	if began.IsZero() {
		began = p.At
	}
	return (p.Verdict == Extra || p.Verdict == Small) && began.Sub(*r.Stages[r.Stage].StartedAt) <= together && slices.ContainsFunc(r.Accepted, func(q Page) bool {
		return p.Service == q.Service && p.Rule == q.Rule && p.Slice.Related(q.Slice)
	})
}

// Paged counts a page of a tenant in shadow, once per incident that it would have
// been, and halts the rollout when the new policy makes too many for a team. What is at
// stake adds up over the tenants of an incident, as it does when it is real.
func Paged(s State, p Page, now time.Time) Change {
	c := Change{State: s}
	r := &c.Rollout
	if r.State != Shadow || r.Place(p.Tenant) != Beside || p.At.Before(r.counts(p)) {
		return c // of a stage that is over, or of another rollout
	}
	if p = p.Weigh(); p.Weighed != "" {
		p.Of = []tenant.ID{p.Tenant}
	}
	if r.accepted(p) {
		return c
	}
	r.Stages, r.Pages = slices.Clone(r.Stages), slices.Clone(r.Pages)
	stage := &r.Stages[r.Stage]
	stage.Teams = slices.Clone(stage.Teams)
	p.Tenants = 1
	if i := slices.IndexFunc(r.Pages, p.same); i >= 0 {
		stage.count(r.teamOf(p), r.Pages[i], -1)
		p = r.Pages[i].with(p)
		r.Pages[i] = p
	} else {
		r.room()
		r.Pages = append(r.Pages, p)
	}
	stage.count(r.teamOf(p), p, 1)
	if p.Verdict == Extra {
		r.judge(p, now)
	}
	if r.miss(p); r.State == Halted {
		c.halted()
	}
	return c.sealed()
}

// counts is from when on a page counts. What is judged over all tenants is in shadow from
// one stage to the next: what was too late for one counts in the other.
func (r *Rollout) counts(p Page) time.Time {
	began := *r.Stages[r.Stage].StartedAt
	if p.Tenant == tenant.Product {
		return began.Add(-r.KnownAfter())
	}
	return began
}

// room makes place for one page more. What calls nobody goes first.
func (r *Rollout) room() {
	if len(r.Pages) < maxPages {
		return
	}
	i := max(0, slices.IndexFunc(r.Pages, func(p Page) bool { return p.Verdict == Small }))
	r.Pages = slices.Delete(r.Pages, i, i+1)
}

// judge halts the rollout when the team of an extra page has more than it may.
func (r *Rollout) judge(p Page, now time.Time) {
	stage, team := &r.Stages[r.Stage], r.teamOf(p)
	r.allow(stage, now)
	t := stage.team(team)
	if t.Extra <= t.Allowed {
		return
	}
	whom := "all teams together"
	if team != "" {
		whom = "team " + team
	}
	last := p.Reason
	if p.Weighed != "" {
		last += "; " + p.Weighed
	}
	r.State, r.NextAt, r.Held = Halted, time.Time{}, ""
	r.Why = fmt.Sprintf("in shadow at %d tenant(s) it made %d page(s) beyond those of revision %d, of %d allowed, for %s (%.3g a week over all tenants); the last: %s",
		stage.Tenants, t.Extra, r.From, t.Allowed, whom, r.budget(team), last)
}
