package views

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// typed is how an input of type datetime-local writes a time; ours are UTC.
const typed = "2006-01-02T15:04"

// spans that end now, as they are offered and as the address has them.
var spans = []struct {
	name, last string
	length     time.Duration
}{
	{"1 hour", "1h", time.Hour}, {"6 hours", "6h", 6 * time.Hour}, {"1 day", "1d", 24 * time.Hour}, {"7 days", "7d", 7 * 24 * time.Hour}, {"30 days", "30d", 30 * 24 * time.Hour},
}

// asked is the dashboard's address in the form that links have: times as typed
// into the form, fields left empty, and spans that end now, at whole minutes so
// that a page that is kept fresh draws a new picture once a minute.
func asked(r *http.Request, now time.Time) url.Values {
	q := r.URL.Query()
	for _, name := range []string{"from", "to"} {
		if t, err := time.Parse(typed, q.Get(name)); err == nil {
			q.Set(name, t.Format(time.RFC3339))
		}
	}
	slices := q["slice"]
	q.Del("slice")
	for _, s := range slices {
		if s != "" {
			q.Add("slice", s)
		}
	}
	length := time.Duration(0)
	for _, s := range spans {
		if s.last == q.Get("last") {
			length = s.length
		}
	}
	if q.Get("from") == "" && q.Get("to") == "" && q.Get("at") == "" && length == 0 {
		length = spans[1].length
	}
	if length > 0 {
		to := minutes(now)
		q.Set("from", to.Add(-length).Format(time.RFC3339))
		q.Set("to", to.Format(time.RFC3339))
	}
	return q
}

func presets(r *http.Request, d dashboards.Dashboard, span dashboards.Span) []view.NavItem {
	var out []view.NavItem
	for _, s := range spans {
		q := dashboards.Span{Tenant: span.Tenant, Slice: span.Slice}.Query()
		q.Set("last", s.last)
		q.Set("environment", d.Environment)
		out = append(out, view.NavItem{Name: s.name, URL: (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String(), Here: r.URL.Query().Get("last") == s.last})
	}
	return out
}

const maxOffered = 200 // tenants, and slices, that a form offers

// choose is the form that goes to any tenant, slice and time of the rule.
func (v *Views) choose(r *http.Request, d dashboards.Dashboard, span dashboards.Span, p web.Principal) *view.DashboardForm {
	f := &view.DashboardForm{Path: r.URL.Path, From: span.From.UTC().Format(typed), To: span.To.UTC().Format(typed), Hidden: map[string]string{"environment": d.Environment}}
	if span.Tenant != tenant.Product {
		f.Tenant = string(span.Tenant)
	}
	for _, t := range v.api.Flow.Directory().List() {
		if p.Covers(t.ID) && len(f.Tenants) < maxOffered {
			f.Tenants = append(f.Tenants, string(t.ID))
		}
	}
	here := span.Slice.Key()
	for _, one := range v.slices(r.Context(), d.Rule, span, p) {
		value := one.Label + "=" + one.Value
		f.Slices = append(f.Slices, view.Choice{Value: value, Name: one.Label + " " + one.Value, Chosen: value == here})
		if value == here {
			here = ""
		}
	}
	if here != "" && len(span.Slice) == 1 {
		f.Slices = append(f.Slices, view.Choice{Value: here, Name: span.Slice[0].Label + " " + span.Slice[0].Value, Chosen: true})
	}
	return f
}

// slices lists the values by which the rule's SLI was cut in the span, as far as
// the history tells them soon.
func (v *Views) slices(ctx context.Context, name string, span dashboards.Span, p web.Principal) []view.Dim {
	rl, ok := v.api.Rule(name)
	q := v.api.Query()
	if !ok || q == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	fence := query.Fence{Any: p.Any, Tenants: p.Tenants}
	if span.Tenant != tenant.Product {
		fence = query.Fence{Tenants: []tenant.ID{span.Tenant}}
	}
	metric, err := labels.NewMatcher(labels.MatchEqual, labels.MetricName, rl.SLI.Metric)
	if err != nil {
		return nil
	}
	var out []view.Dim
	for _, label := range rl.SLI.Slices {
		found, err := q.LabelValues(ctx, fence, label, query.Question{Matchers: [][]*labels.Matcher{{metric}}, From: span.From, To: span.To, Limit: maxOffered})
		if err != nil {
			return out // a form with fewer choices is still a form
		}
		for _, value := range found.Items {
			if len(out) < maxOffered {
				out = append(out, view.Dim{Label: label, Value: value})
			}
		}
	}
	return out
}
