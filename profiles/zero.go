package profiles

import (
	"fmt"

	"github.com/tocsin-alerting/tocsin/rule"
)

// zeros refuses a 0 where a key that is left out has a default: earlier releases took one
// for the other. It is asked before the defaults are filled in.
func (p *Policy) zeros() (faults []string) {
	say := func(zero bool, at, key, must string) {
		if zero && p.doc.Written(at+"."+key) {
			faults = append(faults, at+"."+key+" must be "+must+"; leave it out for the default")
		}
	}
	e := &p.Evolution
	for _, d := range e.durations() {
		say(*d.value == 0, "evolution", d.key, "at least "+d.least.String())
	}
	say(len(e.Stages) == 0, "evolution", "stages", "percentages that grow and end with 100, for example [1, 10, 100]")
	for _, f := range []struct {
		at string
		Floor
	}{{"impact.day", p.Impact.Day}, {"impact.night", p.Impact.Night.Floor()}} {
		say(f.Share == 0, f.at, "share", "above 0, which everything reaches, and at most 1")
		say(f.LossPerMinute == 0, f.at, "loss_per_minute", "above 0, which everything reaches")
		say(f.Tenants == 0, f.at, "tenants", "above 0, which everything reaches")
	}
	say(p.Impact.LeastWeight == 0, "impact", "least_weight", "above 0 and at most 1")
	say(p.Impact.Grown == 0, "impact", "grown", "above 1, for example 2")
	for i, s := range p.SLIs {
		say(s.Prior == 0, fmt.Sprintf("slis[%d]", i), "prior", "above 0 and below 0.5")
	}
	for i, r := range p.Rules {
		say(r.LeastEvents == 0 && rule.Kind(r.Kind) == rule.BurnRate, fmt.Sprintf("rules[%d]", i), "least_events", "above 0, for example 1")
	}
	for i, t := range p.Tiers {
		say(t.Slices == 0, fmt.Sprintf("tiers[%d]", i), "slices", fmt.Sprintf("between 1 and %d", MostSlices))
	}
	return faults
}
