package views

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// span reads which dashboard is asked for and whether the caller may see it: a
// signed link covers what its incident is about.
func (v *Views) span(r *http.Request, p web.Principal) (d dashboards.Dashboard, span dashboards.Span, err error) {
	rl, ok := v.api.Rule(r.PathValue("rule"))
	if !ok {
		return d, span, problem.New(problem.NotFound, "there is no such rule in the policy")
	}
	if span, err = dashboards.ParseQuery(asked(r, v.api.Now()), v.api.Now()); err != nil {
		return d, span, err
	}
	environment := r.URL.Query().Get("environment")
	switch known := v.api.Environments(); {
	case environment == "":
		environment = known[0]
	case !slices.Contains(known, environment):
		return d, span, problem.New(problem.NotFound, "there is no such environment")
	}
	d = dashboards.ForRule(rl, environment)
	if p.Role != web.Link {
		if !p.Covers(span.Tenant) {
			return d, span, problem.New(problem.Forbidden, "the credential does not cover this tenant")
		}
		return d, span, nil
	}
	i, err := v.api.Incidents.One(r.Context(), p.Incident, p)
	if err != nil {
		return d, span, err
	}
	if i.Environment != environment || !slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.Rule == rl.Name }) {
		return d, span, problem.New(problem.Forbidden, "the link does not cover this dashboard").WithHint("sign in to see it")
	}
	if span.Tenant != tenant.Product && !slices.Contains(names(i), string(span.Tenant)) {
		return d, span, problem.New(problem.Forbidden, "the link does not cover this tenant").WithHint("sign in to see it")
	}
	return d, span, nil
}

func (v *Views) dashboardView(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	d, span, err := v.span(r, p)
	if err != nil {
		return err
	}
	keep := func(sp dashboards.Span) string {
		u, _ := url.Parse(d.PathTo(sp))
		q := u.Query()
		for _, k := range []string{"cap", "environment", "incident"} {
			if v := r.URL.Query().Get(k); v != "" {
				q.Set(k, v)
			}
		}
		u.RawQuery = q.Encode()
		return u.String()
	}
	u, _ := url.Parse(keep(span))
	u.Path += "/picture"
	d = d.For(span.Tenant, span.Slice)
	page := view.DashboardPage{Frame: v.frame(r, p), Rule: d.Rule, Summary: d.Summary, Service: d.Service, Slice: dims(span.Slice), From: span.From, To: span.To, At: span.At,
		Chart: drawn(u, "Failing share and volume of "+d.Rule), Runbook: d.RunbookURL,
		Earlier: keep(span.Earlier()), Later: keep(span.Later()), ZoomIn: keep(span.ZoomIn()), ZoomOut: keep(span.ZoomOut())}
	if span.Tenant != tenant.Product {
		page.Tenant = string(span.Tenant)
	}
	if p.Role != web.Link {
		page.Presets, page.Choose = presets(r, d, span), v.choose(r, d, span, p)
	}
	for _, panel := range d.Panels {
		for _, q := range panel.Queries {
			page.Queries = append(page.Queries, view.Query{Title: panel.Title + " (" + q.Legend + ")", PromQL: q.PromQL})
		}
	}
	if own := v.ownDashboard(r.PathValue("rule")); own != "" && p.Role != web.Link {
		page.Links = append(page.Links, view.Link{Name: "The team's own dashboard", URL: own})
	}
	if id := r.URL.Query().Get("incident"); id != "" {
		q := url.Values{}
		if c := r.URL.Query().Get("cap"); c != "" {
			q.Set("cap", c)
		}
		page.Links = append(page.Links, view.Link{Name: "Incident", URL: (&url.URL{Path: "/incidents/" + id, RawQuery: q.Encode()}).String()})
	}
	return v.entry.Pages.Dashboard(web.HTML(w, http.StatusOK), page)
}

// ownDashboard is where the rule's team looks besides: what the rule names, else its
// service in the catalog.
func (v *Views) ownDashboard(name string) string {
	r, _ := v.api.Rule(name)
	if r.DashboardURL != "" {
		return r.DashboardURL
	}
	s, _ := v.api.Flow.Rules().Catalog.Service(catalog.ServiceID(r.Service))
	return s.Dashboard
}

// drawn is a picture of our own by its address, in both colour schemes.
func drawn(u *url.URL, alt string) *view.Picture {
	dark, q := *u, u.Query()
	q.Set("dark", "1")
	dark.RawQuery = q.Encode()
	return &view.Picture{URL: u.String(), DarkURL: dark.String(), Alt: alt}
}

func (v *Views) dashboardPicture(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	d, span, err := v.span(r, p)
	if err != nil {
		return err
	}
	rl, _ := v.api.Rule(d.Rule)
	var lead alert.Alert
	if id := r.URL.Query().Get("incident"); id != "" {
		if i, err := v.api.Incidents.One(r.Context(), id, p); err == nil {
			lead, _ = send.Lead(i)
		}
	}
	if lead.Rule != rl.Name { // of an incident that speaks of another rule
		lead = alert.Alert{}
	}
	over := lead.Evidence.Over
	now, known := v.learned(r.Context(), rl, d.Environment, span)
	if rl.Kind == rule.Latency && over == 0 && known && now.OverSeconds != nil {
		over = *now.OverSeconds // else the volume is shown
	}
	rl.SLI = rl.SLI.At(over)
	c, err := v.api.Artist.Span(r.Context(), rl, d.Environment, span)
	if err != nil {
		return err
	}
	switch {
	case lead.ID != "":
		c = send.Mark(c, lead)
	case known && c.Volume && rl.Kind == rule.Traffic:
		c.Usual = now.RatePerMinute
	case known && !c.Volume:
		c.Usual = now.Usual
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("height")); err == nil {
		c.Height = n
	}
	c.Dark = r.URL.Query().Get("dark") != ""
	png, err := c.PNG()
	if err != nil {
		return err
	}
	return web.WritePNG(w, png)
}

// learned is what the rule holds of the tenant's slice now; false where that is not
// known: of all tenants together, before anything was learned, or when another
// replica serves the tenant.
func (v *Views) learned(ctx context.Context, rl rule.Rule, environment string, span dashboards.Span) (found evaluate.SliceStatus, ok bool) {
	if span.Tenant == tenant.Product {
		return found, false // each tenant has its own
	}
	err := v.api.Flow.Decide(ctx, span.Tenant.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		for _, x := range h.Status(span.Tenant, tx.Now()).SLIs {
			for _, sl := range x.Slices {
				if x.Environment == environment && sl.Rule == rl.Name && sl.Kind != rule.Absent && sl.Slice.Equal(span.Slice) {
					found, ok = sl, true
				}
			}
		}
		return nil
	})
	return found, ok && err == nil
}

// ticket leads from a number of the built-in register to its incident.
func (v *Views) ticket(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	if err := v.api.Here(r.Context(), v.api.Tickets.Subject()); err != nil {
		return err
	}
	e, err := v.api.Tickets.Register.Get(r.Context(), r.PathValue("number"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/incidents/"+e.Key, http.StatusSeeOther)
	return nil
}
