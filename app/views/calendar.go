package views

import (
	"net/http"
	"net/url"

	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// calendar shows what was announced and what it does now: all of it, or what concerns
// ?tenant=, in that tenant's zone.
func (v *Views) calendar(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	page := view.CalendarPage{Frame: v.frame(r, p)}
	zone := page.Zone
	var on *calendar.Scope
	if id := search(r, "tenant"); id != "" {
		t, ok := v.api.Flow.Directory().Get(tenant.ID(id))
		if !ok || !p.Covers(t.ID) {
			return problem.New(problem.NotFound, "there is no such tenant")
		}
		on, zone = calendar.Of(t, v.api.Flow.Settings.Environment), policies.Zone(t.Timezone)
		page.Tenant, page.All, page.Zone = t.Name, v.to(p, "/calendar", "/calendar", url.Values{}), zone
	}
	if zone == nil {
		zone = policies.Zone("")
	}
	list, err := v.api.Flow.Announcements(r.Context(), on, v.api.Now())
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	for _, a := range list {
		row := announced(policies.Announced(a, zone), a)
		switch {
		case a.Holds:
			page.Holding = append(page.Holding, row)
		case a.Over():
			page.Over = append(page.Over, row)
		default:
			page.Coming = append(page.Coming, row)
		}
	}
	return v.entry.Pages.Calendar(web.HTML(w, http.StatusOK), page)
}

func announced(x policies.CalendarEntry, a flow.Announced) view.Announced {
	out := view.Announced{Name: x.Name, Follows: view.Sentence(x.Follows), When: x.When, Whom: x.Whom, Tenants: x.Concerns, At: a.ChangesAt, Why: view.Sentence(x.Why), By: x.By, Behind: x.Behind}
	for _, h := range x.Holding {
		out.Holds = append(out.Holds, view.Sentence(h))
	}
	return out
}
