package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// AlertAnswer is an alert with the incident that holds it.
type AlertAnswer struct {
	alert.Alert
	Incident string `json:"incident"` // empty: none
}

func (s *Server) listAlerts(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && state != string(alert.Firing) && state != string(alert.Resolved) {
		return problem.New(problem.Malformed, "state must be firing or resolved")
	}
	list, err := s.Incidents(r.Context(), web.Principal{Any: true, Role: web.Admin})
	if err != nil {
		return err
	}
	byID := map[alert.ID]AlertAnswer{}
	for _, i := range list {
		for _, a := range i.Alerts {
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
}

// answer narrows an incident to what the caller may see of it.
func (s *Server) answer(i incident.Incident, p web.Principal) IncidentAnswer {
	a := IncidentAnswer{Incident: i, URL: s.Links.At("/incidents/"+string(i.ID), nil)}
	if i.Dashboard.Blob != "" {
		a.PictureURL = s.Links.At("/api/v1/incidents/"+string(i.ID)+"/picture", nil)
	}
	if p.Any || p.Role == web.Link {
		return a
	}
	a.Tenants = slices.DeleteFunc(slices.Clone(i.Tenants), func(t incident.Tenant) bool { return !p.Covers(t.ID) })
	a.OtherTenants = len(i.Tenants) - len(a.Tenants)
	a.Alerts = slices.DeleteFunc(slices.Clone(i.Alerts), func(x alert.Alert) bool { return !p.Covers(x.Tenant) })
	for n := range a.Alerts {
		a.Alerts[n] = own(a.Alerts[n], p)
	}
	a.Notes, a.Pages, a.History = a.Notes[:0:0], a.Pages[:0:0], a.History[:0:0]
	a.Title = ""
	a.Stakes = nil                              // what others are of the whole
	a.ResolutionReason, a.Mirror.Error = "", "" // what people and programs wrote may name anybody
	a.Mirror.Ref.URL, a.Dashboard, a.PictureURL = "", incident.Dashboard{}, ""
	return a
}

func touched(i incident.Incident) []tenant.ID {
	out := make([]tenant.ID, 0, len(i.Tenants))
	for _, t := range i.Tenants {
		out = append(out, t.ID)
	}
	return out
}

// Incidents reads all that the caller may see, the newest first.
func (s *Server) Incidents(ctx context.Context, p web.Principal) ([]incident.Incident, error) {
	var out []incident.Incident
	for _, env := range s.Environments() {
		list, err := partition.AllOf[incident.Incident](ctx, s.Store, flow.IncidentsSubject(env), flow.Incidents)
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			if i.Environment == env && p.Sees(string(i.ID), touched(i)) {
				out = append(out, i)
			}
		}
	}
	slices.SortFunc(out, func(a, b incident.Incident) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return out, nil
}

// Incident reads one incident by id or number. One that the caller may not see is
// forbidden whether it exists or not.
func (s *Server) Incident(ctx context.Context, id string, p web.Principal) (incident.Incident, error) {
	for _, env := range s.Environments() {
		r, ok, err := s.Store.Record(ctx, store.PartitionOf(flow.IncidentsSubject(env)), flow.Incidents, id)
		if err != nil {
			return incident.Incident{}, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
		}
		if !ok {
			continue
		}
		i, err := partition.Decode[incident.Incident](r)
		if err != nil || i.Environment == env && p.Sees(id, touched(i)) {
			return i, err
		}
	}
	if n, err := strconv.Atoi(id); err == nil {
		list, err := s.Incidents(ctx, p)
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

func (s *Server) listIncidents(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && !slices.Contains([]incident.State{incident.StateOpen, incident.StateAcknowledged, incident.StateResolved}, incident.State(state)) {
		return problem.New(problem.Malformed, "state must be open, acknowledged or resolved")
	}
	list, err := s.Incidents(r.Context(), p)
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
		out.Items = append(out.Items, s.answer(i, p))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Server) getIncident(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.Incident(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.answer(i, p))
}

func (s *Server) getPicture(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.Incident(r.Context(), r.PathValue("id"), p)
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
	return WritePNG(w, png)
}

// WritePNG answers with a picture.
func WritePNG(w http.ResponseWriter, png []byte) error {
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "private, max-age=60")
	w.Header().Set("Content-Length", strconv.Itoa(len(png)))
	_, _ = w.Write(png) // the client may be gone
	return nil
}

// ActRequest is what a person does to an incident through the API.
type ActRequest struct {
	// Person is an id in the catalog; empty: the session's person or the token's
	// name. A responder names nobody else.
	Person string `json:"person"`
	Note   string `json:"note"`
}

// HolderAnswer says who has an incident.
type HolderAnswer struct {
	Taken bool      `json:"taken"` // by this call
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
}

func (s *Server) person(in ActRequest, p web.Principal) (incident.Actor, error) {
	switch {
	case p.Role == web.Responder && in.Person != "" && in.Person != p.Person:
		return incident.Actor{}, problem.New(problem.Forbidden, "a responder does not act for somebody else").WithHint("leave person out")
	case p.Person != "":
		in.Person = p.Person
	case in.Person == "":
		return incident.Actor{Name: p.Name}, nil
	}
	for _, c := range s.Flow.Rules().Catalog.People {
		if string(c.ID) == in.Person {
			return incident.Actor{Person: c.ID, Name: c.Name, ITSMUser: c.ITSMUser}, nil
		}
	}
	return incident.Actor{}, problem.New(problem.Invalid, "the person is not in the catalog").WithHint("give the id of an entry under people, or leave it out")
}

// act runs one person's decision on an incident.
func (s *Server) act(w http.ResponseWriter, r *http.Request, p web.Principal, do func(tx *partition.Tx, h *flow.Handler, id string, by incident.Actor, in ActRequest) (any, error)) error {
	var in ActRequest
	if r.ContentLength != 0 {
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
	}
	i, err := s.Incident(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	if err := p.Acts(string(i.Team)); err != nil {
		return err
	}
	by, err := s.person(in, p)
	if err != nil {
		return err
	}
	var out any
	err = s.Decide(r.Context(), flow.IncidentsSubject(i.Environment), func(tx *partition.Tx, h *flow.Handler) (err error) {
		out, err = do(tx, h, string(i.ID), by, in)
		return err
	})
	if err != nil {
		return err
	}
	if out == nil {
		if i, err = s.Incident(r.Context(), string(i.ID), p); err != nil {
			return err
		}
		out = s.answer(i, p)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Server) acknowledge(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, h *flow.Handler, id string, by incident.Actor, _ ActRequest) (any, error) {
		holder, err := h.Acknowledge(tx, id, by, "api")
		return HolderAnswer{Taken: holder.Taken, By: holder.By.String(), Since: holder.Since, Text: holder.Text}, err
	})
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, h *flow.Handler, id string, by incident.Actor, in ActRequest) (any, error) {
		return nil, h.Resolve(tx, id, by, "api", in.Note)
	})
}

func (s *Server) release(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, h *flow.Handler, id string, by incident.Actor, in ActRequest) (any, error) {
		return nil, h.Release(tx, id, by, "api", in.Note)
	})
}

func (s *Server) note(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	key := r.Header.Get("Idempotency-Key")
	return s.act(w, r, p, func(tx *partition.Tx, h *flow.Handler, id string, by incident.Actor, in ActRequest) (any, error) {
		if strings.TrimSpace(in.Note) == "" {
			return nil, problem.New(problem.Invalid, "note is empty")
		}
		if key == "" {
			key = strconv.FormatInt(tx.Now().UnixNano(), 36)
		}
		return nil, h.Note(tx, id, by, key, in.Note)
	})
}

// PageAnswer is a page; the link that acknowledges is for administrators only,
// who could acknowledge anyway.
type PageAnswer struct {
	oncall.Page
	AckURL string `json:"ack_url,omitempty"`
}

func (s *Server) listPages(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	of := r.URL.Query().Get("incident")
	var out []PageAnswer
	for _, env := range s.Environments() {
		list, err := partition.AllOf[oncall.Page](r.Context(), s.Store, flow.IncidentsSubject(env), flow.Pages)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Environment == env && (of == "" || of == p.Incident) {
				out = append(out, PageAnswer{Page: p, AckURL: s.Links.Acknowledge(p)})
			}
		}
	}
	slices.SortFunc(out, func(a, b PageAnswer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(p PageAnswer) string { return string(p.ID) }, l))
}
