package duty

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
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

func (s *API) teams() []web.Route {
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
func (s *API) Teams(r *http.Request) ([]TeamAnswer, error) {
	drills, err := response.TeamDrills(r.Context(), s.Store, s.Flow.Settings.Environment, "")
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
func (s *API) team(t catalog.Team, drills []oncall.Drill) TeamAnswer {
	a := TeamAnswer{ID: string(t.ID), Name: t.Name, Live: s.Flow.Duty().Live(t.ID), Reason: "live_teams of the configuration does not list it"}
	if a.Live {
		a.Reason = "live from the start, by the configuration"
	}
	if m, ok := s.Flow.Duty().Mode(t.ID); ok {
		a.Since, a.By, a.Reason = &m.At, m.By, m.Reason
	}
	if n := slices.IndexFunc(drills, func(d oncall.Drill) bool { return d.Team == t.ID }); n >= 0 {
		a.LastDrill = &drills[n]
	}
	return a
}

func (s *API) listTeams(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
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

func (s *API) setMode(live bool) web.Handler {
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
		err := s.Decide(r.Context(), standby.Subject, func(tx *partition.Tx, _ *flow.Handler) (err error) {
			if live {
				_, err = s.Flow.Duty().GoLive(tx, id, in.Force, in.Reason, p.Name)
			} else {
				_, err = s.Flow.Duty().Observe(tx, id, in.Reason, p.Name)
			}
			return err
		})
		if err != nil {
			return err
		}
		drills, err := response.TeamDrills(r.Context(), s.Store, s.Flow.Settings.Environment, id)
		if err != nil {
			return err
		}
		t, _ := s.Flow.Rules().Catalog.Team(id)
		return web.WriteJSON(w, http.StatusOK, s.team(t, drills))
	}
}

func (s *API) startDrill(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var d oncall.Drill
	err := s.Decide(r.Context(), response.Subject(s.Flow.Settings.Environment), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		d, err = s.Flow.Incidents().StartDrill(tx, catalog.TeamID(r.PathValue("id")), p.Name)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, d)
}

func (s *API) listDrills(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	all, err := response.TeamDrills(r.Context(), s.Store, s.Flow.Settings.Environment, catalog.TeamID(r.URL.Query().Get("team")))
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

func (s *API) getDrill(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	d, err := s.Drill(r.Context(), s.Flow.Settings.Environment, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

// Drill reads one drill.
func (s *API) Drill(ctx context.Context, environment, id string) (d oncall.Drill, err error) {
	rec, ok, err := s.Store.Record(ctx, store.PartitionOf(response.Subject(environment)), response.Drills, id)
	if err != nil {
		return d, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if !ok {
		return d, problem.New(problem.NotFound, "there is no such drill")
	}
	return partition.Decode[oncall.Drill](rec)
}
