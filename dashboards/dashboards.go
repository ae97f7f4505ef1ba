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
	"slices"
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
	Unit    string  `json:"unit"` // "ratio" (0..1), "per_minute" or "seconds"
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

	kind rule.Kind
	spec sli.Spec
	burn *rule.Burn
}

// resolution is the window of the panels' queries: one minute, the finest that
// a 60 s scrape can fill.
const resolution = time.Minute

// ForRule is the rule's dashboard over all tenants of the environment. For
// narrows it.
func ForRule(r rule.Rule, environment string) Dashboard {
	d := Dashboard{
		Rule: r.Name, Title: r.Name, Summary: r.Summary, Service: r.Service,
		Environment: environment, RunbookURL: r.RunbookURL, kind: r.Kind, spec: r.SLI, burn: r.Burn,
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
	d.Panels = d.panels(sel)
	return d
}

func (d Dashboard) panels(sel sli.Selection) []Panel {
	cuts := d.cuts(sel)
	switch {
	case d.kind == rule.Latency:
		return d.durations(sel, cuts)
	case d.kind.Share():
		return d.ratios(sel, cuts)
	}
	return d.volumes(sel, cuts)
}

// cuts lists the labels that panels are cut by: not those that the slice names already.
func (d Dashboard) cuts(sel sli.Selection) []string {
	cuts := d.spec.Slices
	if _, one := sel["tenant"]; !one {
		cuts = append([]string{"tenant"}, cuts...)
	}
	return slices.DeleteFunc(slices.Clone(cuts), func(label string) bool { return d.Slice.Map()[label] != "" })
}

func (d Dashboard) ratios(sel sli.Selection, cuts []string) []Panel {
	title, did := "Failing", "failed"
	if d.kind == rule.Declines {
		title, did = "Declined", "declined"
	}
	bad, total := d.spec.PromQLPlain(resolution, sel, d.Slice)
	out := []Panel{
		{Title: title, Unit: "ratio", Queries: []Query{{Legend: strings.ToLower(title), PromQL: ratio(bad, total)}}},
		{Title: "Volume", Unit: "per_minute", Queries: []Query{{Legend: "all", PromQL: total}, {Legend: did, PromQL: bad}}},
	}
	if d.burn != nil { // a value only while it is too fast
		out = append(out, Panel{Title: "Spends its error budget too fast", Unit: "ratio",
			Queries: []Query{{Legend: "failed in the long window", PromQL: d.burn.PromQL(d.spec, sel, d.Slice, true)}}})
	}
	for _, label := range cuts {
		out = append(out, Panel{Title: title + " by " + label, Unit: "ratio",
			Queries: []Query{{Legend: "{{" + label + "}}", PromQL: ratio(d.spec.PromQLBy(label, resolution, sel, d.Slice))}}})
	}
	return out
}

// durations shows quantiles: the edge that a tenant is judged by is its own.
func (d Dashboard) durations(sel sli.Selection, cuts []string) []Panel {
	took := Panel{Title: "Duration", Unit: "seconds"}
	for _, q := range []float64{0.5, 0.95, 0.99} {
		took.Queries = append(took.Queries, Query{Legend: fmt.Sprintf("p%g", 100*q), PromQL: d.spec.Quantile(q, "", resolution, sel, d.Slice)})
	}
	_, total := d.spec.PromQLPlain(resolution, sel, d.Slice)
	out := []Panel{took, {Title: "Volume", Unit: "per_minute", Queries: []Query{{Legend: "all", PromQL: total}}}}
	for _, label := range cuts {
		out = append(out, Panel{Title: "p95 by " + label, Unit: "seconds",
			Queries: []Query{{Legend: "{{" + label + "}}", PromQL: d.spec.Quantile(0.95, label, resolution, sel, d.Slice)}}})
	}
	return out
}

func (d Dashboard) volumes(sel sli.Selection, cuts []string) []Panel {
	_, total := d.spec.PromQLPlain(resolution, sel, d.Slice)
	out := []Panel{{Title: "Volume", Unit: "per_minute", Queries: []Query{
		{Legend: "now", PromQL: total}, {Legend: "a week before", PromQL: before7d(total)},
	}}}
	for _, label := range cuts {
		_, by := d.spec.PromQLBy(label, resolution, sel, d.Slice)
		out = append(out, Panel{Title: "Volume by " + label, Unit: "per_minute", Queries: []Query{{Legend: "{{" + label + "}}", PromQL: by}}})
	}
	return out
}

// before7d moves the sum that sli writes a week back.
func before7d(sum string) string { return strings.TrimSuffix(sum, "))") + " offset 7d))" }

// ratio is bad/total: 0 where nothing failed, absent where nothing happened.
func ratio(bad, total string) string {
	return fmt.Sprintf("(%s or %s * 0) / (%s > 0)", bad, total, total)
}
