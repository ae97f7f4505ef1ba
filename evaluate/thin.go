package evaluate

import "github.com/tocsin-alerting/tocsin/rule"

// loose is how many nats less a thin stream of the rule needs at most. It was found on
// simulated worlds of thin tenants: durations swing more than failures do, and so does
// volume; what customers are declined for swings most.
func (r *ruleState) loose() float64 {
	switch r.Kind {
	case rule.Errors, "":
		return 7
	case rule.Traffic:
		return 5.5
	case rule.Latency:
		return 5
	}
	return 0
}
