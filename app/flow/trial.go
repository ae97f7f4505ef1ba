package flow

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/incident"
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
	OnsetAt  time.Time  `json:"onset_at"`
	StartsAt time.Time  `json:"starts_at"`
	EndsAt   *time.Time `json:"ends_at"`
	Reason   string     `json:"reason"`
	Compared bool       `json:"compared"`
	// Stakes are the most that was at stake; nil: noted by a release that did not weigh.
	Stakes *rollout.Side `json:"stakes"`
}

func (t trial) key() string { return fmt.Sprintf("%s/%s/%s", t.Key.Tenant, t.Side, t.Alert) }

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
func (s *Shared) attempt(t tenant.Tenant, c course.Course, still bool) (a attempt) {
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
func (s *Shared) shadow(t tenant.Tenant, c course.Course, o profiles.Observation, a attempt, now time.Time) []rule.Rule {
	p, _ := s.Rules().Of(t.ID)
	switch {
	case a == attempt{}:
		return nil
	case a.proposal != 0:
		o.Tier, o.Priors = c.Proposal.To, s.priors.Of(c.Proposal.To)
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
	v := trial{Revision: tried.policy, Proposal: tried.proposal, Side: of, Alert: a.ID, Key: a.Key, OnsetAt: a.OnsetAt, StartsAt: a.StartsAt, EndsAt: a.EndsAt, Reason: a.Reason}
	if a.State == alert.Firing && a.Severity == rule.Critical {
		v.Stakes = h.s.trialStakes(of, a, tx.Now())
	}
	var old trial
	known, err := tx.Get(trials, v.key(), &old)
	if err != nil {
		return err
	}
	same := known && old.attempt() == tried && old.StartsAt.Equal(a.StartsAt)
	switch {
	case same && old.EndsAt == nil && a.EndsAt == nil && old.grown(v): // more is at stake
		v = old
	case same && (old.EndsAt != nil || a.EndsAt == nil): // newer evidence only
		return nil
	case same:
		v = old
		v.EndsAt = a.EndsAt
	case a.State != alert.Firing || a.Severity != rule.Critical: // it wakes nobody
		return nil
	default:
		h.compareAt(tx, v, tx.Now().Add(h.s.knownAfter(tried)))
	}
	return tx.Put(trials, v.key(), "trial", 1, v)
}

// trialStakes is what an alert puts at stake, by the policy that raises it or would.
func (s *Shared) trialStakes(of side, a alert.Alert, now time.Time) *rollout.Side {
	t, ok := s.directory.Get(a.Tenant)
	if !ok && a.Tenant != tenant.Product {
		return nil
	}
	r := s.Rules()
	policy, _ := r.Of(a.Tenant)
	if next, _, ok := r.Beside(a.Tenant); ok && of == newSide {
		policy = next
	}
	stake := incident.Stake{} // all tenants are the whole
	if ok {
		stake = s.scale().Stake(t, now)
	}
	team, _ := r.Catalog.Owner(catalog.ServiceID(a.Service))
	l := whole.Limits(policy, r.Catalog, team, s.directory.Watched(), now)
	l.Held = whole.Held(policy, incident.Incident{Environment: a.Environment, Service: a.Service}, &a, s.directory.Get, now)
	l.Held = cmp.Or(policy.Silent(a.Environment), l.Held)
	return &rollout.Side{Facts: incident.AtStake(a, stake), Limits: l}
}

// grown takes over what is more at stake than before; false: that is not much.
func (t *trial) grown(now trial) bool {
	if t.Compared || t.Stakes == nil || now.Stakes == nil {
		return false
	}
	was := t.Stakes.Facts
	f := was.Or(now.Stakes.Facts)
	f.Weak = now.Stakes.Facts.Weak
	if f.Share <= 1.25*was.Share && f.Sure <= was.Sure && f.LossPerMinute <= 1.25*was.LossPerMinute && (f.Weak == nil) == (was.Weak == nil) {
		return false
	}
	t.Stakes, t.Reason = &rollout.Side{Facts: f, Limits: now.Stakes.Limits}, now.Reason
	return true
}

// knownAfter is how much later what the other policy made of a fault is known.
func (s *Shared) knownAfter(a attempt) time.Duration {
	if n := s.Rules().Next; n != nil && a.policy == n.Revision {
		return n.Rollout.KnownAfter()
	}
	return trialWait
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
	mine, other, err := h.sides(tx, v)
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
	team, _ := h.s.Rules().Catalog.Owner(catalog.ServiceID(v.Key.Service))
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
		return h.proposalPage(tx, v, p.Weigh())
	}
	policy.Page{Revision: v.Revision, Page: p}.Send(tx, fmt.Sprintf("%d/%s/%s/%d", v.Revision, v.Side, v.Alert, v.StartsAt.UnixMilli()))
	return nil
}

// matches says whether an alert is of the same fault: of the same service and a slice
// that is the same, above or below, at about the same time.
func (t trial) matches(k alert.Key, starts time.Time, ends *time.Time) bool {
	return k.Tenant == t.Key.Tenant && k.Environment == t.Key.Environment && k.Service == t.Key.Service && k.Slice.Related(t.Key.Slice) &&
		!starts.After(t.StartsAt.Add(trialWait)) && (ends == nil || !ends.Before(t.StartsAt.Add(-trialWait)))
}

// sides is what the policy of a trial makes of its fault, and what the other one does;
// nil: it raises nothing critical.
func (h *Handler) sides(tx *partition.Tx, v trial) (mine, other *rollout.Side, err error) {
	mine = v.Stakes
	records, err := tx.ListPrefix(trials, string(v.Key.Tenant)+"/")
	if err != nil {
		return nil, nil, err
	}
	for _, r := range records {
		o, err := partition.Decode[trial](r)
		switch {
		case err != nil:
			return nil, nil, err
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
	if records, err = tx.List(alerts); err != nil { // what has fired since before the stage began
		return nil, nil, err
	}
	for _, r := range records {
		a, err := partition.Decode[alert.Alert](r)
		if err != nil {
			return nil, nil, err
		}
		if a.Severity == rule.Critical && v.matches(a.Key, a.StartsAt, a.EndsAt) {
			a.State = alert.Firing // as it was
			other = larger(cmp.Or(other, &rollout.Side{}), h.s.trialStakes(oldSide, a, v.StartsAt))
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
func (h *Handler) proposalPage(tx *partition.Tx, v trial, p rollout.Page) error {
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
