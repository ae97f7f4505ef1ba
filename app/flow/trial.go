package flow

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A tenant in a rollout's stage runs the new policy in shadow, and one whose volume
// changed the profile that is proposed. What either of the two would page is noted,
// and compared a while later: by then the other one has seen the same fault, or has
// not.

const (
	trials     = "trial"         // trial by tenant/side/alert
	timerTrial = "rollout.trial" // a trial is to be compared
	// trialWait is how much later the one policy may page a fault than the other and
	// still be said to agree.
	trialWait = 15 * time.Minute
)

// side is whose page it is.
type side string

const (
	oldSide side = "old" // of the policy in force
	newSide side = "new" // of the one in shadow
)

// trial is an alert that pages, or would.
type trial struct {
	Revision int        `json:"revision"` // of the policy in shadow; 0: it is a proposal
	Proposal int        `json:"proposal,omitempty"`
	Side     side       `json:"side"`
	Alert    alert.ID   `json:"alert"`
	Key      alert.Key  `json:"key"`
	StartsAt time.Time  `json:"starts_at"`
	EndsAt   *time.Time `json:"ends_at"`
	Reason   string     `json:"reason"`
	Compared bool       `json:"compared"`
}

func (t trial) key() string { return fmt.Sprintf("%s/%s/%s", t.Key.Tenant, t.Side, t.Alert) }

// policyPage tells the policy's home what a comparison brought.
type policyPage struct {
	Revision int          `json:"revision"`
	Page     rollout.Page `json:"page"`
}

func (t trial) attempt() attempt { return attempt{policy: t.Revision, proposal: t.Proposal} }

// attempt is what a tenant tries in shadow: a revision of the policy, or a proposal of
// its own. The zero attempt is nothing.
type attempt struct{ policy, proposal int }

// beside is an attempt with its rules.
type beside struct {
	attempt
	rules []rule.Rule
}

// attempt says what a tenant is to try; still: its profile is kept as it is.
func (s *Shared) attempt(t tenant.Tenant, c Course, still bool) (a attempt) {
	if !t.Watched() || still {
		return a
	}
	if _, number, ok := s.Rules().Beside(t.ID); ok {
		a.policy = number
	} else if c.Proposal != nil && c.Pin == nil {
		a.proposal = c.Proposal.Number
	}
	return a
}

// shadow compiles the rules of an attempt; o is what is observed of the tenant.
func (s *Shared) shadow(t tenant.Tenant, c Course, o profiles.Observation, a attempt, now time.Time) []rule.Rule {
	p, _ := s.Rules().Of(t.ID)
	switch {
	case a == attempt{}:
		return nil
	case a.proposal != 0:
		o.Tier, o.Priors = c.Proposal.To, s.priors.of(c.Proposal.To)
	default:
		p, _, _ = s.Rules().Beside(t.ID)
		o = s.under(p, t, o, now)
	}
	rules, _ := profiles.Compile(p, t, o)
	return rules
}

// sided is an alert with whose it is.
type sided struct {
	of    side
	alert alert.Alert
}

// tryAll notes what both policies of tenants in a rollout's stage would page. The
// detectors have moved on already, so what the store could not take is kept.
func (h *Handler) tryAll(tx *partition.Tx, inForce, inShadow []alert.Alert) {
	tries := func(a alert.Alert) bool { return h.trying[a.Tenant].attempt != attempt{} }
	for _, a := range filter(inForce, tries) {
		h.untried = append(h.untried, sided{oldSide, a})
	}
	for _, a := range filter(inShadow, tries) {
		h.untried = append(h.untried, sided{newSide, a})
	}
	for i, v := range h.untried {
		if err := h.trySide(tx, v.of, v.alert); err != nil {
			h.s.Logger.Error("an alert could not be noted for the rollout yet", slog.String("alert", string(v.alert.ID)), slog.Any("error", err))
			h.untried = h.untried[i:]
			return
		}
	}
	h.untried = nil
}

func (h *Handler) trySide(tx *partition.Tx, of side, a alert.Alert) error {
	tried := h.trying[a.Tenant].attempt
	if tried == (attempt{}) || a.Backlog {
		return nil
	}
	v := trial{Revision: tried.policy, Proposal: tried.proposal, Side: of, Alert: a.ID, Key: a.Key, StartsAt: a.StartsAt, EndsAt: a.EndsAt, Reason: a.Reason}
	var old trial
	known, err := tx.Get(trials, v.key(), &old)
	if err != nil {
		return err
	}
	same := known && old.attempt() == tried && old.StartsAt.Equal(a.StartsAt)
	switch {
	case same && (old.EndsAt != nil || a.EndsAt == nil): // newer evidence only
		return nil
	case same:
		v = old
		v.EndsAt = a.EndsAt
	case a.State != alert.Firing || a.Severity != rule.Critical: // it wakes nobody
		return nil
	default:
		h.compareAt(tx, v, tx.Now().Add(trialWait))
	}
	return tx.Put(trials, v.key(), "trial", 1, v)
}

func (h *Handler) compareAt(tx *partition.Tx, v trial, at time.Time) {
	tx.SetTimer(store.Timer{ID: "trial/" + v.key(), At: at, Subject: v.key(), Kind: timerTrial})
}

// compare looks at a trial again: what the other policy made of the fault is told to
// the policy's home, once. It is kept for as long as the other may still need it.
func (h *Handler) compare(tx *partition.Tx, key string) error {
	var v trial
	if ok, err := tx.Get(trials, key, &v); err != nil || !ok {
		return err
	}
	if v.attempt() != h.trying[v.Key.Tenant].attempt {
		tx.Delete(trials, key)
		return nil
	}
	if !v.Compared {
		if err := h.verdict(tx, v); err != nil {
			return err
		}
		v.Compared = true
		if err := tx.Put(trials, key, "trial", 1, v); err != nil {
			return err
		}
	} else if v.EndsAt != nil && tx.Now().Sub(*v.EndsAt) > trialWait {
		tx.Delete(trials, key)
		return nil
	}
	h.compareAt(tx, v, tx.Now().Add(2*trialWait))
	return nil
}

func (h *Handler) verdict(tx *partition.Tx, v trial) error {
	found, err := h.counterpart(tx, v)
	if err != nil {
		return err
	}
	p := rollout.Page{Verdict: rollout.Extra, Tenant: v.Key.Tenant, Service: v.Key.Service, Slice: v.Key.Slice, Rule: v.Key.Rule, At: v.StartsAt, Reason: v.Reason}
	switch {
	case found && v.Side == newSide:
		p.Verdict = rollout.Agreed
	case found: // said by the other side
		return nil
	case v.Side == oldSide:
		p.Verdict = rollout.Gone
	}
	if v.Proposal != 0 {
		return h.proposalPage(tx, v, p)
	}
	tx.Send(store.Input{ID: fmt.Sprintf("policy_page/%d/%s/%s/%d", v.Revision, v.Side, v.Alert, v.StartsAt.UnixMilli()), Kind: inputPolicyPage, Version: 1,
		Subject: rollout.Subject, Payload: partition.Payload(policyPage{v.Revision, p})})
	return nil
}

// counterpart says whether the other policy pages the same fault: for the same
// service and a slice that is the same, above or below, at about the same time.
func (h *Handler) counterpart(tx *partition.Tx, v trial) (bool, error) {
	matches := func(k alert.Key, starts time.Time, ends *time.Time) bool {
		return k.Tenant == v.Key.Tenant && k.Environment == v.Key.Environment && k.Service == v.Key.Service && k.Slice.Related(v.Key.Slice) &&
			!starts.After(v.StartsAt.Add(trialWait)) && (ends == nil || !ends.Before(v.StartsAt.Add(-trialWait)))
	}
	records, err := tx.ListPrefix(trials, string(v.Key.Tenant)+"/")
	if err != nil {
		return false, err
	}
	for _, r := range records {
		o, err := decode[trial](r)
		if err != nil {
			return false, err
		}
		if o.Side != v.Side && o.attempt() == v.attempt() && matches(o.Key, o.StartsAt, o.EndsAt) {
			return true, nil
		}
	}
	if v.Side == oldSide {
		return false, nil
	}
	if records, err = tx.List(alerts); err != nil { // what has fired since before the stage began
		return false, err
	}
	for _, r := range records {
		a, err := decode[alert.Alert](r)
		if err != nil {
			return false, err
		}
		if a.Severity == rule.Critical && matches(a.Key, a.StartsAt, a.EndsAt) {
			return true, nil
		}
	}
	return false, nil
}

// paged counts a page at the policy's home.
func (h *Handler) paged(tx *partition.Tx, in store.Input) error {
	p, err := payload[policyPage](in)
	if err != nil {
		return err
	}
	s, err := PolicyState(tx)
	if err != nil || s.Rollout.To != p.Revision {
		return err
	}
	if c := rollout.Paged(s, p.Page, tx.Now()); c.Standing.Version != s.Standing.Version {
		h.s.changePolicy(tx, c)
	}
	return nil
}

// proposalPage notes a page of a proposal, which is decided about where its tenant is.
func (h *Handler) proposalPage(tx *partition.Tx, v trial, p rollout.Page) error {
	c, err := ReadCourse(tx, v.Key.Tenant)
	if err != nil {
		return err
	}
	page := evolution.Page{Verdict: evolution.Agreed, Service: p.Service, Rule: p.Rule, Slice: p.Slice, At: p.At.UTC(), Reason: p.Reason}
	what := "would have paged, as the rules in force did"
	switch p.Verdict {
	case rollout.Extra:
		page.Verdict, what = evolution.Extra, "would have paged, the rules in force did not"
	case rollout.Gone:
		page.Verdict, what = evolution.Missed, "would not have paged, the rules in force did"
	}
	change := evolution.Paged(c.State, v.Proposal, page)
	if !change.Changed {
		return nil
	}
	c.State = change.State
	tx.Log(ledger.Entry{Subject: TenantSubject(v.Key.Tenant), Refs: []string{"alert/" + string(v.Alert)}, Kind: "profile.shadow_page",
		Reason: fmt.Sprintf("proposal %d %s: %s", v.Proposal, what, p.Reason)})
	return putCourse(tx, v.Key.Tenant, c)
}
