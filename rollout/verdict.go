package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Word is what somebody said of an alert of the policy in force.
type Word struct {
	Tenant tenant.ID `json:"tenant"`
	alert.Word
}

// About says whether a page is of the fault that a word is about.
func (w Word) About(p Page) bool {
	return (p.Tenant == w.Tenant || slices.Contains(p.Of, w.Tenant) || p.Tenant == tenant.Product) && w.Word.About(p.Service, p.Slice, p.At)
}

// Judged notes a word on what the policy in force raised for a tenant in shadow. A fault that
// was real and that the new policy would have called nobody for halts the rollout: pages that
// go away are wanted as long as they were false. An extra page of what was real is none that
// a team's budget is for.
func Judged(s State, w Word) Change {
	c := Change{State: s}
	r := &c.Rollout
	if r.State != Shadow && r.State != Halted || r.Stages[r.Stage].StartedAt == nil {
		return c
	}
	r.Stages, r.Pages = slices.Clone(r.Stages), slices.Clone(r.Pages)
	stage := &r.Stages[r.Stage]
	stage.Teams = slices.Clone(stage.Teams)
	heard := false
	for i, p := range r.Pages {
		if p.Said == w.Said || !w.About(p) || p.At.Before(r.counts(p)) {
			continue
		}
		heard = true
		stage.count(r.teamOf(p), p, -1)
		p.Said, p.By = w.Said, w.By
		r.Pages[i] = p
		stage.count(r.teamOf(p), p, 1)
		r.miss(p)
	}
	if !heard {
		return Change{State: s}
	}
	if r.State == Halted && s.Rollout.State != Halted {
		c.halted()
	}
	return c.sealed()
}

// Sayings are the sentences on a page: why it was raised, why somebody would be called, or
// nobody, and what somebody said of it.
func (p Page) Sayings() []string {
	out := []string{p.Reason}
	if p.Weighed != "" {
		out = append(out, p.Weighed)
	}
	if p.Said != "" {
		out = append(out, fmt.Sprintf("%s said that it was %s", p.By, p.Said.Words()))
	}
	return out
}

// Whose says of whom it is.
func (p Page) Whose() string {
	if p.Tenant == tenant.Product {
		return "all tenants together"
	}
	return string(p.Tenant)
}

// miss halts the rollout when the new policy would have called nobody for what was real.
func (r *Rollout) miss(p Page) {
	if p.Verdict != Gone || p.Said != alert.VerdictReal || r.State != Shadow {
		return
	}
	r.State, r.NextAt, r.Held = Halted, time.Time{}, ""
	r.Why = fmt.Sprintf("in shadow it would have called nobody for what %s said was real: %s of %s at %s", p.By, p.Rule, p.Whose(), clock(p.At))
}

func (c *Change) halted() {
	r := c.Rollout
	c.log("policy.rollout_halted", "", "policy revision %d, stage %d of %d is halted: %s", r.To, r.Stage+1, len(r.Stages), r.Why)
}
