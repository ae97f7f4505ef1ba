package profiles

import (
	"reflect"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/calendar"
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
	for _, e := range after.Announced {
		if e.Effect == calendar.HoldPages && !slices.ContainsFunc(before.Announced, func(b calendar.Entry) bool { return reflect.DeepEqual(b, e) }) {
			out = append(out, "that nobody is called while the calendar entry "+e.Name+" holds is not tried: a policy that calls less is never halted")
		}
	}
	if before.Impact != after.Impact {
		out = append(out, "what must be at stake for a call (impact) is tried only where the new one calls more: a policy that calls less is never halted")
	}
	if at := changedPins(before, after); len(at) > 0 {
		out = append(out, "profiles kept at a revision are not tried: "+strings.Join(at, ", "))
	}
	if !reflect.DeepEqual(before.Evolution, after.Evolution) {
		out = append(out, "how profiles and the next policies are put in force (evolution) is not tried; this rollout goes by the one in force")
	}
	return out
}

// changedPins are the tenants that another policy pins at another revision.
func changedPins(before, after *Policy) (tenants []string) {
	for _, n := range after.Pins {
		if n.Revision > 0 && !slices.ContainsFunc(before.Pins, func(b Pin) bool { return b.Tenant == n.Tenant && b.Revision == n.Revision }) {
			tenants = append(tenants, n.Tenant)
		}
	}
	return tenants
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
