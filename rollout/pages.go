package rollout

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	maxPages = 50               // kept with a rollout
	together = 15 * time.Minute // pages of one service and slice within it are one
	chance   = 0.01             // that a policy within its budget is halted at a stage
	week     = 7 * 24 * time.Hour
)

// Verdict is how a page of one policy compares with the other's.
type Verdict string

// The verdicts.
const (
	Extra  Verdict = "extra"  // only the new policy would have made it
	Agreed Verdict = "agreed" // both made it
	Gone   Verdict = "gone"   // only the policy in force made it
)

// Page is one that a policy made or would have made for a tenant in shadow.
type Page struct {
	Verdict Verdict   `json:"verdict"`
	Tenant  tenant.ID `json:"tenant"` // of several the first
	Tenants int       `json:"tenants"`
	Service string    `json:"service"`
	Slice   sli.Slice `json:"slice"`
	Rule    string    `json:"rule"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
}

// same says whether two pages would have been one incident: many tenants of one
// slice fail together.
func (p Page) same(q Page) bool {
	return p.Verdict == q.Verdict && p.Service == q.Service && p.Slice.Key() == q.Slice.Key() && p.At.Sub(q.At).Abs() <= together
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
// seen again when a halted stage begins anew.
func (r Rollout) accepted(p Page) bool {
	return p.Verdict == Extra && p.At.Sub(*r.Stages[r.Stage].StartedAt) <= together && slices.ContainsFunc(r.Accepted, func(q Page) bool {
		return p.Service == q.Service && p.Rule == q.Rule && p.Slice.Key() == q.Slice.Key()
	})
}

// Paged counts a page of a tenant in shadow, once per incident that it would have
// been, and halts the rollout when the new policy makes too many.
func Paged(s State, p Page, now time.Time) Change {
	c := Change{State: s}
	r := &c.Rollout
	if r.State != Shadow || r.Place(p.Tenant) != Beside || p.At.Before(*r.Stages[r.Stage].StartedAt) {
		return c // of a stage that is over, or of another rollout
	}
	if r.accepted(p) {
		return c
	}
	r.Stages, r.Pages = slices.Clone(r.Stages), slices.Clone(r.Pages)
	stage := &r.Stages[r.Stage]
	p.Tenants = 1
	if i := slices.IndexFunc(r.Pages, p.same); i >= 0 {
		r.Pages[i].Tenants++
		return c.sealed()
	}
	if len(r.Pages) == maxPages {
		r.Pages = slices.Delete(r.Pages, 0, 1)
	}
	r.Pages = append(r.Pages, p)
	switch p.Verdict {
	case Agreed:
		stage.Agreed++
	case Gone:
		stage.Gone++
	case Extra:
		stage.Extra++
		stage.Allowed = r.allowed(now)
	}
	if stage.Extra > stage.Allowed {
		r.State, r.NextAt, r.Held = Halted, time.Time{}, ""
		r.Why = fmt.Sprintf("in shadow at %d tenant(s) it made %d page(s) beyond those of revision %d, of %d allowed (%.3g a week over all tenants); the last: %s", stage.Tenants, stage.Extra, r.From, stage.Allowed, r.PagesPerWeek, p.Reason)
		c.log("policy.rollout_halted", "", "policy revision %d, stage %d of %d is halted: %s", r.To, r.Stage+1, len(r.Stages), r.Why)
	}
	return c.sealed()
}

// allowed is how many extra pages a policy within its budget makes in the stage's
// time and tenants, but for one stage in a hundred: the budget is a mean, and a
// rollout that a single page of a quiet stage could halt would never end.
func (r Rollout) allowed(now time.Time) int {
	s := r.Stages[r.Stage]
	span := max(r.stageFor(), now.Sub(*s.StartedAt)) // a hold makes it longer
	mean := r.PagesPerWeek * float64(span) / float64(week) * s.Percent / 100
	if mean > 500 { // exp would be nothing
		return int(math.Ceil(mean + 2.33*math.Sqrt(mean)))
	}
	p := math.Exp(-mean)
	n, below := 0, p
	for below < 1-chance {
		n++
		p *= mean / float64(n)
		below += p
	}
	return n
}
