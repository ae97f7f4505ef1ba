package revision

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Under is what a tenant's profile under a policy depends on besides its
// document, when it depends on what was observed under the one it has.
func (m *Maker) Under(p *profiles.Policy, t tenant.Tenant, now time.Time) profiles.Observation {
	return m.under(p, t, m.Directory.Observed(t.ID), now)
}

func (m *Maker) under(p *profiles.Policy, t tenant.Tenant, o profiles.Observation, now time.Time) profiles.Observation {
	base := m.Observe(p)
	o.Tenants, o.Budgets = base.Tenants, base.Budgets
	has, _ := m.Rules().Of(t.ID)
	made := slices.DeleteFunc(slices.Clone(o.Overrides), func(x profiles.Override) bool { // those by API stay
		return slices.ContainsFunc(has.Overrides, func(y profiles.Override) bool {
			ends := x.Until.Equal(y.Until)
			y.Until = x.Until
			return ends && x == y
		})
	})
	o.Overrides = slices.Concat(p.InForce(t.ID, now), made)
	// A tier that is not that of the promised volume is pinned, or held.
	promised := o.TPM == 0 && t.ExpectedTPM > 0 && o.Tier == has.TierOf(t.ExpectedTPM).Name
	was, held := has.Pinned(t.ID, now)
	switch is, pinned := p.Pinned(t.ID, now); {
	case pinned && is.Tier != "" && is.Tier != was.Tier:
		o.Tier = is.Tier
	case !pinned && (promised || held && was.Tier == o.Tier): // not where a person's pin holds
		o.Tier = p.TierOf(cmp.Or(o.TPM, t.ExpectedTPM)).Name
	}
	if _, known := p.Tier(o.Tier); !known {
		o.Tier = p.TierOf(cmp.Or(o.TPM, t.ExpectedTPM)).Name
	}
	return o
}

// shadow compiles the rules of an attempt; o is what is observed of the tenant.
func (m *Maker) shadow(t tenant.Tenant, c course.Course, o profiles.Observation, a trial.Attempt, now time.Time) []rule.Rule {
	p, _ := m.Rules().Of(t.ID)
	switch {
	case a == trial.Attempt{}:
		return nil
	case a.Proposal != 0:
		o.Tier, o.Priors = c.Proposal.To, m.Priors.Of(c.Proposal.To)
	default:
		p, _, _ = m.Rules().Beside(t.ID)
		tier := o.Tier
		o = m.under(p, t, o, now)
		if _, known := p.Tier(tier); known && c.Pin != nil { // a person's, before the policy's
			o.Tier = tier
		}
	}
	rules, _ := profiles.Compile(p, t, o)
	return rules
}
