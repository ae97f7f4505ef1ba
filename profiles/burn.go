package profiles

import (
	"cmp"

	"github.com/tocsin-alerting/tocsin/rule"
)

const leastEvents = 30 // in the long window of a burn rate

// checkKind checks what only some kinds of rules have.
func (r RuleDoc) checkKind(where string, fault func(string, ...any)) {
	if rule.Kind(r.Kind) != rule.BurnRate {
		if r.Objective != 0 {
			fault("%s: objective is for kind burn_rate only", where)
		}
		if r.LeastEvents != 0 {
			fault("%s: least_events is for kind burn_rate only", where)
		}
		return
	}
	if !(r.Objective > 0 && r.Objective < 1) {
		fault("%s: objective must be above 0 and below 1, for example 0.99", where)
	}
	if !(r.LeastEvents >= 0) {
		fault("%s: least_events must not be negative", where)
	}
	if r.Sensitivity != "" {
		fault("%s: sensitivity is of no use with kind burn_rate: the objective says when it fires", where)
	}
}

// burn is what a rule of kind burn_rate is held to; nil for the others.
func (r RuleDoc) burn() *rule.Burn {
	if rule.Kind(r.Kind) != rule.BurnRate {
		return nil
	}
	return &rule.Burn{Objective: r.Objective, LeastEvents: cmp.Or(r.LeastEvents, leastEvents)}
}

// noBudget says in the reason why a rule has no share of the team's budget.
func noBudget(k rule.Kind) string {
	if k == rule.BurnRate {
		return "; it learns nothing of the tenant and takes no part in the team's budget of false pages"
	}
	return ""
}
