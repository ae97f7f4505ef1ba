package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// profileVersion of the records of revisions: since 2 they hold the document.
const profileVersion = 2

func readTriple(r store.Record) (profiles.Triple, error) {
	if r.Kind != "profile" || r.Version < profileVersion-1 || r.Version > profileVersion {
		return profiles.Triple{}, problem.New(problem.Internal, "a profile's record of kind %s version %d cannot be read by this release", r.Kind, r.Version)
	}
	return decode[profiles.Triple](r)
}

// forgetProfiles deletes a tenant's revisions.
func forgetProfiles(tx *partition.Tx, id tenant.ID) error {
	records, err := tx.List(profileRevisions)
	if err != nil {
		return err
	}
	for _, r := range records {
		if strings.HasPrefix(r.Key, string(id)+"/") {
			tx.Delete(profileRevisions, r.Key)
		}
	}
	return nil
}

// Explain makes revisions of triples: with reasons, and how each differs from
// the one before.
func (s *Shared) Explain(ctx context.Context, triples []profiles.Triple) []profiles.Revision {
	out := make([]profiles.Revision, len(triples))
	var before []rule.Rule
	known := true // the rules of the revision before
	for i, t := range triples {
		r := profiles.Revision{Triple: t, Reasons: []string{}, Diff: profiles.Compare(nil, nil)}
		p, err := s.policyAt(ctx, t)
		switch {
		case t.Document == nil:
			known = false
			r.Diff.Words = append(r.Diff.Words, "recorded by a release that did not keep what changed")
		case err != nil:
			known = false
			r.Diff.Words = append(r.Diff.Words, fmt.Sprintf("policy revision %d cannot be read any more", t.PolicyRevision))
		default:
			var rules []rule.Rule
			rules, r.Reasons = profiles.Compile(p, *t.Document, t.Observation)
			if known {
				r.Diff = profiles.Compare(before, rules)
			} else {
				r.Diff.Words = append(r.Diff.Words, "what changed is not known: the revision before cannot be read")
			}
			before, known = rules, true
		}
		out[i] = r
	}
	return out
}

func (s *Shared) policyAt(ctx context.Context, t profiles.Triple) (*profiles.Policy, error) {
	if now := s.Rules(); now.Policy.Sha == t.PolicySha {
		return now.Policy, nil
	}
	if s.PolicyAt == nil {
		return nil, problem.New(problem.NotFound, "earlier policies are not kept")
	}
	return s.PolicyAt(ctx, t.PolicyRevision)
}

// assign makes the next revision of a tenant's profile.
func (s *Shared) assign(tx *partition.Tx, t tenant.Tenant, author, cause string) (profiles.Profile, error) {
	revisions, err := Revisions(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	p, number := s.Rules().Of(t.ID)
	triple := profiles.Triple{Number: len(revisions) + 1, PolicyRevision: number, PolicySha: p.Sha, TenantRevision: t.Revision,
		Observation: s.observe(p), At: tx.Now(), Author: author, Cause: cause, Document: &t}
	if err := tx.Put(profileRevisions, profileKey(t.ID, triple.Number), "profile", profileVersion, triple); err != nil {
		return profiles.Profile{}, err
	}
	made := s.profile(t, triple)
	tx.Log(ledger.Entry{Subject: TenantSubject(t.ID), Kind: "profile.assigned", Actor: author,
		Reason: fmt.Sprintf("profile revision %d of %d rule(s), because %s: %s", triple.Number, len(made.Rules), cause, strings.Join(made.Reasons, "; ")),
		Data:   partition.Payload(triple)})
	return made, nil
}

func (s *Shared) profile(t tenant.Tenant, triple profiles.Triple) profiles.Profile {
	policy, _ := s.Rules().Of(t.ID)
	rules, reasons := profiles.Compile(policy, t, triple.Observation)
	if rules == nil {
		rules = []rule.Rule{}
	}
	for _, f := range profiles.Unruled(policy, t) {
		reasons = append(reasons, "no rule follows from the feature "+f+": the policy does not know it")
	}
	triple.Document = nil // the answer has it as the tenant
	return profiles.Profile{Tenant: t.ID, Revision: triple, Rules: rules, Reasons: reasons}
}

func (s *Shared) currentProfile(tx *partition.Tx, t tenant.Tenant) (profiles.Profile, error) {
	revisions, err := Revisions(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	p, number := s.Rules().Of(t.ID)
	if len(revisions) == 0 || revisions[len(revisions)-1].PolicySha != p.Sha {
		return s.assign(tx, t, "tocsin", "the policy is at revision "+fmt.Sprint(number))
	}
	return s.profile(t, revisions[len(revisions)-1]), nil
}

// Revisions lists a tenant's profile revisions, the oldest first.
func Revisions(tx *partition.Tx, id tenant.ID) ([]profiles.Triple, error) {
	records, err := tx.List(profileRevisions)
	if err != nil {
		return nil, err
	}
	out := []profiles.Triple{}
	for _, r := range records {
		if strings.HasPrefix(r.Key, string(id)+"/") {
			v, err := readTriple(r)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// refresh gives the tenants of the partition, and its pools, the profile that
// follows from the policy, catalog and number of tenants of this moment.
func (h *Handler) refresh(tx *partition.Tx) error {
	records, err := tx.List(tenants)
	if err != nil {
		return err
	}
	for _, r := range records {
		t, err := decode[tenant.Tenant](r)
		if err != nil {
			return err
		}
		revisions, err := Revisions(tx, t.ID)
		if err != nil {
			return err
		}
		cause := ""
		policy, number := h.s.Rules().Of(t.ID)
		now := h.s.observe(policy)
		switch last := len(revisions) - 1; {
		case last < 0 || revisions[last].PolicySha != policy.Sha:
			cause = fmt.Sprintf("the policy is at revision %d", number)
		case !revisions[last].Observation.Equal(now):
			cause = fmt.Sprintf("the team's budget is shared by up to %d tenants now, before: %d", now.Tenants, revisions[last].Observation.Tenants)
		case h.woken && h.trying[t.ID] == h.s.tried(t.ID):
			continue
		default: // whoever asked for the profile before this first look may have assigned it
			p := h.s.profile(t, revisions[last])
			tx.After(func() { h.watch(t, p.Rules, tx.Now(), "the profile changed") })
			continue
		}
		p, err := h.s.assign(tx, t, "tocsin", cause)
		if err != nil {
			return err
		}
		tx.After(func() { h.watch(t, p.Rules, tx.Now(), cause) })
	}
	for subject, pool := range h.pools {
		_, service, _ := cutPool(subject)
		pool.SetRules(profiles.Pooled(h.s.Rules().Policy, service, h.s.observation()))
	}
	return nil
}

// storedRules compiles the profile a tenant had when the process stopped; at the
// first start of a changed policy that is the new one.
func (s *Shared) storedRules(ctx context.Context, p store.Partition, t tenant.Tenant) ([]rule.Rule, error) {
	policy, _ := s.Rules().Of(t.ID)
	o := s.observe(policy)
	records, err := partition.All(ctx, s.Store, p, profileRevisions)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if strings.HasPrefix(r.Key, string(t.ID)+"/") {
			triple, err := readTriple(r)
			if err != nil {
				return nil, err
			}
			o = triple.Observation
		}
	}
	rules, _ := profiles.Compile(policy, t, o)
	return rules, nil
}

func profileKey(id tenant.ID, number int) string { return fmt.Sprintf("%s/%08d", id, number) }

// Profile compiles a tenant's current profile.
func (s *Shared) Profile(tx *partition.Tx, id tenant.ID) (profiles.Profile, error) {
	var t tenant.Tenant
	ok, err := tx.Get(tenants, string(id), &t)
	if err != nil {
		return profiles.Profile{}, err
	}
	if !ok {
		return profiles.Profile{}, problem.New(problem.NotFound, "there is no such tenant")
	}
	return s.currentProfile(tx, t)
}
