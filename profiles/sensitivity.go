package profiles

import (
	"github.com/tocsin-alerting/tocsin/rule"
)

// wish is how sensitive a rule is for a tenant before overrides, and who said so.
type wish struct {
	sensitivity rule.Sensitivity
	why         string
}

// wished asks the rule, then the tenant's tier, then the team that owns the service. The
// nearest to the fault knows best; an override of the tenant's comes before all of them.
// A rule that needs no evidence heeds nobody.
func wished(d RuleDoc, t Tier, team Budget) wish {
	switch kind := rule.Kind(d.Kind); {
	case !kind.Budgeted():
		return wish{}
	case d.Sensitivity != "":
		return said(d.Sensitivity, "the rule")
	case t.Sensitivity != "":
		return said(t.Sensitivity, "tier "+t.Name)
	case team.Sensitivity != "":
		return said(string(team.Sensitivity), "team "+team.Team+" for its services")
	}
	return wish{}
}

func said(s, by string) wish { return wish{rule.Sensitivity(s), "; " + s + ", says " + by} }
