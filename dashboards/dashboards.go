// Package dashboards makes what a person looks at: the dashboard of a rule
// (its panels in PromQL and the link that opens it at the moment of firing)
// and the picture that goes onto tickets and pages.
//
// It knows rules, SLIs and pixels. It must not know where the counts are
// stored, who may see them, or how the picture travels: counts come in as
// Points, a PNG goes out.
package dashboards

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Query is one line of a panel.
type Query struct {
	Legend string `json:"legend"` // Prometheus legend format, e.g. "{{acquirer}}"
	PromQL string `json:"promql"` // valid in any Prometheus-compatible backend
}

// Panel is one graph of a dashboard.
type Panel struct {
	Title   string  `json:"title"`
	Unit    string  `json:"unit"` // "ratio" (0..1) or "per_minute"
	Queries []Query `json:"queries"`
}

// Dashboard is what belongs to one rule in one environment, for one tenant's
// slice or, with tenant.Product and no slice, for everything the rule sees. It
// is a value: the same rule gives the same dashboard, byte for byte.
type Dashboard struct {
	Rule        string    `json:"rule"` // its name, the path's last element
	Title       string    `json:"title"`
	Summary     string    `json:"summary"`
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	RunbookURL  string    `json:"runbook_url"`
	Tenant      tenant.ID `json:"tenant"`
	Slice       sli.Slice `json:"slice"`
	Panels      []Panel   `json:"panels"`

	spec sli.Spec
}

// resolution is the window of the panels' queries: one minute, the finest that
// a 60 s scrape can fill.
const resolution = time.Minute

// ForRule is the rule's dashboard over all tenants of the environment. For
// narrows it.
func ForRule(r rule.Rule, environment string) Dashboard {
	d := Dashboard{
		Rule: r.Name, Title: r.Name, Summary: r.Summary, Service: r.Service,
		Environment: environment, RunbookURL: r.RunbookURL, spec: r.SLI,
	}
	return d.For(tenant.Product, nil)
}

// For is the same dashboard for one tenant (tenant.Product: all of them) and
// one slice (nil: the total).
func (d Dashboard) For(t tenant.ID, slice sli.Slice) Dashboard {
	d.Tenant, d.Slice = t, append(sli.Slice{}, slice...)
	sel := sli.Selection{"environment": d.Environment}
	if t != tenant.Product && t != "" {
		sel["tenant"] = string(t)
	}
	bad, total := d.spec.PromQLPlain(resolution, sel, d.Slice)
	d.Panels = []Panel{
		{Title: "Failing", Unit: "ratio", Queries: []Query{{Legend: "failing", PromQL: ratio(bad, total)}}},
		{Title: "Volume", Unit: "per_minute", Queries: []Query{
			{Legend: "all", PromQL: total}, {Legend: "failed", PromQL: bad},
		}},
	}
	cuts := d.spec.Slices
	if _, one := sel["tenant"]; !one {
		cuts = append([]string{"tenant"}, cuts...)
	}
	for _, label := range cuts {
		if d.Slice.Map()[label] != "" {
			continue // already cut by it: one line would repeat the first panel
		}
		d.Panels = append(d.Panels, Panel{
			Title: "Failing by " + label, Unit: "ratio",
			Queries: []Query{{Legend: "{{" + label + "}}", PromQL: ratio(by(label, bad), by(label, total))}},
		})
	}
	return d
}

// ratio is bad/total: 0 where nothing failed, absent where nothing happened.
func ratio(bad, total string) string {
	return fmt.Sprintf("(%s or %s * 0) / (%s > 0)", bad, total, total)
}

// by cuts the sum that sli writes by one label.
func by(label, sum string) string {
	return "sum by (" + label + ") " + strings.TrimPrefix(sum, "sum")
}
