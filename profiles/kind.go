package profiles

import (
	"cmp"

	"github.com/tocsin-alerting/tocsin/rule"
)

const leastEvents = 30 // in the long window of a burn rate

// checkKind checks what only some kinds of rules have.
func (r RuleDoc) checkKind(where string, fault func(string, ...any)) {
	kind := rule.Kind(r.Kind)
	for _, k := range []struct {
		key string
		set bool
		of  rule.Kind
	}{{"objective", r.Objective != 0, rule.BurnRate}, {"least_events", r.LeastEvents != 0, rule.BurnRate},
		{"expr", r.Expr != "", rule.PromQL}, {"for", r.For != 0, rule.PromQL}} {
		if k.set && kind != k.of {
			fault("%s: %s is for kind %s only", where, k.key, k.of)
		}
	}
	if r.Sensitivity != "" && (kind == rule.BurnRate || kind == rule.PromQL) {
		fault("%s: sensitivity is of no use with kind %s, which needs no evidence", where, kind)
	}
	switch kind {
	case rule.BurnRate:
		if !(r.Objective > 0 && r.Objective < 1) {
			fault("%s: objective must be above 0 and below 1, for example 0.99", where)
		}
		if !(r.LeastEvents >= 0) {
			fault("%s: least_events must not be negative", where)
		}
	case rule.PromQL:
		if r.Expr == "" {
			fault("%s: expr is missing: say what is asked", where)
		} else if _, err := query(r.Expr); err != nil {
			fault("%s: expr is no PromQL query; promtool promql format shows where", where)
		}
		if r.For < 0 {
			fault("%s: for must not be negative", where)
		}
	}
}

// burn is what a rule of kind burn_rate is held to; nil for the others.
func (r RuleDoc) burn() *rule.Burn {
	if rule.Kind(r.Kind) != rule.BurnRate {
		return nil
	}
	return &rule.Burn{Objective: r.Objective, LeastEvents: cmp.Or(r.LeastEvents, leastEvents)}
}

// query is what a rule of kind promql asks; nil for the others.
func (r RuleDoc) query() *rule.Query {
	if rule.Kind(r.Kind) != rule.PromQL {
		return nil
	}
	return &rule.Query{Expr: r.Expr, For: r.For.Seconds()}
}

// noBudget says in the reason why a rule has no share of the team's budget.
func noBudget(k rule.Kind) string {
	switch k {
	case rule.BurnRate:
		return "; it learns nothing of the tenant and takes no part in the team's budget of false pages"
	case rule.PromQL:
		return "; it is a query: nothing is counted, so that it takes no part in the team's budget of false pages"
	}
	return ""
}
