package check

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
)

// unruled is what policy, catalog and configuration may say of each other and should
// not.
func unruled(c *config.Config, p *profiles.Policy, cat *catalog.Catalog, now time.Time) (faults fault.List) {
	if len(c.PolicyFiles)+len(c.CatalogFiles) == 0 {
		return nil
	}
	if len(p.Environments) > 0 && !p.MayPage(c.Environment) { // without any it is said already
		faults = append(faults, p.Fault(fault.Warning, "environments", "environments does not list the environment of tocsin.yaml: nothing in it pages"))
	}
	faults = append(faults, owned(p, cat, len(c.CatalogFiles) > 0)...)
	for i, r := range p.Rules {
		if r.Sensitivity != "" && r.Kind == string(rule.Absent) {
			faults = append(faults, p.Fault(fault.Warning, index("rules", i)+".sensitivity", "rule "+r.Name+": sensitivity is of no use with kind absent, which needs no evidence; take it out"))
		}
		if why := r.Nobodys(c.Labels.Tenant); why != "" {
			faults = append(faults, p.Fault(fault.Error, index("rules", i)+".expr", "rule "+r.Name+": no series that expr gives has the label "+c.Labels.Tenant+", so that nothing could be told of a tenant; "+why))
		}
	}
	return append(append(faults, announced(c, p, cat)...), over(p, now)...)
}

// announced finds entries of the calendar that name what there is not: they would hold
// nothing, and whoever wrote them thinks that they do.
func announced(c *config.Config, p *profiles.Policy, cat *catalog.Catalog) (faults fault.List) {
	for i, e := range p.Announced {
		for _, s := range e.Services {
			_, owned := cat.Service(catalog.ServiceID(s))
			if !owned && !slices.ContainsFunc(p.Rules, func(r profiles.RuleDoc) bool { return r.Service == s }) {
				faults = append(faults, p.Fault(fault.Warning, index("calendar", i)+".services", "the entry "+e.Name+" names the service "+s+", which is not in the catalog: it holds nothing for it; correct the name"))
			}
		}
		for _, env := range e.Environments {
			if env != c.Environment && !p.MayPage(env) && !p.Lost("environments") {
				faults = append(faults, p.Fault(fault.Warning, index("calendar", i)+".environments", "the entry "+e.Name+" names the environment "+env+", which neither tocsin.yaml nor environments lists: it holds nothing there; correct the name"))
			}
		}
		for _, country := range e.Countries {
			if len(country) != 2 {
				faults = append(faults, p.Fault(fault.Warning, index("calendar", i)+".countries", "the entry "+e.Name+" names a country by "+country+": tenants and payments name theirs by two letters, as in DE"))
			}
		}
	}
	return faults
}

// owned finds rules that nobody owns and those without a dashboard of the people
// who are called for them: whoever is woken needs both, and links that open. The built-in catalog, which is
// nobody's own, needs no dashboard: tocsin draws one of every rule.
func owned(p *profiles.Policy, cat *catalog.Catalog, own bool) (faults fault.List) {
	for i, r := range p.Rules {
		for _, l := range []struct{ key, link string }{{"runbook_url", r.RunbookURL}, {"dashboard_url", r.DashboardURL}} {
			if l.link != "" && !catalog.Link(l.link) {
				faults = append(faults, p.Fault(fault.Error, index("rules", i)+"."+l.key, "rule "+r.Name+": "+l.key+" must be an http or https address: it is a link in tickets and pages"))
			}
		}
		s, ok := cat.Service(catalog.ServiceID(r.Service))
		switch {
		case r.Service == "": // said already
		case !ok:
			faults = append(faults, p.Fault(fault.Error, index("rules", i)+".service", "rule "+r.Name+": nobody owns it: its service is not in the catalog, so that the first team listed would get its incidents; add the service or correct the name"))
		case own && s.Dashboard == "" && r.DashboardURL == "":
			faults = append(faults, p.Fault(fault.Error, index("rules", i), "rule "+r.Name+": it has no dashboard; give its service one in the catalog (dashboard), or the rule (dashboard_url)"))
		}
	}
	return faults
}

// over finds what has ended and stands there still, as whoever reads it may think that it
// holds, and what ends so late that it is forgotten.
func over(p *profiles.Policy, now time.Time) (faults fault.List) {
	warn := func(list string, i int, key, message string) {
		faults = append(faults, p.Fault(fault.Warning, index(list, i)+"."+key, message))
	}
	for i, o := range p.Overrides {
		if !o.Until.IsZero() && !now.Before(o.Until) {
			warn("overrides", i, "until", "the override of tenant "+o.Tenant+" has ended and is not applied; take it out")
		}
		if long := o.Long(now); long != "" {
			warn("overrides", i, "until", "the override of tenant "+o.Tenant+": "+long)
		}
	}
	for i, o := range p.Overrides {
		for j, earlier := range p.Overrides[:i] {
			same := earlier.Tenant == o.Tenant && earlier.Rule == o.Rule && now.Before(earlier.Until) && now.Before(o.Until)
			if same && (differ(earlier.Severity, o.Severity) || differ(earlier.Sensitivity, o.Sensitivity) || earlier.Off != o.Off) {
				warn("overrides", i, "tenant", "the override of tenant "+o.Tenant+" contradicts "+index("overrides", j)+"; remove one of the two")
			}
		}
	}
	for i, n := range p.Pins {
		if !n.Until.IsZero() && !now.Before(n.Until) {
			warn("pins", i, "until", "the pin of tenant "+n.Tenant+" has ended and is not applied; take it out")
		}
	}
	for i, e := range p.Announced {
		if !e.EndsAt.IsZero() && !now.Before(e.EndsAt) {
			warn("calendar", i, "ends_at", "the entry "+e.Name+" is over; take it out")
		} else if p.Calendar().Over(e.Name, now) {
			key := "weekly"
			if e.Dates != nil {
				key = "dates.days"
			}
			warn("calendar", i, key, "the entry "+e.Name+" never holds any more: none of its days is to come; correct them or take it out")
		}
	}
	return faults
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }
