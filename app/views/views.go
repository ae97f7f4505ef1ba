// Package views is what each page for people does: it reads through app/api what
// the caller may see, and fills the models of web/view.
//
// It decides nothing and keeps nothing but a look at all tenants that is a few
// seconds old. A page links only to what its viewer's role may open.
package views

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/app/views/entry"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// Views answers requests for pages.
type Views struct {
	api    *api.Server
	entry  *entry.Entry
	routes []web.Route

	mu     sync.Mutex // guards looked
	looked look
}

// New makes the views over what the API reads.
func New(s *api.Server, e *entry.Entry) *Views {
	v := &Views{api: s, entry: e}
	v.routes = v.table()
	return v
}

// Routes are the rows of the one table that are pages.
func (v *Views) Routes() []web.Route { return v.routes }

func (v *Views) table() []web.Route {
	linked := web.Linked(web.People) // a signed link to one incident too
	return []web.Route{
		{Method: "GET", Path: "/{$}", Summary: "Healthy or blind?", Kind: web.View, Roles: web.People, Handle: v.overview},
		{Method: "GET", Path: "/tenants", Summary: "Tenants", Kind: web.View, Roles: web.People, Handle: v.tenants},
		{Method: "GET", Path: "/tenants/{id}", Summary: "One tenant", Kind: web.View, Roles: web.People, Tenant: "id", Handle: v.tenant},
		{Method: "GET", Path: "/alerts", Summary: "Alerts", Kind: web.View, Roles: web.People, Handle: v.alerts},
		{Method: "GET", Path: "/incidents", Summary: "Incidents", Kind: web.View, Roles: web.People, Handle: v.incidents},
		{Method: "GET", Path: "/incidents/{id}", Summary: "One incident", Kind: web.View, Roles: linked, Handle: v.incidentView},
		{Method: "POST", Path: "/incidents/{id}/acknowledge", Summary: "Take it", Kind: web.View, Roles: web.Responders, Handle: v.act(acknowledge)},
		{Method: "POST", Path: "/incidents/{id}/notes", Summary: "Say something", Kind: web.View, Roles: web.Responders, Handle: v.act(note)},
		{Method: "POST", Path: "/incidents/{id}/resolve", Summary: "Call it over", Kind: web.View, Roles: web.Responders, Handle: v.act(resolve)},
		{Method: "POST", Path: "/incidents/{id}/verdict", Summary: "Say what it was", Kind: web.View, Roles: web.Responders, Handle: v.verdict},
		{Method: "GET", Path: "/oncall", Summary: "Who is called", Kind: web.View, Roles: web.People, Handle: v.onCall},
		{Method: "GET", Path: "/sources", Summary: "What sends", Kind: web.View, Roles: web.People, Handle: v.sources},
		{Method: "GET", Path: "/policy", Summary: "The policy and its rollout", Kind: web.View, Roles: web.People, Handle: v.policy},
		{Method: "GET", Path: "/calendar", Summary: "What was announced, and what it does now", Kind: web.View, Roles: web.People, Handle: v.calendar},
		{Method: "GET", Path: "/ledger", Summary: "Decisions", Kind: web.View, Roles: web.People, Handle: v.ledger},
		{Method: "GET", Path: "/dashboards/{rule}", Summary: "A rule's dashboard", Kind: web.View, Roles: linked, Handle: v.dashboardView},
		{Method: "GET", Path: "/dashboards/{rule}/picture", Summary: "Its chart", Kind: web.View, Roles: linked, Handle: v.dashboardPicture},
		{Method: "GET", Path: "/tickets/{number}", Summary: "A ticket's incident", Kind: web.View, Roles: web.People, Handle: v.ticket},
	}
}

// navigation in the order it is shown.
var navigation = []view.NavItem{
	{Name: "Overview", URL: "/"}, {Name: "Incidents", URL: "/incidents"}, {Name: "Alerts", URL: "/alerts"}, {Name: "Tenants", URL: "/tenants"},
	{Name: "On call", URL: "/oncall"}, {Name: "Sources", URL: "/sources"}, {Name: "Policy", URL: "/policy"}, {Name: "Calendar", URL: "/calendar"}, {Name: "Ledger", URL: "/ledger"},
}

// may says whether the viewer's role has the route.
func (v *Views) may(p web.Principal, method, pattern string) bool {
	return slices.ContainsFunc(v.routes, func(r web.Route) bool {
		return r.Method == method && r.Path == pattern && slices.Contains(r.Roles, p.Role)
	})
}

// frame is what a page carries for its viewer: where else it may go.
func (v *Views) frame(r *http.Request, p web.Principal) view.Frame {
	f := v.entry.Frame(p)
	f.Live = true
	if f.Anonymous {
		return f
	}
	for _, n := range navigation {
		pattern := n.URL
		if pattern == "/" {
			pattern = "/{$}"
		}
		if !v.may(p, http.MethodGet, pattern) {
			continue
		}
		n.Here = r.URL.Path == n.URL || n.URL != "/" && strings.HasPrefix(r.URL.Path, n.URL+"/")
		f.Nav = append(f.Nav, n)
	}
	return f
}

// to links to a page if the viewer may open it; else it is empty, and the page
// shows text.
func (v *Views) to(p web.Principal, pattern, path string, q url.Values) string {
	if !v.may(p, http.MethodGet, pattern) {
		return ""
	}
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}

func (v *Views) tenantURL(p web.Principal, id string) string {
	return v.to(p, "/tenants/{id}", "/tenants/"+id, nil)
}

// choices marks the one that is chosen.
func choices(chosen string, pairs ...string) []view.Choice {
	out := make([]view.Choice, 0, len(pairs)/2)
	for n := 0; n+1 < len(pairs); n += 2 {
		out = append(out, view.Choice{Value: pairs[n], Name: pairs[n+1], Chosen: pairs[n] == chosen})
	}
	return out
}

// with is the request's own address with one parameter changed; empty: taken out.
func with(r *http.Request, name, value string) string {
	q := r.URL.Query()
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	return (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()
}

// matches says whether all words of a search stand in one of the texts.
func matches(query string, texts ...string) bool {
	all := strings.ToLower(strings.Join(texts, " "))
	for _, word := range strings.Fields(strings.ToLower(query)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

const (
	listLength = 100
	maxQuery   = 200 // bytes of a search that are looked at
)

// search is what was typed, bounded.
func search(r *http.Request, name string) string {
	s := strings.TrimSpace(r.URL.Query().Get(name))
	return s[:min(len(s), maxQuery)]
}

func minutes(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }
