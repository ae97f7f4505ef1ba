package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Whoever has an incident has what it was when they took it. What joins later may be another
// fault, of tenants that have an acquirer in common and nothing else: nobody was called for
// that. Where it would call by itself, and makes the incident so many times larger as the
// policy says, it calls.

const (
	// settledIn is how long after somebody took it what joins is still what they took: one
	// fault is seen of its tenants within minutes.
	settledIn = 2 * time.Minute
	// sameWave is how much later a fault of many may begin for one of them.
	sameWave = 3 * time.Minute
	// growsBy is how many times larger is grown where no policy says it.
	growsBy = 2
)

// Known is what whoever has the incident took.
type Known struct {
	Until   time.Time    `json:"until"` // what joined by then is part of it
	OnsetAt time.Time    `json:"onset_at"`
	Stakes  impact.Facts `json:"stakes"` // the most that was at stake by then
}

// know begins what whoever takes the incident now took.
func (b *build) know() {
	i := &b.Incident
	i.Known = &Known{Until: b.now.Add(settledIn), OnsetAt: i.OnsetAt}
	if i.Stakes != nil {
		i.Known.Stakes = i.Stakes.Facts
	}
}

// learn keeps the most that was at stake while it is still what they took.
func (i *Incident) learn(f impact.Facts, now time.Time) {
	if k := i.Known; k != nil && !now.After(k.Until) {
		with := *k
		with.Stakes = k.Stakes.Or(f)
		i.Known = &with
	}
}

// considerGrown calls when the incident is much more than whoever has it took.
func (b *build) considerGrown() (called bool) {
	i := &b.Incident
	if i.State != StateAcknowledged || i.Again != nil || i.Known == nil || i.Stakes == nil || !b.now.After(i.Known.Until) {
		return false
	}
	more := i.more()
	if more == "" {
		return false
	}
	b.unheld(fmt.Sprintf("it grew since %s took it: %s", i.AcknowledgedBy, more))
	return b.Page != nil
}

// more says what of an incident is more than whoever has it took, and how much; empty: too
// little to call for.
func (i Incident) more() string {
	open := i
	open.State, open.Paged, open.PagedUrgent = StateOpen, false, false
	open.Alerts = slices.DeleteFunc(slices.Clone(i.Alerts), func(a alert.Alert) bool { return !i.unknown(a) })
	if worst, _, nobody := open.wants(); nobody != "" || worst.Severity != rule.Critical {
		return ""
	}
	if _, v := open.verdict(); !v.Wakes {
		return ""
	}
	f, was, step := i.facts(), i.Known.Stakes, i.Stakes.Limits.Grown
	if step == 0 {
		step = growsBy
	}
	if f.Share < step*was.Share && float64(f.Tenants) < step*float64(was.Tenants) {
		return ""
	}
	return fmt.Sprintf("%s began to fail later; it is %s now and was %s", named(open.Alerts), f.Words(), was.Words())
}

// unknown says whether an alert is of another tenant than those that whoever has the
// incident took, and began by itself. Where something rings over all tenants, that explains
// what joins: it would not have joined else.
func (i Incident) unknown(a alert.Alert) bool {
	k := i.Known
	if a.Tenant == tenant.Product || a.State != alert.Firing || a.Backlog || !a.StartsAt.After(k.Until) || a.OnsetAt.Sub(k.OnsetAt) <= sameWave {
		return false
	}
	return !slices.ContainsFunc(i.Alerts, func(o alert.Alert) bool {
		switch {
		case o.Tenant == a.Tenant:
			return i.OfOpening(o) && !o.StartsAt.After(k.Until)
		case o.Tenant == tenant.Product:
			return o.State == alert.Firing && !o.Backlog
		}
		return false
	})
}

// named lists of whom alerts are, the first three by name.
func named(alerts []alert.Alert) string {
	var all []string
	for _, a := range alerts {
		if w := who(a); !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	if slices.Sort(all); len(all) > 3 {
		more := len(all) - 3
		all = append(all[:3], fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}
