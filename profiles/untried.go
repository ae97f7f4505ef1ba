package profiles

import (
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/rule"
)

// Untried says what of a changed policy cannot run in shadow before it counts, one
// sentence each. Over all tenants together only that can be tried which tenants outside
// the stage count already.
func Untried(before, after *Policy) []string {
	out := []string{}
	if _, names := Tried(pooled(before), pooled(after)); len(names) > 0 {
		slices.Sort(names)
		out = append(out, "how "+strings.Join(slices.Compact(names), ", ")+" is judged over all tenants together is not tried, and begins with the last stage: it counts what only the tenants of a stage count before")
	}
	if !sameSet(before.Environments, after.Environments) {
		out = append(out, "which environments may page changes with the last stage, for all tenants at once: an incident may be of several")
	}
	return out
}

// Tried are those of the rules over all tenants that can run in shadow: what they count is
// counted by rules in force of the same name. not names the others.
func Tried(before, after []rule.Rule) (tried []rule.Rule, not []string) {
	for _, r := range after {
		if slices.ContainsFunc(before, func(b rule.Rule) bool {
			return b.Name == r.Name && b.Service == r.Service && b.SLI.ID() == r.SLI.ID() && b.SameTest(r)
		}) {
			tried = append(tried, r)
		} else {
			not = append(not, r.Name)
		}
	}
	return tried, not
}

// pooled are the rules of all services that are judged over all tenants too.
func pooled(p *Policy) []rule.Rule {
	all := All(p)
	return slices.DeleteFunc(all, func(r rule.Rule) bool { return len(r.SLI.Slices) == 0 || !r.Kind.Budgeted() })
}

func sameSet(a, b []string) bool {
	in := func(all []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(all, s) }
	}
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}
