package flow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Explain makes revisions of triples: with reasons, and how each differs from
// the one before.
func (s *Shared) Explain(ctx context.Context, triples []profiles.Triple) []profiles.Revision {
	out := make([]profiles.Revision, len(triples))
	var before []rule.Rule
	known := true // the rules of the revision before
	for i, t := range triples {
		r := profiles.Revision{Triple: t, Reasons: []string{}, Diff: profiles.Compare(nil, nil)}
		p, err := s.Policy().At(ctx, t)
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

// stored is a tenant with what its profile was when the process stopped.
type stored struct {
	course course.Course
	last   profiles.Triple
	rules  []rule.Rule
}

// storedProfile compiles the profile that a tenant had when the process stopped; at
// the first start of a changed policy that is the new one, unless it is kept.
func (s *Shared) storedProfile(ctx context.Context, at store.Partition, t tenant.Tenant) (out stored, err error) {
	if out.course, out.last, err = course.Stored(ctx, s.Store, at, t.ID); err != nil {
		return out, err
	}
	policy, _ := s.Rules().Of(t.ID)
	document := t
	if out.last.Number == 0 {
		out.last.Observation = s.observe(policy)
	}
	if kept := out.last.Document; kept != nil && course.Fixed(out.course, policy, t.ID, out.last.At) {
		document = *kept
		document.State = t.State
		if p, err := s.Policy().At(ctx, out.last); err == nil {
			policy = p
		}
	}
	out.rules, _ = profiles.Compile(policy, document, out.last.Observation)
	return out, nil
}

// Profile compiles a tenant's current profile.
func (s *Shared) Profile(tx *partition.Tx, id tenant.ID) (profiles.Profile, error) {
	var t tenant.Tenant
	ok, err := tx.Get(tenants, string(id), &t)
	if err != nil {
		return profiles.Profile{}, err
	}
	if !ok {
		return profiles.Profile{}, noTenant()
	}
	return s.currentProfile(tx, t)
}

// currentProfile is the profile of the newest revision. Before there is one it is
// what the first look will make.
func (s *Shared) currentProfile(tx *partition.Tx, t tenant.Tenant) (profiles.Profile, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	last, ok, err := course.At(tx, t.ID, c.Newest)
	if err == nil && !ok {
		last, err = s.basis(tx, t, c)
	}
	if err != nil {
		return profiles.Profile{}, err
	}
	return s.profile(tx, t, last)
}

// basis is what a tenant's profile is a function of at this moment: policy, document
// and what is observed, unless a pin or a freeze says otherwise.
func (s *Shared) basis(tx *partition.Tx, t tenant.Tenant, c course.Course) (profiles.Triple, error) {
	policy, number := s.Rules().Of(t.ID)
	now := tx.Now()
	of := profiles.Triple{Document: &t, PolicyRevision: number, PolicySha: policy.Sha, TenantRevision: t.Revision, Observation: s.observe(policy)}
	of.Observation.Tier, of.Observation.TPM = c.Tier, c.TPM
	pin, pinned := course.PinOf(c, policy, t.ID, now)
	kept := 0
	switch {
	case pinned && pin.Revision > 0:
		kept = pin.Revision
	case c.Freeze != nil:
		kept = c.Newest
	}
	last, has, err := course.At(tx, t.ID, c.Newest)
	if err != nil {
		return of, err
	}
	if kept > 0 {
		at, ok, err := course.At(tx, t.ID, kept)
		if err != nil {
			return of, err
		}
		if ok && at.Document != nil {
			document := *at.Document
			document.State = t.State // who is onboarded is no question of the profile
			at.Document = &document
			of = at
		}
	}
	if pinned && pin.Tier != "" {
		of.Observation.Tier = pin.Tier
	}
	of.Observation.Overrides = slices.Concat(policy.InForce(t.ID, now), course.InForce(c.Overrides, now))
	if of.Observation.Weight = last.Observation.Weight; has && kept == 0 { // a frozen profile keeps its part too
		of.Observation.Weight = s.scale().Weight(policy, t, last.Observation.Weight, s.directory.Watched(), now)
	}
	if of.Observation.Priors = last.Observation.Priors; !has || last.Observation.Tier != of.Observation.Tier {
		of.Observation.Priors = s.priors.Of(of.Observation.Tier)
	}
	return of, nil
}

// differs says in what a profile's basis is another than that of the last revision;
// empty: in nothing that a revision is made for.
func (s *Shared) differs(tx *partition.Tx, last, now profiles.Triple) (string, error) {
	policies := last.PolicySha != now.PolicySha
	documents := last.TenantRevision != now.TenantRevision
	a, b := last.Observation, now.Observation
	switch {
	case policies:
		return fmt.Sprintf("the policy is at revision %d", now.PolicyRevision), nil
	case documents:
		return "the tenant's document is followed again", nil
	case a.Equal(b):
		return "", nil
	case a.Tenants != b.Tenants:
		return fmt.Sprintf("the team's budget is shared by up to %d tenants now, before: %d", b.Tenants, a.Tenants), nil
	}
	old, _, err := s.compile(tx, last)
	if err != nil {
		return "", err
	}
	rules, _, err := s.compile(tx, now)
	if err != nil {
		return "", err
	}
	switch {
	case slices.EqualFunc(old, rules, sameRule):
		return "", nil
	case a.Weight != b.Weight:
		return fmt.Sprintf("the tenant's part of the turnover changed: it has %s of its teams' budgets now, before: %s", b.PartWords(), a.PartWords()), nil
	case a.Tier != b.Tier:
		return fmt.Sprintf("the tenant is in tier %s", b.Tier), nil
	case len(b.Overrides) < len(a.Overrides):
		return "an override has ended", nil
	case len(b.Overrides) > len(a.Overrides):
		return "there is an override", nil
	}
	for _, service := range slices.Sorted(maps.Keys(b.Budgets)) {
		now := b.Budgets[service]
		if was := a.Budgets[service]; was.Sensitivity != now.Sensitivity {
			return fmt.Sprintf("team %s wants to hear otherwise now: %s, before: %s", now.Team, cmp.Or(now.Sensitivity, rule.Balanced), cmp.Or(was.Sensitivity, rule.Balanced)), nil
		}
	}
	return "the team's budget changed", nil
}

func sameRule(a, b rule.Rule) bool { return reflect.DeepEqual(a, b) }

// compile makes the rules of a triple.
func (s *Shared) compile(tx *partition.Tx, t profiles.Triple) ([]rule.Rule, []string, error) {
	if t.Document == nil {
		return nil, nil, nil
	}
	p, err := s.Policy().At(tx.Context(), t)
	if err != nil {
		return nil, nil, err
	}
	rules, reasons := profiles.Compile(p, *t.Document, t.Observation)
	return rules, reasons, nil
}

// noTenant is what is said of an id that nobody has.
func noTenant() error { return problem.New(problem.NotFound, "there is no such tenant") }
