// Package router decides which incident an alert belongs to: one that is open
// and explains it, one that was resolved a moment ago and is back, or a new one.
//
// It is pure arithmetic on slices and times. It knows nothing of tickets, pages
// or owners, keeps no state and reads no clock; candidates of one environment
// go in, one decision with its reason comes out.
package router

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Window is how far the onsets of an incident and of an alert may be apart to
// be one fault, and how long after its end an incident can come back.
const Window = 15 * time.Minute

// Candidate is what routing must know of an incident. The caller lists every
// open incident of the environment and those resolved less than Window ago;
// older ones do no harm.
type Candidate struct {
	Incident   string
	Number     int // grows with every opening
	Service    string
	Slice      sli.Slice
	OnsetAt    time.Time
	Open       bool // open or acknowledged
	ResolvedAt time.Time
	Alerts     []alert.ID
	// Firing are those of Alerts that fire. A person may resolve an incident
	// whose alert still fires: news of that same firing does not reopen it.
	Firing []alert.ID
	// Ended says when those of Alerts ended that fire no longer, where that is known.
	Ended map[alert.ID]time.Time
	// Rings are the slices in which a pooled alert of the incident fires now:
	// tenants' own alerts there join it whenever their onset was.
	Rings []sli.Slice
	// Tenants are those it touches now; tenant.Product when a pooled alert is in it.
	Tenants []tenant.ID
	// Source says that it is about a silent source, Absent that it is only about series
	// that no longer arrive. Such incidents explain their own kind; and what no longer
	// arrives of a tenant belongs to what else that tenant has.
	Source, Absent bool
	// Failing is the failure ratio in its slice, 0..1; 0 when not known. Events are how many
	// it is of. Share is what part of all traffic that slice is, where it rings over all
	// tenants; 0: not known.
	Failing, Events, Share float64
	// Parts are its alerts' views of the fault; nil: nothing but Slice is known.
	Parts []Part
	// Taken says that a person has it: it is merged into no other. Called says that
	// somebody was called for it: others are merged into it. CalledAt is when that was.
	Taken, Called bool
	CalledAt      time.Time
}

// Part is one tenant's view of the fault, or that over all tenants. K of N events are bad;
// N is 0 when nothing was counted.
type Part struct {
	Tenant  tenant.ID
	Slice   sli.Slice
	OnsetAt time.Time
	Firing  bool
	K, N    float64
}

// Decision says where an alert goes, and why.
type Decision struct {
	Incident string    // empty: open a new one, unless Ignore
	Reopen   bool      // the incident was over and comes back
	Narrow   sli.Slice // not empty: the incident is about this slice from now on
	Merge    []string  // younger incidents that turn out to be part of it
	Ignore   bool      // nothing to do: an alert that is over and that no incident holds
	Reason   string
}

// Route decides for one alert. The order of open does not matter.
func Route(open []Candidate, a alert.Alert, now time.Time) Decision {
	ranked := slices.Clone(open)
	slices.SortFunc(ranked, better)
	if d, ok := stay(ranked, a, now); ok {
		return d
	}
	back, returns := lately(ranked, a, now)
	if a.State == alert.Resolved {
		if returns {
			return Decision{Incident: back.Incident, Reason: "it ended after its incident was resolved"}
		}
		return Decision{Ignore: true, Reason: "it is over and no incident holds it"}
	}
	if returns && slices.Contains(back.Firing, a.ID) {
		return Decision{Incident: back.Incident, Reason: "its incident was resolved while it went on firing; the same firing does not reopen it"}
	}
	if c, why, ok := explains(ranked, a); ok {
		return gather(ranked, c, a, why)
	}
	if next, ok := successor(ranked, back); returns && ok {
		return Decision{Reason: fmt.Sprintf("its former incident lives on in %s, which does not explain it, and is not reopened", next)}
	}
	if returns {
		return Decision{Incident: back.Incident, Reopen: true, Reason: fmt.Sprintf(
			"it fires again %s after the incident was resolved (less than %s): the same incident is back", rounded(now.Sub(back.ResolvedAt)), rounded(Window))}
	}
	return Decision{Reason: fmt.Sprintf("no open incident of service %s explains %s with an onset within %s", a.Service, name(a.Slice), rounded(Window))}
}

// better puts the most specific slice first, then the elder, then the smaller id.
func better(x, y Candidate) int {
	return cmp.Or(cmp.Compare(len(y.Slice), len(x.Slice)), x.OnsetAt.Compare(y.OnsetAt), cmp.Compare(x.Incident, y.Incident))
}

func stay(ranked []Candidate, a alert.Alert, now time.Time) (Decision, bool) {
	holds := func(c Candidate) bool { return c.Open && slices.Contains(c.Alerts, a.ID) }
	fires := func(c Candidate) bool { return holds(c) && slices.Contains(c.Firing, a.ID) }
	at := slices.IndexFunc(ranked, fires)
	for i, c := range ranked {
		if holds(c) && (at < 0 || !fires(ranked[at]) && c.Ended[a.ID].After(ranked[at].Ended[a.ID])) {
			at = i // where it ended last
		}
	}
	if at < 0 || a.State == alert.Firing && !fires(ranked[at]) && anew(ranked[at], a, now) {
		return Decision{}, false
	}
	return join(ranked[at], a, "it is part of this incident already"), true
}

// anew says whether an alert of an incident that is still open fires for something else:
// it ended long ago, and nothing of its traffic fires there, of a tenant in the very slice
// of what is over all of them.
func anew(c Candidate, a alert.Alert, now time.Time) bool {
	ended, known := c.Ended[a.ID]
	if !known || now.Sub(ended) < Window || a.OnsetAt.Sub(ended) < 0 {
		return false
	}
	return !slices.ContainsFunc(c.Parts, func(p Part) bool {
		of := p.Tenant == a.Tenant && !apart(p.Slice, a.Slice) || a.Tenant == tenant.Product && len(p.Slice) > 0 && p.Slice.Related(a.Slice)
		return p.Firing && of
	})
}

// lately finds the incident that held the alert and was resolved last, if that
// is less than Window ago.
func lately(ranked []Candidate, a alert.Alert, now time.Time) (Candidate, bool) {
	var best Candidate
	found := false
	for _, c := range ranked {
		if c.Open || !slices.Contains(c.Alerts, a.ID) || now.Sub(c.ResolvedAt) >= Window {
			continue
		}
		if !found || c.ResolvedAt.After(best.ResolvedAt) {
			best, found = c, true
		}
	}
	return best, found
}

// successor finds the open incident that took over an alert of one that is
// over. Reopening the old one would put that alert into both.
func successor(ranked []Candidate, over Candidate) (string, bool) {
	for _, c := range ranked {
		if c.Open && slices.ContainsFunc(over.Alerts, func(id alert.ID) bool { return slices.Contains(c.Alerts, id) }) {
			return c.Incident, true
		}
	}
	return "", false
}

// kin says whether the incident and the alert are about the same sort of fault: that a
// tenant's series no longer arrive says nothing of another's failures.
func kin(c Candidate, a alert.Alert) bool {
	if c.Source || a.Kind == rule.Source {
		return c.Source && a.Kind == rule.Source
	}
	return c.Absent == (a.Kind == rule.Absent) || slices.Contains(c.Tenants, a.Tenant)
}

func explains(ranked []Candidate, a alert.Alert) (Candidate, string, bool) {
	ranked = slices.DeleteFunc(slices.Clone(ranked), func(c Candidate) bool { return !kin(c, a) })
	for _, c := range ranked {
		if !c.Open || c.Service != a.Service || !c.Slice.Related(a.Slice) || elsewhere(ranked, c, a) {
			continue
		}
		if stranger(c, a) && (len(c.Slice) == 0 || len(a.Slice) == 0 || atHome(ranked, a)) {
			continue
		}
		if apart, near := together(c, a); near {
			return c, relation(c.Slice, a.Slice) + ", and the onsets are " + rounded(apart) + " apart", true
		}
	}
	for _, c := range ranked {
		if a.Tenant == tenant.Product && elsewhere(ranked, c, a) {
			continue
		}
		if why, ok := crosses(c, a); ok {
			return c, why, true
		}
	}
	for _, c := range ranked {
		if elsewhere(ranked, c, a) || stranger(c, a) && atHome(ranked, a) {
			continue
		}
		if why, ok := shares(c, a); ok {
			return c, why, true
		}
	}
	for _, c := range ranked {
		if why, ok := rings(c, a); ok {
			return c, why, true
		}
	}
	return Candidate{}, "", false
}

// crosses says whether the incident's slice and the alert's are two views of the
// same traffic: cut by different labels (an acquirer and a method), failing for
// the same tenant at the same time. Such a pair has events in common, and an
// outage of the one shows as a fault of the other.
func crosses(c Candidate, a alert.Alert) (string, bool) {
	if !c.Open || c.Service != a.Service || len(c.Slice) == 0 || len(a.Slice) == 0 {
		return "", false
	}
	if _, near := together(c, a); !near || apart(c.Slice, a.Slice) || c.Slice.Related(a.Slice) {
		return "", false // acquirer x and acquirer y share nothing
	}
	switch {
	case slices.Contains(c.Tenants, a.Tenant) && a.Kind == rule.PromQL: // of a query nothing is counted
		return fmt.Sprintf("%s fires for %s at the same time as %s", a.Rule, a.Tenant, name(c.Slice)), true
	case slices.Contains(c.Tenants, a.Tenant):
		return fmt.Sprintf("%s and %s are failing for %s at the same time and share their traffic", name(c.Slice), name(a.Slice), a.Tenant), true
	case a.Tenant == tenant.Product || slices.Contains(c.Tenants, tenant.Product):
		return fmt.Sprintf("%s and %s are failing over all tenants at the same time and share their traffic", name(c.Slice), name(a.Slice)), true
	}
	return "", false
}

func relation(incident, alert sli.Slice) string {
	switch {
	case len(incident) == len(alert):
		return "the incident is about the same, " + name(incident)
	case len(incident) < len(alert):
		return name(alert) + " is part of " + name(incident) + ", which the incident is about"
	}
	return "the incident is about " + name(incident) + ", a part of " + name(alert)
}

func name(s sli.Slice) string {
	if len(s) == 0 {
		return "all traffic"
	}
	return s.Key()
}

// rounded prints a duration of seconds without a fraction or empty units.
func rounded(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= time.Minute && d%time.Minute == 0 && d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}
