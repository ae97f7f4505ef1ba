package revision

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// basis is what a tenant's profile is a function of at this moment: policy, document
// and what is observed, unless a pin or a freeze says otherwise. last is the newest
// revision, of which some goes on; has is false when there is none.
func (m *Maker) basis(tx *partition.Tx, t tenant.Tenant, c course.Course, last profiles.Triple, has bool) (profiles.Triple, error) {
	policy, number := m.Rules().Of(t.ID)
	now := tx.Now()
	of := profiles.Triple{Document: &t, PolicyRevision: number, PolicySha: policy.Sha, TenantRevision: t.Revision, Observation: m.Observe(policy)}
	of.Observation.Tier, of.Observation.TPM = c.Tier, c.TPM
	pin, pinned := course.PinOf(c, policy, t.ID, now)
	kept := 0
	switch {
	case pinned && pin.Revision > 0:
		kept = pin.Revision
	case c.Freeze != nil:
		kept = c.Newest
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
		of.Observation.Weight = m.Scale.Weight(policy, t, last.Observation.Weight, m.Directory.Watched(), now)
	}
	if of.Observation.Priors = last.Observation.Priors; !has || last.Observation.Tier != of.Observation.Tier {
		of.Observation.Priors = m.Priors.Of(of.Observation.Tier)
	}
	return of, nil
}

// differs says in what a profile's basis is another than that of the last revision;
// empty: in nothing that a revision is made for.
func (m *Maker) differs(tx *partition.Tx, last, now profiles.Triple) (string, error) {
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
	old, _, err := m.compile(tx, last)
	if err != nil {
		return "", err
	}
	rules, _, err := m.compile(tx, now)
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
	return budgeted(a.Budgets, b.Budgets), nil
}

// budgeted says what became of the budgets of services.
func budgeted(before, after map[string]profiles.Budget) string {
	for _, service := range slices.Sorted(maps.Keys(after)) {
		was, now := before[service], after[service]
		switch {
		case was.Sensitivity != now.Sensitivity:
			return fmt.Sprintf("team %s wants to hear otherwise now: %s, before: %s", now.Team, cmp.Or(now.Sensitivity, rule.Balanced), cmp.Or(was.Sensitivity, rule.Balanced))
		case was.Team == now.Team && was.FalsePagesPerWeek != now.FalsePagesPerWeek:
			return fmt.Sprintf("team %s bears %g false pages a week now, before: %g", now.Team, now.FalsePagesPerWeek, was.FalsePagesPerWeek)
		}
	}
	return "the team's budget changed"
}

func sameRule(a, b rule.Rule) bool { return reflect.DeepEqual(a, b) }
