package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// TeamAnswer is a team, whether it is paged for real, and since when and why.
type TeamAnswer struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Live      bool          `json:"live"`
	Since     *time.Time    `json:"since"` // null: from the start, by the configuration
	By        string        `json:"by"`
	Reason    string        `json:"reason"`
	LastDrill *oncall.Drill `json:"last_drill"` // null: none
}

// ModeRequest asks for a team to be paged, or to be no longer.
type ModeRequest struct {
	Force  bool   `json:"force"` // live without a passed drill; needs a reason
	Reason string `json:"reason"`
}

func (s *Server) teams() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/teams", Summary: "Teams, and whether they are paged for real", Roles: web.People, Response: web.List[TeamAnswer]{}, Handle: s.listTeams},
		{Method: "POST", Path: "/api/v1/teams/{id}/live", Summary: "Page a team for real; a drill must have passed within 30 days", Roles: web.Enablers, Request: ModeRequest{}, Response: TeamAnswer{}, Handle: s.setMode(true)},
		{Method: "POST", Path: "/api/v1/teams/{id}/observe", Summary: "Page a team no longer, at once", Roles: web.Enablers, Request: ModeRequest{}, Response: TeamAnswer{}, Handle: s.setMode(false)},
		{Method: "POST", Path: "/api/v1/teams/{id}/drills", Summary: "Send a test page to whoever is on call", Roles: web.Enablers, Response: oncall.Drill{}, Status: http.StatusCreated, Handle: s.startDrill},
		{Method: "GET", Path: "/api/v1/drills", Summary: "Drills, the newest first (?team=)", Roles: web.People, Response: web.List[oncall.Drill]{}, Handle: s.listDrills},
		{Method: "GET", Path: "/api/v1/drills/{id}", Summary: "One drill", Roles: web.People, Response: oncall.Drill{}, Handle: s.getDrill},
	}
}

// Teams lists every team with its mode and last drill.
func (s *Server) Teams(r *http.Request) ([]TeamAnswer, error) {
	drills, err := s.Flow.TeamDrills(r.Context(), "")
	if err != nil {
		return nil, err
	}
	out := []TeamAnswer{}
	for _, t := range s.Flow.Rules().Catalog.Teams {
		out = append(out, s.team(t, drills))
	}
	slices.SortFunc(out, func(a, b TeamAnswer) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out, nil
}

// team tells of one team; drills are of any, the newest first.
func (s *Server) team(t catalog.Team, drills []oncall.Drill) TeamAnswer {
	a := TeamAnswer{ID: string(t.ID), Name: t.Name, Live: s.Flow.Live(t.ID), Reason: "live_teams of the configuration does not list it"}
	if a.Live {
		a.Reason = "live from the start, by the configuration"
	}
	if m, ok := s.Flow.Mode(t.ID); ok {
		a.Since, a.By, a.Reason = &m.At, m.By, m.Reason
	}
	if n := slices.IndexFunc(drills, func(d oncall.Drill) bool { return d.Team == t.ID }); n >= 0 {
		a.LastDrill = &drills[n]
	}
	return a
}

func (s *Server) listTeams(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	out, err := s.Teams(r)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(a TeamAnswer) string { return a.ID }, l))
}

func (s *Server) setMode(live bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		var in ModeRequest
		if r.ContentLength != 0 {
			if err := web.ReadJSON(r, &in); err != nil {
				return err
			}
		}
		id := catalog.TeamID(r.PathValue("id"))
		if len(in.Reason) > 500 {
			return problem.New(problem.Invalid, "the reason is longer than 500 bytes").WithHint("shorten it")
		}
		err := s.Decide(r.Context(), flow.DutySubject, func(tx *partition.Tx, _ *flow.Handler) (err error) {
			if live {
				_, err = s.Flow.GoLive(tx, id, in.Force, in.Reason, p.Name)
			} else {
				_, err = s.Flow.Observe(tx, id, in.Reason, p.Name)
			}
			return err
		})
		if err != nil {
			return err
		}
		drills, err := s.Flow.TeamDrills(r.Context(), id)
		if err != nil {
			return err
		}
		t, _ := s.Flow.Rules().Catalog.Team(id)
		return web.WriteJSON(w, http.StatusOK, s.team(t, drills))
	}
}

func (s *Server) startDrill(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var d oncall.Drill
	err := s.Decide(r.Context(), flow.IncidentsSubject(s.Flow.Settings.Environment), func(tx *partition.Tx, h *flow.Handler) (err error) {
		d, err = h.StartDrill(tx, catalog.TeamID(r.PathValue("id")), p.Name)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, d)
}

func (s *Server) listDrills(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	all, err := s.Flow.TeamDrills(r.Context(), catalog.TeamID(r.URL.Query().Get("team")))
	if err != nil {
		return err
	}
	out := web.List[oncall.Drill]{Items: []oncall.Drill{}}
	for _, d := range all {
		if l.Cursor != "" && d.ID >= l.Cursor {
			continue
		}
		if len(out.Items) == l.Limit {
			out.Next = out.Items[l.Limit-1].ID
			break
		}
		out.Items = append(out.Items, d)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Server) getDrill(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	d, err := s.findDrill(r, s.Flow.Settings.Environment, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

func (s *Server) findDrill(r *http.Request, environment, id string) (d oncall.Drill, err error) {
	rec, ok, err := s.Store.Record(r.Context(), store.PartitionOf(flow.IncidentsSubject(environment)), flow.Drills, id)
	if err != nil {
		return d, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if !ok {
		return d, problem.New(problem.NotFound, "there is no such drill")
	}
	return partition.Decode[oncall.Drill](rec)
}

// writeDrill is what the link of a drill's page opens.
func (s *Server) writeDrill(w http.ResponseWriter, r *http.Request, p oncall.Page, environment string) error {
	d, err := s.findDrill(r, environment, p.Place.Drill)
	if err != nil {
		return err
	}
	f := s.Frame(web.Principal{})
	f.CSRF = s.Signer.FormToken(r.PathValue("token"))
	if zone, err := time.LoadLocation(p.TimeZone); err == nil {
		f.Zone = zone
	}
	page := view.AckPage{Frame: f, Drill: true, Person: p.PersonName, Number: "Drill", Headline: "A drill for team " + string(p.Team) + ": nothing is broken", State: view.Open}
	switch {
	case p.AcknowledgedAt != nil:
		page.State, page.TakenBy, page.TakenAt, page.ByPerson = view.Acknowledged, p.AcknowledgedBy, *p.AcknowledgedAt, p.By == p.Person
	case d.FinishedAt != nil:
		page.State, page.ResolvedAt = view.Resolved, *d.FinishedAt
	default:
		page.Take = &view.Form{Path: r.URL.Path}
	}
	return s.Views.Ack(HTML(w, http.StatusOK), page)
}
