// Package incidents is how alerts, incidents and pages are read and acted upon through
// the API.
//
// What a caller may see is narrowed here, also for the views; what is done to an
// incident is decided by its owner.
package incidents

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for incidents, their alerts and pages. All fields are needed.
type API struct {
	*state.State
	Blobs *blob.Dir
	Links links.Maker
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/alerts", Summary: "List alerts", Roles: web.Readers, Response: web.List[AlertAnswer]{}, Handle: s.listAlerts},
		{Method: "POST", Path: "/api/v1/alerts/{id}/accept", Summary: "Take what a firing alert shows as its tenant's new normal: the alert ends and its rule learns from there", Roles: web.Responders, Response: AlertAnswer{}, Handle: s.acceptAlert},
		{Method: "GET", Path: "/api/v1/incidents", Summary: "List incidents, the newest first", Roles: web.Readers, Response: web.List[IncidentAnswer]{}, Handle: s.listIncidents},
		{Method: "GET", Path: "/api/v1/incidents/{id}", Summary: "One incident, by id or number", Roles: web.Linked(web.Readers), Response: IncidentAnswer{}, Handle: s.getIncident},
		{Method: "GET", Path: "/api/v1/incidents/{id}/picture", Summary: "The chart at the firing time, a PNG", Kind: web.Raw, Roles: web.Linked(web.Readers), Handle: s.getPicture},
		{Method: "POST", Path: "/api/v1/incidents/{id}/acknowledge", Summary: "Take an incident", Roles: web.Responders, Request: ActRequest{}, Response: HolderAnswer{}, Handle: s.acknowledge},
		{Method: "POST", Path: "/api/v1/incidents/{id}/release", Summary: "Give an incident back: it is open again and others are called", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.release},
		{Method: "POST", Path: "/api/v1/incidents/{id}/resolve", Summary: "Call an incident over", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.resolve},
		{Method: "POST", Path: "/api/v1/incidents/{id}/verdict", Summary: "Say what an incident was: false alarms are learned, anything else stays out of what is usual", Roles: web.Responders, Request: VerdictRequest{}, Response: IncidentAnswer{}, Handle: s.verdict},
		{Method: "POST", Path: "/api/v1/incidents/{id}/notes", Summary: "Add a note", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.note},
		{Method: "GET", Path: "/api/v1/pages", Summary: "Who was paged", Roles: web.Administrators, Response: web.List[PageAnswer]{}, Handle: s.listPages},
	}
}

// AlertAnswer is an alert with the incident that holds it.
type AlertAnswer struct {
	alert.Alert
	Incident string `json:"incident"` // empty: none
}

func (s *API) listAlerts(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && state != string(alert.Firing) && state != string(alert.Resolved) {
		return problem.New(problem.Malformed, "state must be firing or resolved")
	}
	list, err := s.All(r.Context(), web.Principal{Any: true, Role: web.Admin})
	if err != nil {
		return err
	}
	byID, since := map[alert.ID]AlertAnswer{}, s.since(r.Context(), p)
	for _, i := range list {
		for _, a := range i.Alerts {
			if since.former(a, a.Tenant) {
				continue
			}
			if old, ok := byID[a.ID]; ok && !a.AsOf.After(old.AsOf) {
				continue
			}
			if p.Covers(a.Tenant) && (state == "" || state == string(a.State)) {
				byID[a.ID] = AlertAnswer{Alert: own(a, p), Incident: string(i.ID)}
			}
		}
	}
	out := make([]AlertAnswer, 0, len(byID))
	for _, a := range byID {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b AlertAnswer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(a AlertAnswer) string { return string(a.ID) }, l))
}

// own leaves out of an alert what other tenants gave to it.
func own(a alert.Alert, p web.Principal) alert.Alert {
	if !p.Any && p.Role != web.Link {
		a.Evidence.Tenants = nil
	}
	return a
}

// IncidentAnswer is an incident as a caller may see it.
type IncidentAnswer struct {
	incident.Incident
	URL        string `json:"url"`
	PictureURL string `json:"picture_url"` // empty: there is none (yet)
	// OtherTenants is how many tenants of it the caller may not see.
	OtherTenants int `json:"other_tenants"`
	// FormerTenants are those of the tenants whose id somebody else has, or nobody, since
	// the incident was theirs.
	FormerTenants []tenant.ID `json:"former_tenants,omitempty"`
}

// answer narrows an incident to what the caller may see of it.
func (s *API) answer(ctx context.Context, i incident.Incident, p web.Principal) IncidentAnswer {
	a := IncidentAnswer{Incident: i, URL: s.Links.At("/incidents/"+string(i.ID), nil)}
	if i.Dashboard.Blob != "" {
		a.PictureURL = s.Links.At("/api/v1/incidents/"+string(i.ID)+"/picture", nil)
	}
	if p.Any || p.Role == web.Link {
		a.FormerTenants = s.Former(i)
		return a
	}
	since := s.since(ctx, p)
	now := touched(i, since)
	a.Tenants = slices.DeleteFunc(slices.Clone(i.Tenants), func(t incident.Tenant) bool { return !p.Covers(t.ID) || !slices.Contains(now, t.ID) })
	a.OtherTenants = len(i.Tenants) - len(a.Tenants)
	a.Alerts = slices.DeleteFunc(slices.Clone(i.Alerts), func(x alert.Alert) bool { return !p.Covers(x.Tenant) || since.former(x, x.Tenant) })
	for n := range a.Tenants {
		if since.had(i, a.Tenants[n].ID) { // whose counts they are is not told apart
			a.Tenants[n].N, a.Tenants[n].K = 0, 0
		}
	}
	for n := range a.Alerts {
		a.Alerts[n] = own(a.Alerts[n], p)
	}
	a.Notes, a.Pages, a.History = a.Notes[:0:0], a.Pages[:0:0], a.History[:0:0]
	a.Title = ""
	a.Stakes, a.Known, a.Again = nil, nil, nil // what others are of the whole
	if i.Verdict != nil {
		a.Verdict = &incident.Judgement{Verdict: i.Verdict.Verdict, At: i.Verdict.At}
	}
	a.ResolutionReason, a.Mirror.Error = "", "" // what people and programs wrote may name anybody
	a.Mirror.Ref.URL, a.Dashboard, a.PictureURL = "", incident.Dashboard{}, ""
	return a
}

// All reads all that the caller may see, the newest first.
func (s *API) All(ctx context.Context, p web.Principal) ([]incident.Incident, error) {
	since := s.since(ctx, p)
	out, err := s.IncidentsThat(ctx, "", func(i incident.Incident) bool { return p.Sees(string(i.ID), touched(i, since)) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b incident.Incident) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return out, nil
}

// One reads an incident by id or number. One that the caller may not see is
// forbidden whether it exists or not.
func (s *API) One(ctx context.Context, id string, p web.Principal) (incident.Incident, error) {
	for _, env := range s.Environments() {
		r, ok, err := s.Store.Record(ctx, store.PartitionOf(response.Subject(env)), response.Incidents, id)
		if err != nil {
			return incident.Incident{}, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
		}
		if !ok {
			continue
		}
		i, err := partition.Decode[incident.Incident](r)
		if err != nil || i.Environment == env && p.Sees(id, touched(i, s.since(ctx, p))) {
			return i, err
		}
	}
	if n, err := strconv.Atoi(id); err == nil {
		list, err := s.All(ctx, p)
		if err != nil {
			return incident.Incident{}, err
		}
		if at := slices.IndexFunc(list, func(i incident.Incident) bool { return i.Number == n }); at >= 0 {
			return list[at], nil
		}
	}
	if p.Any {
		return incident.Incident{}, problem.New(problem.NotFound, "there is no such incident")
	}
	return incident.Incident{}, problem.New(problem.Forbidden, "the credential does not cover this incident")
}

func (s *API) listIncidents(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && !slices.Contains([]incident.State{incident.StateOpen, incident.StateAcknowledged, incident.StateResolved}, incident.State(state)) {
		return problem.New(problem.Malformed, "state must be open, acknowledged or resolved")
	}
	list, err := s.All(r.Context(), p)
	if err != nil {
		return err
	}
	out := web.List[IncidentAnswer]{Items: []IncidentAnswer{}}
	for _, i := range list {
		if l.Cursor != "" && string(i.ID) >= l.Cursor || state != "" && state != string(i.State) {
			continue
		}
		if len(out.Items) == l.Limit {
			out.Next = string(out.Items[l.Limit-1].ID)
			break
		}
		out.Items = append(out.Items, s.answer(r.Context(), i, p))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *API) getIncident(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.answer(r.Context(), i, p))
}

func (s *API) getPicture(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	if !p.Any && p.Role != web.Link {
		return problem.New(problem.Forbidden, "the picture shows all tenants of the incident, and the credential does not cover them")
	}
	png, err := s.Blobs.Get(send.BlobID(i))
	if err != nil {
		return err
	}
	return web.WritePNG(w, png)
}
