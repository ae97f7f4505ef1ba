package flow

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// ObserveUnder is what a tenant's profile under a policy depends on besides its
// document, when it depends on what was observed under the one it has.
func (s *Shared) ObserveUnder(p *profiles.Policy, t tenant.Tenant, now time.Time) profiles.Observation {
	return s.under(p, t, s.directory.Observed(t.ID), now)
}

func (s *Shared) under(p *profiles.Policy, t tenant.Tenant, o profiles.Observation, now time.Time) profiles.Observation {
	base := s.observe(p)
	o.Tenants, o.Budgets = base.Tenants, base.Budgets
	has, _ := s.Rules().Of(t.ID)
	made := filter(o.Overrides, func(x profiles.Override) bool { // by API
		return !slices.ContainsFunc(has.Overrides, func(y profiles.Override) bool {
			ends := x.Until.Equal(y.Until)
			y.Until = x.Until
			return ends && x == y
		})
	})
	o.Overrides = slices.Concat(p.InForce(t.ID, now), made)
	if _, known := p.Tier(o.Tier); !known {
		o.Tier = p.TierOf(cmp.Or(o.TPM, t.ExpectedTPM)).Name
	}
	return o
}

// shadow compiles the rules of an attempt; o is what is observed of the tenant.
func (s *Shared) shadow(t tenant.Tenant, c course.Course, o profiles.Observation, a trial.Attempt, now time.Time) []rule.Rule {
	p, _ := s.Rules().Of(t.ID)
	switch {
	case a == trial.Attempt{}:
		return nil
	case a.Proposal != 0:
		o.Tier, o.Priors = c.Proposal.To, s.priors.Of(c.Proposal.To)
	default:
		p, _, _ = s.Rules().Beside(t.ID)
		o = s.under(p, t, o, now)
	}
	rules, _ := profiles.Compile(p, t, o)
	return rules
}

// Volumes are the transactions a minute of those tenants that have some now, by the
// SLI that the policy calls their volume.
func (s *Shared) Volumes(ctx context.Context) (map[tenant.ID]float64, error) {
	all, err := s.Glance(ctx)
	if err != nil {
		return nil, err
	}
	out, name := map[tenant.ID]float64{}, s.Rules().Policy.Volume.SLI
	for _, g := range all {
		for _, f := range g.Flows {
			if f.SLI == name {
				out[g.Tenant] += f.RatePerMinute
			}
		}
	}
	return out, nil
}
