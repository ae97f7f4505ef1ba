package evaluate

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
)

// Rules may run in shadow beside those in force: they see the same cells and
// baselines, have detectors of their own where they differ, and what they would
// raise is told apart (Output.Shadow). They teach nothing, hold nothing back and
// feed no pool, so that a tenant with a shadow is judged as one without.

// place is where a rule counts.
type place uint8

const (
	inForce  place = iota
	inBoth         // the shadow has the very same rule: it is judged once
	inShadow       // only there
)

// placed is a rule at its place.
type placed struct {
	rule.Rule
	place place
}

// arrange puts the rules of both sets in order, those in force first.
func arrange(rules, shadow []rule.Rule) []placed {
	active, beside := usable(rules), usable(shadow)
	out := make([]placed, 0, len(active)+len(beside))
	for _, r := range active {
		out = append(out, placed{Rule: r})
	}
	for _, r := range beside {
		switch i := slices.IndexFunc(active, func(a rule.Rule) bool { return reflect.DeepEqual(a, r) }); {
		case i >= 0:
			out[i].place = inBoth
		default:
			out = append(out, placed{r, inShadow})
		}
	}
	return out
}

// usable are the rules the engine knows, sorted, one of each name and service.
func usable(rules []rule.Rule) []rule.Rule {
	kept := make([]rule.Rule, 0, len(rules))
	for _, r := range rules {
		if r.Kind.Budgeted() || r.Kind == rule.Absent || r.Kind == rule.BurnRate && r.Burn != nil {
			kept = append(kept, r)
		}
	}
	slices.SortStableFunc(kept, func(a, b rule.Rule) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	kept = slices.CompactFunc(kept, func(a, b rule.Rule) bool { return a.Service == b.Service && a.Name == b.Name })
	return withBeside(kept)
}

// rings says whether what w sees is a fault of the cell, not what a shadow thinks.
func (w *watch) rings() bool { return w != nil && w.Firing && !w.trial }

// heir finds the detector that a rule goes on with: the one it had, wherever it was;
// one of another rule in the same place is of use when it asks the same.
type heir struct {
	old     []*ruleState
	watches []*watch // of one cell, by old
	taken   map[*watch]bool
}

func (h *heir) find(r *ruleState, ok func(place) bool) *watch {
	for i, o := range h.old {
		if o.Name == r.Name && o.Service == r.Service && ok(o.place) && h.watches[i] != nil && (o.partial || o.SameTest(r.Rule)) {
			return h.watches[i]
		}
	}
	return nil
}

// next is the watch of rule r from now on.
func (h *heir) next(r *ruleState) *watch {
	mine, other := func(p place) bool { return p != inShadow }, func(p place) bool { return p == inShadow }
	if r.place == inShadow {
		mine, other = func(p place) bool { return p != inForce }, func(p place) bool { return p == inForce }
	}
	if w := h.find(r, mine); w != nil {
		return h.take(w, r, true)
	}
	if w := h.find(r, other); w != nil {
		return h.take(w, r, false)
	}
	return &watch{trial: r.place == inShadow}
}

// take hands out w, or a copy where somebody else has it. What w said is the new
// rule's only when it said it in the same place.
func (h *heir) take(w *watch, r *ruleState, said bool) *watch {
	if h.taken[w] || r.place == inShadow && !w.trial {
		w = w.clone()
	}
	h.taken[w] = true
	if w.trial = r.place == inShadow; !said {
		w.Raised = nil
	}
	return w
}

// clone is a copy that moves on its own.
func (w *watch) clone() *watch {
	c := *w
	c.vol, c.level, c.turn, c.late, c.Raised = copied(w.vol), copied(w.level), copied(w.turn), copied(w.late), copied(w.Raised)
	if w.burn != nil {
		c.burn = w.burn.Clone()
	}
	return &c
}

// copied is a copy of what may not be there.
func copied[T any](v *T) *T {
	if v == nil {
		return nil
	}
	c := *v
	return &c
}

// inherit lets what fires go on firing under a rule that asks otherwise but sees a
// fault as well.
func inherit(old, now *watch) bool {
	if now == nil || now.trial || !now.Firing || now.Raised != nil {
		return false
	}
	now.Raised, old.Raised = old.Raised, nil
	return true
}

// tell hands out an alert to whom its rule belongs.
func (ts *tenantState) tell(r *ruleState, a alert.Alert) {
	if r.place != inShadow {
		ts.alerts = append(ts.alerts, a)
	}
	if r.place != inForce {
		ts.shadow = append(ts.shadow, a)
	}
}
