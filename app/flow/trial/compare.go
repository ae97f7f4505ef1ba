package trial

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
)

// Compare looks at a trial again: what the other policy made of the fault is told to
// the policy's home, once. It is kept for as long as the other may still need it.
func (b *Bench) Compare(tx *partition.Tx, key string) error {
	var v trial
	if ok, err := tx.Get(records, key, &v); err != nil || !ok {
		return err
	}
	if v.attempt() != b.Tries(v.Key.Tenant) {
		tx.Delete(records, key)
		return nil
	}
	if !v.Compared {
		if err := b.verdict(tx, v); err != nil {
			return err
		}
		v.Compared = true
		if err := tx.Put(records, key, "trial", 1, v); err != nil {
			return err
		}
	} else if v.EndsAt != nil && tx.Now().Sub(*v.EndsAt) > Wait {
		tx.Delete(records, key)
		return nil
	}
	compareAt(tx, v, tx.Now().Add(2*Wait))
	return nil
}

func (b *Bench) verdict(tx *partition.Tx, v trial) error {
	mine, other, err := b.sides(tx, v)
	if err != nil {
		return err
	}
	found := other != nil
	if mine == nil { // nobody weighed it
		other = nil
	}
	if found && v.Side == oldSide { // said by the other side
		return nil
	}
	team, _ := b.o.Rules().Catalog.Owner(catalog.ServiceID(v.Key.Service))
	p := rollout.Page{Verdict: rollout.Extra, Team: string(team.ID), Tenant: v.Key.Tenant, Service: v.Key.Service, Slice: v.Key.Slice, Rule: v.Key.Rule, At: v.StartsAt, Onset: v.OnsetAt, Reason: v.Reason, New: mine, Old: other}
	switch {
	case found:
		p.Verdict = rollout.Agreed
	case v.Side == oldSide:
		p.Verdict, p.New, p.Old = rollout.Gone, nil, mine
	}
	if p.Said, p.By, err = spoken(tx, v); err != nil {
		return err
	}
	if v.Proposal != 0 {
		return b.proposalPage(tx, v, p.Weigh())
	}
	policy.Page{Revision: v.Revision, Page: p}.Send(tx, fmt.Sprintf("%d/%s/%s/%d", v.Revision, v.Side, v.Alert, v.StartsAt.UnixMilli()))
	return nil
}

// matches says whether an alert is of the same fault: of the same service and a slice
// that is the same, above or below, at about the same time.
func (t trial) matches(k alert.Key, starts time.Time, ends *time.Time) bool {
	return k.Tenant == t.Key.Tenant && k.Environment == t.Key.Environment && k.Service == t.Key.Service && k.Slice.Related(t.Key.Slice) &&
		!starts.After(t.StartsAt.Add(Wait)) && (ends == nil || !ends.Before(t.StartsAt.Add(-Wait)))
}

// sides is what the policy of a trial makes of its fault, and what the other one does;
// nil: it raises nothing critical.
func (b *Bench) sides(tx *partition.Tx, v trial) (mine, other *rollout.Side, err error) {
	mine = v.Stakes
	noted, err := partition.Values[trial](tx.ListPrefix(records, string(v.Key.Tenant)+"/"))
	if err != nil {
		return nil, nil, err
	}
	for _, o := range noted {
		switch {
		case o.attempt() != v.attempt() || !v.matches(o.Key, o.StartsAt, o.EndsAt):
		case o.Side == v.Side:
			mine = larger(mine, o.Stakes)
		default:
			other = larger(cmp.Or(other, &rollout.Side{}), o.Stakes)
		}
	}
	if other != nil || v.Side == oldSide {
		return mine, other, nil
	}
	raised, err := partition.Values[alert.Alert](tx.List(raise.Records)) // what has fired since before the stage began
	if err != nil {
		return nil, nil, err
	}
	for _, a := range raised {
		if a.Severity == rule.Critical && v.matches(a.Key, a.StartsAt, a.EndsAt) {
			a.State = alert.Firing // as it was
			other = larger(cmp.Or(other, &rollout.Side{}), b.stakes(oldSide, a, v.StartsAt))
		}
	}
	return mine, other, nil
}

// larger is what two views of one tenant's fault have at stake.
func larger(a, b *rollout.Side) *rollout.Side {
	switch {
	case b == nil:
		return a
	case a == nil || *a == rollout.Side{}:
		return b
	}
	return &rollout.Side{Facts: a.Facts.Or(b.Facts), Limits: a.Limits}
}

// proposalPage notes a page of a proposal, which is decided about where its tenant is.
func (b *Bench) proposalPage(tx *partition.Tx, v trial, p rollout.Page) error {
	c, err := course.Read(tx, v.Key.Tenant)
	if err != nil {
		return err
	}
	page := evolution.Page{Service: p.Service, Rule: p.Rule, Slice: p.Slice, At: p.At.UTC(), Reason: p.Reason, Weighed: p.Weighed, Said: p.Said, By: p.By}
	what := ""
	switch {
	case p.Verdict == rollout.Agreed:
		page.Verdict, what = evolution.Agreed, "would have paged, as the rules in force did"
	case p.Verdict == rollout.Extra:
		page.Verdict, what = evolution.Extra, "would have paged, the rules in force did not"
	case p.Verdict == rollout.Gone:
		page.Verdict, what = evolution.Missed, "would not have paged, the rules in force did"
	case p.Old == nil:
		page.Verdict, what = evolution.Ticket, "would have opened a ticket that calls nobody, the rules in force did not"
	case p.New == nil:
		page.Verdict, what = evolution.TicketMissed, "would not have opened a ticket that calls nobody, the rules in force did"
	default:
		return nil // a ticket by either
	}
	change := evolution.Paged(c.State, v.Proposal, page)
	if !change.Changed {
		return nil
	}
	c.State = change.State
	why := p.Reason
	if p.Weighed != "" {
		why += "; " + p.Weighed
	}
	tx.Log(ledger.Entry{Subject: v.Key.Tenant.Subject(), Refs: []string{"alert/" + string(v.Alert)}, Kind: "profile.shadow_page",
		Reason: fmt.Sprintf("proposal %d %s: %s", v.Proposal, what, why)})
	return course.Put(tx, v.Key.Tenant, c)
}
