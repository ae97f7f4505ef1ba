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
// that. Where it would call by itself, and is as much again as the policy says, it calls.

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
	Until   time.Time    `json:"until"`    // what joined by then is part of it
	OnsetAt time.Time    `json:"onset_at"` // the latest of what fired by then
	Tenants []tenant.ID  `json:"tenants"`  // of this opening, sorted
	Stakes  impact.Facts `json:"stakes"`   // the most that was at stake by then
}

// know begins what whoever takes the incident now took.
func (b *build) know() {
	i := &b.Incident
	i.Known = &Known{Until: b.now.Add(settledIn), OnsetAt: i.OnsetAt}
	i.learn(b.now)
}

// learn adds what there is to what they took, as long as it is that.
func (i *Incident) learn(now time.Time) {
	if i.Known == nil || now.After(i.Known.Until) {
		return
	}
	k := i.Known.with(i.Concerned())
	for _, a := range i.Alerts {
		if a.State == alert.Firing && a.OnsetAt.After(k.OnsetAt) {
			k.OnsetAt = a.OnsetAt.UTC()
		}
	}
	if i.Stakes != nil {
		k.Stakes = k.Stakes.Or(i.facts())
	}
	i.Known = &k
}

// learnOf adds what a younger incident that somebody was called for had, as it becomes part
// of this: that call was for it.
func (i *Incident) learnOf(younger Incident) {
	if i.Known == nil || !younger.PagedUrgent {
		return
	}
	k := i.Known.with(younger.Concerned())
	if younger.Stakes != nil {
		k.Stakes = k.Stakes.And(younger.Stakes.Facts)
	}
	i.Known = &k
}

// with is a copy that knows of more tenants.
func (k Known) with(more []Tenant) Known {
	k.Tenants = slices.Clone(k.Tenants)
	for _, t := range more {
		k.Tenants = append(k.Tenants, t.ID)
	}
	slices.Sort(k.Tenants)
	k.Tenants = slices.Compact(k.Tenants)
	return k
}

// considerGrown calls when the incident is much more than whoever has it took.
func (b *build) considerGrown() (called bool) {
	i := &b.Incident
	if i.State != StateAcknowledged || i.Again != nil || i.Known == nil || i.Stakes == nil || !b.now.After(i.Known.Until) {
		return false
	}
	more := i.more(b.now)
	if more == "" {
		return false
	}
	b.unheld(fmt.Sprintf("it grew since %s took it: %s", i.AcknowledgedBy, more))
	return b.Page != nil
}

// more says what of an incident is more than whoever has it took, and how much; empty: too
// little to call for. What rings for less than half a minute is waited for, as it may turn
// out to be part of what rings over all.
func (i Incident) more(now time.Time) string {
	open, wait := i, max(likelyFor, i.settleFor(rule.Critical))
	open.State, open.Paged, open.PagedUrgent = StateOpen, false, false
	open.Alerts = slices.DeleteFunc(slices.Clone(i.Alerts), func(a alert.Alert) bool { return !i.unknown(a) || now.Sub(a.StartsAt) < wait })
	if _, _, nobody := open.wants(); nobody != "" {
		return ""
	}
	f, v := open.verdict()
	step, was := i.Stakes.Limits.Grown, i.Known.Stakes
	if step == 0 {
		step = growsBy
	}
	larger := was.Share > 0 && f.Share >= (step-1)*was.Share || float64(f.Tenants) >= (step-1)*float64(len(i.Known.Tenants))
	if !v.Wakes || !larger {
		return ""
	}
	return fmt.Sprintf("%s began to fail later, %s; what was taken was %s", named(open.Alerts), f.Words(), was.Words())
}

// unknown says whether an alert is critical, of another tenant than those that whoever has
// the incident took, and began by itself: nothing that rings over all tenants explains it,
// as that explains itself.
func (i Incident) unknown(a alert.Alert) bool {
	k := i.Known
	if a.State != alert.Firing || a.Backlog || a.Severity != rule.Critical || i.Stakes.Tenants[a.Tenant].Held {
		return false
	}
	if _, found := slices.BinarySearch(k.Tenants, a.Tenant); found || a.OnsetAt.Sub(k.OnsetAt) <= sameWave {
		return false
	}
	return !slices.ContainsFunc(i.Alerts, func(o alert.Alert) bool {
		return o.Tenant == tenant.Product && o.State == alert.Firing && !o.Backlog &&
			(o.Slice.Related(a.Slice) || slices.Contains(o.Evidence.Tenants, a.Tenant))
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
