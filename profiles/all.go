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
