package profiles

import (
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/rule"
)

// Untried says what of a changed policy cannot run in shadow before it counts, one
// sentence each: what is about all tenants at once. A stage has only a part of them, and
// the part of a stream that is judged over all of them is another stream.
func Untried(before, after *Policy) []string {
	out := []string{}
	d := Compare(pooled(before), pooled(after))
	var names []string
	for _, c := range d.Changed {
		names = append(names, c.After.Name)
	}
	for _, r := range slices.Concat(d.Added, d.Removed) {
		names = append(names, r.Name)
	}
	if len(names) > 0 {
		slices.Sort(names)
		out = append(out, "how "+strings.Join(slices.Compact(names), ", ")+" is judged over all tenants together follows the policy in force until the last stage: a stage has only a part of the tenants")
	}
	if !sameSet(before.Environments, after.Environments) {
		out = append(out, "which environments may page changes with the last stage, for all tenants at once: an incident may be of several")
	}
	return out
}

// pooled are the rules of all services that are judged over all tenants too.
func pooled(p *Policy) []rule.Rule {
	all := All(p)
	for i := range all { // words for people are judged by nobody
		all[i].Summary, all[i].RunbookURL, all[i].DashboardURL = "", "", ""
	}
	return slices.DeleteFunc(all, func(r rule.Rule) bool { return len(r.SLI.Slices) == 0 || !r.Kind.Budgeted() })
}

func sameSet(a, b []string) bool {
	in := func(all []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(all, s) }
	}
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}
