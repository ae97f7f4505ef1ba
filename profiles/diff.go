package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Diff is how one revision's rules differ from those of the revision before.
type Diff struct {
	Words   []string     `json:"words"` // one sentence each
	Added   []rule.Rule  `json:"added"`
	Removed []rule.Rule  `json:"removed"`
	Changed []RuleChange `json:"changed"`
}

// RuleChange is a rule that both revisions have.
type RuleChange struct {
	Before rule.Rule `json:"before"`
	After  rule.Rule `json:"after"`
}

// Compare gives the difference between two sets of rules.
func Compare(before, after []rule.Rule) Diff {
	d := Diff{Words: []string{}, Added: []rule.Rule{}, Removed: []rule.Rule{}, Changed: []RuleChange{}}
	find := func(in []rule.Rule, r rule.Rule) int {
		return slices.IndexFunc(in, func(o rule.Rule) bool { return o.Name == r.Name && o.Service == r.Service })
	}
	for _, r := range after {
		i := find(before, r)
		if i < 0 {
			d.Added = append(d.Added, r)
			d.Words = append(d.Words, fmt.Sprintf("%s is added: %s, %s of %s", r.Name, r.Severity, r.Kind, r.SLI.Name))
			continue
		}
		if words := ruleWords(before[i], r); len(words) > 0 {
			d.Changed = append(d.Changed, RuleChange{Before: before[i], After: r})
			d.Words = append(d.Words, r.Name+": "+strings.Join(words, "; "))
		}
	}
	for _, r := range before {
		if find(after, r) < 0 {
			d.Removed = append(d.Removed, r)
			d.Words = append(d.Words, r.Name+" is removed: what it has firing ends")
		}
	}
	return d
}

// ruleWords says what changed of a rule; nothing when nothing did.
func ruleWords(a, b rule.Rule) (out []string) {
	say := func(what string, x, y any) {
		if x != y {
			out = append(out, fmt.Sprintf("%s %v, before: %v", what, y, x))
		}
	}
	say("kind", a.Kind, b.Kind)
	say("severity", a.Severity, b.Severity)
	say("direction", cmp.Or(a.Direction, rule.Less), cmp.Or(b.Direction, rule.Less))
	say("sensitivity", cmp.Or(a.Sensitivity, rule.Balanced), cmp.Or(b.Sensitivity, rule.Balanced))
	if a.Query != nil && b.Query != nil {
		say("query", a.Query.Expr, b.Query.Expr)
		say("seconds it must give something", a.Query.For, b.Query.For)
	}
	if a.Burn != nil && b.Burn != nil {
		say("objective", a.Burn.Objective, b.Burn.Objective)
		say("events at least", a.Burn.LeastEvents, b.Burn.LeastEvents)
	}
	if a.SLI.ID() != b.SLI.ID() {
		out = append(out, "it counts something else, and learns anew")
	}
	say("SLI", a.SLI.Name, b.SLI.Name)
	say("cut by", list(a.SLI.Slices), list(b.SLI.Slices))
	say("values of each label judged at most", atMost(a.Slices), atMost(b.Slices))
	say("always judges", dims(a.Always), dims(b.Always))
	say("false alarms a month at most", fmt.Sprintf("%.2g", a.FalseAlarms), fmt.Sprintf("%.2g", b.FalseAlarms))
	say("assumed failure ratio before anything is learned", a.Prior, b.Prior)
	if a.Summary != b.Summary || a.RunbookURL != b.RunbookURL || a.SLI.Noun != b.SLI.Noun {
		out = append(out, "other words for the person paged")
	}
	return out
}

func atMost(n int) string {
	if n == 0 {
		return "as many as usual"
	}
	return fmt.Sprint(n)
}

func list(s []string) string {
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}

func dims(ds []sli.Dim) string {
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = d.Label + "=" + d.Value
	}
	return list(names)
}
