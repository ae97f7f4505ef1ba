package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// precedence of what an incident is about, when rules of several kinds see the same
// fault with the same severity: the first one that is there speaks.
var precedence = []rule.Kind{rule.Source, rule.Errors, rule.BurnRate, rule.Traffic, rule.Latency, rule.Declines, rule.Absent, rule.PromQL}

func kindOf(a *alert.Alert) rule.Kind {
	if a.Kind == "" {
		return rule.Errors
	}
	return a.Kind
}

// Kind is what the incident is about in its headline and counts: of this opening's
// alerts in its own slice the most severe, then the one that says most about what is wrong.
func (i Incident) Kind() rule.Kind {
	own := i.owns()
	best, found := rule.Errors, false
	rank := 0
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if own && !a.Slice.Equal(i.Slice) || !i.OfOpening(*a) {
			continue
		}
		k, r := kindOf(a), a.Severity.Rank()
		if !found || r > rank || r == rank && slices.Index(precedence, k) < slices.Index(precedence, best) {
			best, rank, found = k, r, true
		}
	}
	return best
}

// owns says whether an alert of this opening is in the incident's own slice.
func (i Incident) owns() bool {
	return slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return i.OfOpening(a) && a.Slice.Equal(i.Slice) })
}

// Leads says whether the alert is of that kind, and of this opening.
func (i Incident) Leads(a alert.Alert) bool { return i.OfOpening(a) && kindOf(&a) == i.Kind() }

// lead is the newest evidence of the leading kind.
func (i Incident) lead() (lead alert.Alert) {
	kind := i.Kind()
	for n := range i.Alerts {
		if a := &i.Alerts[n]; i.OfOpening(*a) && kindOf(a) == kind && (lead.ID == "" || a.AsOf.After(lead.AsOf)) {
			lead = *a
		}
	}
	return lead
}

// Headline is the first line of everything: what is broken for whom, and how
// much of the volume.
func (i Incident) Headline() string {
	n, k, _, share, pooled := i.Counts()
	who, whose := "the product", "its"
	switch all := i.led(); len(all) {
	case 0:
	case 1:
		who = string(all[0].ID)
	default:
		who, whose = fmt.Sprintf("%d tenants", len(all)), "their"
	}
	kind, lead := i.Kind(), i.lead()
	if kind == rule.Source {
		return i.silent(lead)
	}
	s := cmp.Or(i.noun(), i.Service)
	if len(i.Slice) > 0 {
		s += " " + through(i.Slice)
	}
	s += " " + i.verb(kind, lead) + " for " + who
	if n > 0 {
		s += ": " + i.amount(kind, lead, n, k)
		if len(i.Slice) > 0 && share > 0 {
			of := whose
			if pooled {
				of = "all"
			}
			s += ", " + percent(share) + " of " + of + " volume"
		}
	}
	return s
}

// led are the tenants that its headline counts: of whom an alert of the leading kind is.
func (i Incident) led() []Tenant {
	kind, of := i.Kind(), map[tenant.ID]bool{}
	for n := range i.Alerts {
		if a := &i.Alerts[n]; i.OfOpening(*a) && kindOf(a) == kind {
			of[a.Tenant] = true
			for _, id := range a.Evidence.Tenants {
				of[id] = true
			}
		}
	}
	all := i.Concerned()
	if led := slices.DeleteFunc(slices.Clone(all), func(t Tenant) bool { return !of[t.ID] }); len(led) > 0 {
		return led
	}
	return all
}

// verb is what the events do, in the present while it is on.
func (i Incident) verb(kind rule.Kind, lead alert.Alert) string {
	many, over := i.noun() != "" || strings.HasSuffix(i.Service, "s"), i.State == StateResolved
	be := map[bool]string{true: "are", false: "is"}[many]
	if over {
		be = map[bool]string{true: "were", false: "was"}[many]
	}
	switch kind {
	case rule.Declines:
		return be + " declined"
	case rule.Latency:
		return be + " slow"
	case rule.Traffic:
		if lead.Evidence.N > lead.Evidence.Expected {
			return be + " too many"
		}
		return be + " missing"
	case rule.Absent:
		return be + " not reported"
	case rule.PromQL: // what its query means is in its name
		if over {
			return "raised " + lead.Rule
		}
		return map[bool]string{true: "raise ", false: "raises "}[many] + lead.Rule
	}
	switch {
	case over:
		return "failed"
	case many:
		return "fail"
	}
	return "fails"
}

// amount says how bad it is: k of n are wrong.
func (i Incident) amount(kind rule.Kind, lead alert.Alert, n, k float64) string {
	switch kind {
	case rule.Latency:
		return percent(k/n) + " take longer than " + seconds(lead.Evidence.Over)
	case rule.Traffic:
		came := n - k
		if lead.Evidence.N > lead.Evidence.Expected {
			came = lead.Evidence.N
		}
		return fmt.Sprintf("%s instead of %s", count(came), count(n))
	}
	return percent(k/n) + " of attempts"
}

// Measure names what Counts counts as wrong: "Declined"; empty for failures.
func (i Incident) Measure() string {
	lead := i.lead()
	switch i.Kind() {
	case rule.Declines:
		return "Declined"
	case rule.Latency:
		return "Longer than " + seconds(lead.Evidence.Over)
	case rule.Traffic:
		if lead.Evidence.N > lead.Evidence.Expected {
			return "Too many"
		}
		return "Missing"
	}
	return ""
}

// counted is the evidence in numbers, and what is usual.
func (i Incident) counted() (counted, usual string) {
	n, k, ratio, _, _ := i.Counts()
	if n <= 0 {
		return "", ""
	}
	kind, lead := i.Kind(), i.lead()
	usual = percent(ratio)
	did := "failed"
	switch kind {
	case rule.Declines:
		did = "were declined"
	case rule.Latency:
		did = "took longer than " + seconds(lead.Evidence.Over)
	case rule.Source, rule.Absent, rule.PromQL:
		return "", ""
	case rule.Traffic:
		came := n - k
		if lead.Evidence.N > lead.Evidence.Expected {
			came = lead.Evidence.N
		}
		return fmt.Sprintf("%s %s in %s", count(came), i.Things(), alert.Lasting(lead.AsOf.Sub(lead.OnsetAt))), count(n)
	}
	if kind == rule.BurnRate {
		usual += " allowed by the objective"
	}
	return fmt.Sprintf("%s of %s attempts %s", count(k), count(n), did), usual
}

// silent is the headline of a source that sends no more.
func (i Incident) silent(a alert.Alert) string {
	verb := "is silent"
	if i.State == StateResolved {
		verb = "was silent"
	}
	s := "source " + a.Evidence.Source + " " + verb
	if a.Evidence.N > 0 {
		s += fmt.Sprintf(": %s tenants are not watched", count(a.Evidence.N))
		if a.Evidence.N == 1 {
			s = strings.Replace(s, "tenants are", "tenant is", 1)
		}
		if i.State == StateResolved {
			s = strings.NewReplacer("are not", "were not", "is not", "was not").Replace(s)
		}
	}
	return s
}

// seconds writes a bucket's edge: 250 ms, 2.5 s.
func seconds(s float64) string {
	switch {
	case s <= 0:
		return "each tenant's own limit" // pooled, and they differ
	case s < 1:
		return fmt.Sprintf("%g ms", s*1000)
	}
	return fmt.Sprintf("%g s", s)
}
