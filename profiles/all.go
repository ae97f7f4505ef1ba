package profiles

import (
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// All lists every rule of a policy, whichever tenants have it. Its shares of
// budgets are nobody's.
func All(p *Policy) []rule.Rule {
	rules, _ := Compile(p, tenant.Tenant{ID: tenant.Product, Features: features(p)}, Observation{})
	return rules
}

// Weekly is the budget, or the default of two pages where a team gives none.
func (b Budget) Weekly() float64 {
	if b.FalsePagesPerWeek <= 0 {
		return 2
	}
	return b.FalsePagesPerWeek
}
