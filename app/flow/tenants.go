package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// PutTenant stores a tenant's document and assigns a profile. match is the
// revision the caller saw; 0 asks for nothing. created says that it is new.
func (s *Shared) PutTenant(tx *partition.Tx, h *Handler, t tenant.Tenant, match int, actor string) (p profiles.Profile, stored tenant.Tenant, created bool, err error) {
	return s.putTenant(tx, h, t, match, actor, "")
}

// putTenant is PutTenant with a cause of its own; empty: what changed is the cause.
func (s *Shared) putTenant(tx *partition.Tx, h *Handler, t tenant.Tenant, match int, actor, cause string) (p profiles.Profile, stored tenant.Tenant, created bool, err error) {
	var old tenant.Tenant
	exists, err := tx.Get(directory.Tenants, string(t.ID), &old)
	if err != nil {
		return p, t, false, err
	}
	if err := matches(match, exists, old.Revision); err != nil {
		return p, t, false, err
	}
	if t, err = t.Following(old, tx.Now()).Normalise(tx.Now()); err != nil {
		return p, t, false, err
	}
	if err := t.Begun(tx.Now()); err != nil {
		return p, t, false, err
	}
	t.Revision = old.Revision
	if exists && old.Same(t) {
		p, err = s.Profiles().Current(tx, old)
		return p, old, false, err
	}
	if !exists && s.directory.Count() >= s.maxTenants() {
		return p, t, false, problem.New(problem.TooMany, "there are as many tenants as limits.tenants allows").WithHint("offboard some, or raise limits.tenants in tocsin.yaml")
	}
	t.Revision++
	if err := tx.Put(directory.Tenants, string(t.ID), "tenant", 1, t); err != nil {
		return p, t, false, err
	}
	kind, why := "tenant.onboarded", "onboarded"
	if exists {
		kind, why = "tenant.changed", t.Changes(old)
	} else if err := s.begins(tx, t.ID); err != nil {
		return p, t, false, err
	}
	if cause == "" {
		cause = why
	}
	tx.Log(ledger.Entry{Subject: t.ID.Subject(), Kind: kind, Actor: actor,
		Reason: fmt.Sprintf("tenant %s %s (revision %d, %s): %s", t.ID, strings.TrimPrefix(kind, "tenant."), t.Revision, t.State, cause), Data: partition.Payload(t)})
	triple, err := h.profiles.Follow(tx, t, actor, cause)
	if err != nil {
		return p, t, false, err
	}
	if p, err = s.Profiles().Make(tx, t, triple); err != nil {
		return p, t, false, err
	}
	return p, t, !exists, s.takeUp(tx, h, old, t, p.Rules, cause)
}

// begins forgets what is known of somebody who had the id before, and notes that there was one.
func (s *Shared) begins(tx *partition.Tx, id tenant.ID) error {
	revisions, err := course.Forget(tx, id)
	if err != nil {
		return err
	}
	_, left, err := tx.Raw(directory.Formers, string(id))
	if err != nil || !left && revisions == 0 { // a release that noted nobody kept the revisions
		return err
	}
	return s.leaves(tx, id)
}

// leaves notes that what is kept of an id so far is of nobody who has it from now on.
func (s *Shared) leaves(tx *partition.Tx, id tenant.ID) error {
	f, err := directory.PutFormer(tx, id)
	tx.After(func() { s.directory.Left(f) })
	return err
}

// takeUp puts a stored document in force.
func (s *Shared) takeUp(tx *partition.Tx, h *Handler, old, t tenant.Tenant, rules []rule.Rule, why string) error {
	begins := s.JournalEnd()
	switch fresh := old.ID == ""; {
	case t.State == tenant.Retired && old.State != tenant.Retired && !fresh:
		// Its alerts end with the same commit: after it nobody would know of them.
		if err := h.ends(tx, t.ID, "the tenant is "+string(t.State)); err != nil {
			return err
		}
		tx.PutRaw(checkpoint(t.ID, s.mark(begins, tx), nil))
	case fresh:
		tx.PutRaw(checkpoint(t.ID, s.mark(begins, tx), nil))
	case t.Watched() && !old.Watched(): // what came meanwhile is not judged by a replay either
		state, err := h.engine.Checkpoint(t.ID)
		if err != nil {
			return err
		}
		tx.PutRaw(checkpoint(t.ID, s.mark(begins, tx), state))
	default:
		begins = h.at[t.ID]
	}
	tx.After(func() {
		h.at[t.ID] = begins
		s.recount(func() {
			s.directory.Put(t)
			h.watch(t, rules, tx.Now(), why)
		})
	})
	return nil
}

// ends has a tenant's alerts end, and what is known of it forgotten, with the commit.
func (h *Handler) ends(tx *partition.Tx, id tenant.ID, why string) error {
	if err := h.evaluated(tx, h.engine.Advance(tx.Now())); err != nil { // what it has to say comes first
		return err
	}
	if err := h.raised.End(tx, h.engine.Ending(id, why)); err != nil {
		return err
	}
	tx.After(func() {
		h.engine.RemoveTenant(id)
		h.countBlind(id, false)
	})
	return nil
}

func matches(match int, exists bool, revision int) error {
	if match == 0 || exists && match == revision {
		return nil
	}
	if !exists {
		return problem.New(problem.Conflict, "there is no such tenant any more").WithHint("leave If-Match out to onboard it")
	}
	return problem.New(problem.Conflict, "the tenant was changed meanwhile: it is at revision %d", revision).WithHint("read it again and send If-Match with its ETag")
}

func (s *Shared) maxTenants() int {
	if s.Settings.MaxTenants > 0 {
		return s.Settings.MaxTenants
	}
	return 100_000
}

// OptIn switches a feature on or off. match is as with PutTenant; reason is why it is
// switched off, and may be empty.
func (s *Shared) OptIn(tx *partition.Tx, h *Handler, id tenant.ID, feature string, in bool, match int, actor, reason string) (profiles.Profile, tenant.Tenant, error) {
	t, err := directory.Document(tx, id)
	if err != nil {
		return profiles.Profile{}, t, err
	}
	other := func(f string) bool { return f != feature }
	has := slices.Contains(t.Features, feature)
	if policy, _ := s.Rules().Of(id); !in && !has && !policy.Knows(feature) {
		hint := "it has opted in to none"
		if len(t.Features) > 0 {
			hint = fault.Suggest(feature, t.Features)
		}
		return profiles.Profile{}, t, problem.New(problem.Invalid, "the tenant has not opted in to the feature, and the policy does not know it").WithHint("%s", hint)
	}
	if in && !has {
		t.Features = append(t.Features, feature)
	} else if !in {
		t.Features = filter(t.Features, other)
		t.OptIns = filter(t.OptIns, func(o tenant.OptIn) bool { return other(o.Feature) })
	}
	cause := ""
	if !in && reason != "" {
		cause = "the tenant opted out of " + feature + ": " + reason
	}
	p, t, _, err := s.putTenant(tx, h, t, match, actor, cause)
	return p, t, err
}

func filter[T any](in []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(in), func(v T) bool { return !keep(v) })
}

// DeleteTenant offboards: the document goes, nothing of it is evaluated any
// more; ledger and history stay until they expire. match is as with PutTenant.
func (s *Shared) DeleteTenant(tx *partition.Tx, h *Handler, id tenant.ID, match int, actor string) error {
	var old tenant.Tenant
	ok, err := tx.Get(directory.Tenants, string(id), &old)
	if err != nil {
		return err
	}
	if err := matches(match, ok, old.Revision); err != nil {
		return err
	}
	if !ok {
		return directory.Nobody()
	}
	tx.Delete(directory.Tenants, string(id))
	tx.Delete(cells, string(id))
	if err := s.leaves(tx, id); err != nil {
		return err
	}
	tx.Log(ledger.Entry{Subject: id.Subject(), Kind: "tenant.offboarded", Actor: actor, Reason: fmt.Sprintf("tenant %s was offboarded; its history stays until it expires", id)})
	// Its alerts end with the same commit: after it nobody would know of them.
	const why = "the tenant was removed"
	if err := h.ends(tx, id, why); err != nil {
		return err
	}
	if err := h.asked.End(tx, id, why); err != nil {
		return err
	}
	if _, err := forgetNoted(tx, id); err != nil {
		return err
	}
	c, err := course.Read(tx, id)
	if err != nil {
		return err
	}
	h.profiles.Tell(tx, old, c.State, evolution.State{})
	tx.After(func() {
		delete(h.at, id)
		h.trials.Drop(id)
		s.scale.Forget(id)
		s.recount(func() { s.directory.Remove(id) })
	})
	return nil
}

// Adopt onboards a tenant as it is, because it sends; one that is there stays.
func (s *Shared) Adopt(tx *partition.Tx, h *Handler, id tenant.ID) (profiles.Profile, tenant.Tenant, bool, error) {
	var old tenant.Tenant
	if ok, err := tx.Get(directory.Tenants, string(id), &old); err != nil || ok {
		return profiles.Profile{}, old, false, err
	}
	return s.putTenant(tx, h, tenant.Tenant{ID: id}, 0, "tocsin", "onboarded, because it sends and onboarding is automatic")
}
