package router

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A fault that many tenants share rings in many places at once: in each tenant's total
// and slices, and over all tenants by acquirer, method and country. What ties them
// together is traffic in common, and an alarm over all tenants explains what a tenant
// sees of it in another dimension, diluted.

// muchWorse is by how much the failure ratio of an alert must be higher than the
// incident's for the incident to be about that instead, or not to explain it.
const muchWorse = 0.1

// evenly is how many times what an even mix would put of a slice's failures into another
// one is still explained by it.
const evenly = 2

// atFirst is the part of what fails that may be missing when it begins to ring.
const atFirst = 0.25

// chance is how many standard deviations of what so few events show are chance.
const chance = 2

// Together is how far the onsets of a fault over all tenants and of what single tenants
// saw of it may be apart. Who was called for one tenant's fault must hear of one that
// concerns all: only what began with that is the same.
const Together = 3 * time.Minute

// vague is how long before a fault over all tenants a thin tenant may place the onset of
// what it sees of it: its last good event may lie that far back.
const vague = 3 * Window

// together says whether an incident and an alert began at about the same time, and how
// far apart. Beside an alarm over all tenants it is what any of the incident's alerts
// began with that counts, unless somebody was called before that: a thin tenant places
// the beginning minutes early.
func together(c Candidate, a alert.Alert) (apart time.Duration, near bool) {
	apart = a.OnsetAt.Sub(c.OnsetAt).Abs()
	if a.Tenant != tenant.Product || a.Kind == rule.Source || c.pooled() {
		return apart, apart <= Window
	}
	if apart <= Together || apart > Window || c.Called && c.CalledAt.Before(a.OnsetAt) {
		return apart, apart <= Together
	}
	for _, p := range c.Parts {
		if by := a.OnsetAt.Sub(p.OnsetAt).Abs(); by <= Together {
			return by, true
		}
	}
	return apart, false
}

// stranger says whether an incident is about single tenants' faults, none of them the
// alert's tenant's, and began too long before or after for that to be in common. That both
// tenants' totals fail is then none either; that one acquirer fails for both is.
func stranger(c Candidate, a alert.Alert) bool {
	return a.Tenant != tenant.Product && !c.Source && !c.pooled() && !slices.Contains(c.Tenants, a.Tenant) && a.OnsetAt.Sub(c.OnsetAt).Abs() > Together
}

// atHome says whether the same traffic of the alert's tenant began to fail together with it
// in some incident.
func atHome(ranked []Candidate, a alert.Alert) bool {
	return slices.ContainsFunc(ranked, func(o Candidate) bool {
		return o.Open && o.Service == a.Service && slices.ContainsFunc(o.Parts, func(p Part) bool {
			return p.Tenant == a.Tenant && !apart(p.Slice, a.Slice) && a.OnsetAt.Sub(p.OnsetAt).Abs() <= Together
		})
	})
}

// pooled says that an alarm over all tenants rings in the incident.
func (c Candidate) pooled() bool {
	return slices.ContainsFunc(c.Rings, func(r sli.Slice) bool { return len(r) > 0 })
}

// apart says whether two slices have no events in common: acquirer x and acquirer y.
func apart(x, y sli.Slice) bool {
	labels := x.Map()
	for _, d := range y {
		if v, same := labels[d.Label]; same && v != d.Value {
			return true
		}
	}
	return false
}

// shares says whether an alert of the incident and this one see the same traffic at the
// same time, whatever the incident is about by now.
func shares(c Candidate, a alert.Alert) (string, bool) {
	if !c.Open || c.Service != a.Service {
		return "", false
	}
	if _, near := together(c, a); !near {
		return "", false
	}
	for _, p := range c.Parts {
		switch {
		case len(a.Slice) > 0 && p.Slice.Equal(a.Slice):
			return fmt.Sprintf("%s is failing for %s too, which is part of the incident", name(a.Slice), who(p.Tenant)), true
		case p.Tenant == a.Tenant && a.Tenant != tenant.Product && !apart(p.Slice, a.Slice) && !beside(c, a):
			return fmt.Sprintf("%s and %s share traffic of %s, and began together", name(p.Slice), name(a.Slice), a.Tenant), true
		}
	}
	return "", false
}

// beside says whether what rings over all tenants cannot explain a tenant's alert: it
// shares no traffic with what the incident is about, is no slice that rings itself, and
// began later. The tenant's total, which may be part of the incident, is then failing for
// another reason. What rings in other dimensions is the incident's fault diluted.
func beside(c Candidate, a alert.Alert) bool {
	return c.pooled() && a.OnsetAt.Sub(c.OnsetAt) > Together && apart(c.Slice, a.Slice) &&
		!slices.ContainsFunc(c.Rings, func(r sli.Slice) bool { return len(r) > 0 && r.Covers(a.Slice) })
}

// elsewhere says whether an incident is only about other tenants' own faults, while what
// rings over all tenants explains the alert.
func elsewhere(ranked []Candidate, c Candidate, a alert.Alert) bool {
	if a.Tenant == tenant.Product {
		return dilutedElsewhere(ranked, c, a)
	}
	if c.pooled() || slices.Contains(c.Tenants, a.Tenant) {
		return false
	}
	return slices.ContainsFunc(ranked, func(o Candidate) bool {
		_, ok := rings(o, a)
		return ok
	})
}

// dilutedElsewhere says the same of an alarm over all tenants that another one explains by
// what of that one's traffic is in its slice: that some tenant has a fault of its own there,
// too small to call for, makes it no other fault of all.
func dilutedElsewhere(ranked []Candidate, c Candidate, a alert.Alert) bool {
	if c.pooled() || c.Called {
		return false
	}
	k, n := a.Bad()
	return slices.ContainsFunc(ranked, func(o Candidate) bool {
		_, ok := rings(o, a)
		return ok && k/n-a.Evidence.Usual <= evenly*o.Failing*o.Share
	})
}

// rings says whether an alarm over all tenants that rings in the incident explains the
// alert: one in its slice whenever it began; one in another dimension when it began not
// long before and no more of it fails than in the slice that rings.
func rings(c Candidate, a alert.Alert) (string, bool) {
	if !c.Open || c.Service != a.Service || a.Tenant != tenant.Product && beside(c, a) {
		return "", false
	}
	for _, ring := range c.Rings {
		switch {
		case len(ring) == 0 || apart(ring, a.Slice):
		case a.Tenant != tenant.Product && ring.Covers(a.Slice):
			return "over all tenants together " + name(ring) + " is failing, which explains it", true
		case !a.OnsetAt.Before(c.OnsetAt.Add(-vague)) && explained(c, a):
			return fmt.Sprintf("over all tenants together %s is failing meanwhile, and no more of %s fails than of that", name(ring), name(a.Slice)), true
		}
	}
	return "", false
}

// explained says whether no more of the alert's events are bad than the incident's
// fault would make them, by more than chance: of eight payments all may fail where seven
// in ten do.
func explained(c Candidate, a alert.Alert) bool {
	k, n := a.Bad()
	return n > 0 && c.Failing > 0 && k/n <= c.Failing+muchWorse+byChance(c.Failing, n)
}

// byChance is how much more of n events may fail than usually do.
func byChance(usually, n float64) float64 {
	if n <= 0 {
		return 0
	}
	return chance * math.Sqrt(usually*max(0, 1-usually)/n)
}

// farWorse says whether more of an incident fails than an alarm over all tenants, of which
// so large a part does, explains. That shows less of a fault at first, for its first step
// began before the fault did.
func farWorse(o Candidate, failing float64) bool {
	return o.Failing > failing+max(muchWorse, failing*atFirst)+byChance(failing, o.Events)
}

// gather joins the alert to c. An alarm over all tenants also gathers what had opened
// incidents of their own before it rang: all become part of one.
func gather(ranked []Candidate, c Candidate, a alert.Alert, why string) Decision {
	if a.Tenant != tenant.Product || len(a.Slice) == 0 || c.Source || c.Absent {
		return bridge(ranked, c, a, why)
	}
	k, n := a.Bad()
	all := []Candidate{c}
	for _, o := range ranked {
		if o.Incident == c.Incident || !o.Open || o.Source || o.Absent || o.Service != a.Service {
			continue
		}
		if _, near := together(o, a); !near {
			continue
		}
		within := a.Slice.Covers(o.Slice)
		if !within && (apart(a.Slice, o.Slice) && !hasPart(o, a.Slice) || n <= 0 || farWorse(o, k/n)) {
			continue
		}
		all = append(all, o)
	}
	return unite(all, a, why, func([]string) string { return "what else began with it is part of that" })
}

// unite joins the alert to the one of all that goes on, and merges the others into it,
// which merged is about.
func unite(all []Candidate, a alert.Alert, why string, merged func([]string) string) Decision {
	elder := slices.MinFunc(all, elderly)
	d := join(elder, a, why)
	for _, o := range all {
		if o.Incident != elder.Incident && !o.Taken {
			d.Merge = append(d.Merge, o.Incident)
		}
	}
	if slices.Sort(d.Merge); len(d.Merge) > 0 {
		d.Reason += "; " + merged(d.Merge)
	}
	return d
}

// bridge joins a tenant's alert to c. What else of that tenant's same traffic began with it
// and stands in another incident shows that both are one fault, before it rings over all.
func bridge(ranked []Candidate, c Candidate, a alert.Alert, why string) Decision {
	if a.Tenant == tenant.Product || a.State != alert.Firing || c.Source || c.Absent {
		return join(c, a, why)
	}
	all := []Candidate{c}
	for _, o := range ranked {
		if o.Incident == c.Incident || !o.Open || o.Source || o.Absent || o.Service != a.Service || o.OnsetAt.Sub(c.OnsetAt).Abs() > Together {
			continue
		}
		if slices.ContainsFunc(o.Parts, func(p Part) bool {
			return p.Tenant == a.Tenant && !apart(p.Slice, a.Slice) && a.OnsetAt.Sub(p.OnsetAt).Abs() <= Together
		}) {
			all = append(all, o)
		}
	}
	return unite(all, a, why, func(merged []string) string {
		return fmt.Sprintf("what %s has in it began with this, so that they are one", strings.Join(merged, ", "))
	})
}

// elderly puts the one first that goes on: whoever has one keeps it, nobody is called
// twice, and else it is the elder.
func elderly(x, y Candidate) int {
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	return cmp.Or(first(x.Taken, y.Taken), first(x.Called, y.Called), cmp.Compare(x.Number, y.Number), strings.Compare(x.Incident, y.Incident))
}

func hasPart(c Candidate, s sli.Slice) bool {
	return slices.ContainsFunc(c.Parts, func(p Part) bool { return p.Slice.Equal(s) })
}

func join(c Candidate, a alert.Alert, why string) Decision {
	d := Decision{Incident: c.Incident, Reason: why}
	if a.State != alert.Firing {
		return d
	}
	_, n := a.Bad()
	_, across := crosses(c, a)
	pooled := c.pooled()
	switch {
	case pooled && a.Tenant != tenant.Product: // it is known what all have in common
	case a.Tenant == tenant.Product && (!pooled || !c.rangInOwn()) && n > 0 && len(a.Slice) > 0 && !a.Slice.Covers(c.Slice) && !diluted(c, a):
		d.Narrow = slices.Clone(a.Slice)
		d.Reason += fmt.Sprintf("; it fails over all tenants, so the incident is about %s", name(a.Slice))
	case across && n > 0 && worse(c, a):
		d.Narrow = slices.Clone(a.Slice)
		d.Reason += fmt.Sprintf("; more of %s fails, so the incident is about that", name(a.Slice))
	case !across && len(a.Slice) > len(c.Slice) && c.Slice.Covers(a.Slice):
		d.Narrow = slices.Clone(a.Slice)
		d.Reason += fmt.Sprintf("; the incident narrows from %s to %s", name(c.Slice), name(a.Slice))
	}
	return d
}

func who(id tenant.ID) string {
	if id == tenant.Product {
		return "all tenants"
	}
	return string(id)
}
