// Package duty is who is on call, and what people decide about it: shifts, overrides,
// calendars, teams' modes and drills.
//
// It answers the API and the views; who is called is worked out by rota and oncall.
package duty

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for who is on call. All fields are needed.
type API struct {
	*state.State
	Incidents *incidents.API
	Links     links.Maker
	Signer    web.Signer
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route { return append(s.onCall(), s.teams()...) }

// TurnAnswer is who is on call, and why.
type TurnAnswer struct {
	Person     string         `json:"person"`
	PersonName string         `json:"person_name"`
	TimeZone   string         `json:"time_zone"` // of the person
	Schedule   string         `json:"schedule"`  // empty: not by a schedule
	From       time.Time      `json:"from"`      // when this was asked for, or the shift begins
	Until      *time.Time     `json:"until"`     // null: no end is known
	Override   *rota.Override `json:"override"`  // null: none
	Reason     string         `json:"reason"`
}

// OnCallAnswer is who of a team is on call at an instant, and after that.
type OnCallAnswer struct {
	Team     string      `json:"team"`
	TeamName string      `json:"team_name"`
	Schedule string      `json:"schedule"`
	At       time.Time   `json:"at"`
	Live     bool        `json:"live"` // false: nobody is called, it is only recorded
	Now      *TurnAnswer `json:"now"`  // null: nobody, and Problem says why
	Next     *TurnAnswer `json:"next"` // null: nobody follows
	Problem  string      `json:"problem"`
	// Chain is whom a critical incident would call now, one after the other, while
	// nobody acknowledges.
	Chain []CalleeAnswer `json:"chain"`
}

// CalleeAnswer is one whom an incident would call.
type CalleeAnswer struct {
	Step         int     `json:"step"` // from 1: the person on call
	LastResort   bool    `json:"last_resort"`
	AfterSeconds float64 `json:"after_seconds"` // since the one before, unanswered
	Person       string  `json:"person"`        // empty: nobody, and Problem says why
	PersonName   string  `json:"person_name"`
	Reason       string  `json:"reason"`
	Problem      string  `json:"problem"`
}

// EscalationAnswer is how far the calls for an incident have gone.
type EscalationAnswer struct {
	Phase      string         `json:"phase"` // none, waiting (for working hours), calling, through (everybody was asked), ended
	Round      int            `json:"round"`
	Step       int            `json:"step"`
	LastResort bool           `json:"last_resort"` // was called
	Asked      []oncall.Asked `json:"asked"`
	NextAt     *time.Time     `json:"next_at"` // null: nobody is asked by itself
	Why        string         `json:"why"`
}

// ShiftAnswer is a stretch of a schedule.
type ShiftAnswer struct {
	Schedule   string    `json:"schedule"`
	Person     string    `json:"person"` // empty: nobody is on call
	PersonName string    `json:"person_name"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Layer      int       `json:"layer"`    // from 1; 0: an override, or nobody
	Override   string    `json:"override"` // id; empty: none
	Reason     string    `json:"reason"`
}

// OverrideRequest asks for somebody else to be on call.
type OverrideRequest struct {
	Schedule string `json:"schedule"`
	Team     string `json:"team"` // instead of schedule: that of the team
	Person   string `json:"person"`
	Instead  string `json:"instead"` // empty: whoever would be on call
	From     string `json:"from"`    // RFC 3339; empty: now
	To       string `json:"to"`
	Reason   string `json:"reason"`
}

// onCall is who is called, and what people decide about it.
func (s *API) onCall() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/oncall", Summary: "Who is on call now, or at a time, and who is next (?team=&at=)", Roles: web.People, Response: web.List[OnCallAnswer]{}, Handle: s.listOnCall},
		{Method: "GET", Path: "/api/v1/oncall/shifts", Summary: "The shifts of a schedule or a person in a span of time (?schedule=&person=&from=&to=)", Roles: web.People, Response: web.List[ShiftAnswer]{}, Handle: s.listShifts},
		{Method: "GET", Path: "/api/v1/oncall/overrides", Summary: "Overrides, those of the catalog included (?schedule=&all=true)", Roles: web.People, Response: web.List[rota.Override]{}, Handle: s.listOverrides},
		{Method: "POST", Path: "/api/v1/oncall/overrides", Summary: "Put somebody on call for a while", Roles: web.Managers, Request: OverrideRequest{}, Response: rota.Override{}, Status: http.StatusCreated, Handle: s.addOverride},
		{Method: "DELETE", Path: "/api/v1/oncall/overrides/{id}", Summary: "Take an override back; one under way ends now", Roles: web.Managers, Status: http.StatusNoContent, Handle: s.removeOverride},
		{Method: "GET", Path: "/api/v1/incidents/{id}/escalation", Summary: "Who was asked for an incident, and what comes next", Roles: web.People, Response: EscalationAnswer{}, Handle: s.getEscalation},
		{Method: "POST", Path: "/api/v1/oncall/calendars", Summary: "Make the secret address of a calendar of a schedule or a person", Roles: web.Administrators, Request: CalendarRequest{}, Response: CalendarAnswer{}, Status: http.StatusCreated, Handle: s.makeCalendar},
	}
}

func dutyAnswer(d rota.Duty, from time.Time) *TurnAnswer {
	a := &TurnAnswer{Person: string(d.Person.ID), PersonName: d.Person.Name, TimeZone: d.Person.TimeZone, Schedule: string(d.Schedule), From: from.UTC(), Override: d.Override, Reason: d.Reason}
	if !d.Until.IsZero() {
		end := d.Until.UTC()
		a.Until = &end
	}
	return a
}

// OnCall is who of a team is on call at an instant.
func (s *API) OnCall(t catalog.Team, at time.Time) OnCallAnswer {
	r := s.Flow.Duty().Roster()
	a := OnCallAnswer{Team: string(t.ID), TeamName: t.Name, Schedule: string(t.Schedule), At: at.UTC(), Live: s.Flow.Duty().Live(t.ID), Chain: []CalleeAnswer{}}
	for _, c := range oncall.Chain(t.ID, r, at) {
		a.Chain = append(a.Chain, CalleeAnswer{Step: c.Step, LastResort: c.LastResort, AfterSeconds: c.After.Seconds(), Person: string(c.Person), PersonName: c.Name, Reason: c.Reason, Problem: c.Problem})
	}
	d, err := r.Who(t.ID, at)
	if err != nil {
		p := problem.From(err)
		a.Problem = p.Message + " (" + p.Hint + ")"
		return a
	}
	a.Now = dutyAnswer(d, at)
	if next, begins, ok := r.Next(d); ok {
		a.Next = dutyAnswer(next, begins)
	}
	return a
}

// Escalation is how far the calls for an incident have gone.
func (s *API) Escalation(ctx context.Context, i incident.Incident) (EscalationAnswer, error) {
	a := EscalationAnswer{Phase: "none", Asked: []oncall.Asked{}}
	rec, ok, err := s.Store.Record(ctx, store.PartitionOf(response.Subject(i.Environment)), response.Escalations, string(i.ID))
	if err != nil {
		return a, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if !ok {
		return a, nil
	}
	e, err := partition.Decode[oncall.Escalation](rec)
	if err != nil {
		return a, err
	}
	a.Phase, a.Round, a.Step, a.LastResort, a.Why = string(e.Phase), e.Round, e.Step, e.Last, e.Why
	a.Asked = append(a.Asked, e.Asked...)
	if !e.NextAt.IsZero() {
		a.NextAt = &e.NextAt
	}
	return a, nil
}

func (s *API) getEscalation(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.Incidents.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	a, err := s.Escalation(r.Context(), i)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}

func (s *API) listOnCall(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	at, err := web.ParseTime(r.URL.Query().Get("at"), "at")
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = s.Now()
	}
	c := s.Flow.Rules().Catalog
	teams := slices.Clone(c.Teams)
	if id := r.URL.Query().Get("team"); id != "" {
		t, ok := c.Team(catalog.TeamID(id))
		if !ok {
			return problem.New(problem.NotFound, "there is no such team").WithHint("give the id of an entry under teams in the catalog")
		}
		teams = []catalog.Team{t}
	}
	slices.SortFunc(teams, func(a, b catalog.Team) int { return cmp.Compare(a.ID, b.ID) })
	out := make([]OnCallAnswer, len(teams))
	for n, t := range teams {
		out[n] = s.OnCall(t, at)
	}
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(a OnCallAnswer) string { return a.Team }, l))
}

// Shifts lists those of one schedule, or of one person in every schedule, in
// order of time.
func (s *API) Shifts(schedule catalog.ScheduleID, person catalog.PersonID, from, to time.Time) ([]ShiftAnswer, error) {
	r := s.Flow.Duty().Roster()
	schedules := []catalog.ScheduleID{schedule}
	if schedule == "" {
		schedules = schedules[:0]
		for _, x := range r.Catalog.Schedules {
			schedules = append(schedules, x.ID)
		}
	}
	out := []ShiftAnswer{}
	for _, id := range schedules {
		shifts, err := r.Shifts(id, from, to)
		if err != nil {
			return nil, err
		}
		for _, x := range shifts {
			if person != "" && x.Person != person {
				continue
			}
			a := ShiftAnswer{Schedule: string(id), Person: string(x.Person), From: x.From, To: x.To, Layer: x.Layer, Reason: x.Reason}
			if p, ok := r.Catalog.Person(x.Person); ok {
				a.PersonName = p.Name
			}
			if x.Override != nil {
				a.Override = x.Override.ID
			}
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b ShiftAnswer) int { return a.From.Compare(b.From) })
	return out, nil
}

const maxSpan = 400 * 24 * time.Hour

func (s *API) listShifts(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	q := r.URL.Query()
	from, err := web.ParseTime(q.Get("from"), "from")
	if err != nil {
		return err
	}
	to, err := web.ParseTime(q.Get("to"), "to")
	if err != nil {
		return err
	}
	if from.IsZero() {
		from = s.Now()
	}
	if to.IsZero() {
		to = from.AddDate(0, 0, 28)
	}
	schedule, person := catalog.ScheduleID(q.Get("schedule")), catalog.PersonID(q.Get("person"))
	switch {
	case !from.Before(to) || to.Sub(from) > maxSpan:
		return problem.New(problem.Invalid, "the span must end after it begins, and within 400 days").WithHint("from and to are RFC 3339 times")
	case schedule == "" && person == "":
		return problem.New(problem.Malformed, "schedule or person is missing").WithHint("for example ?schedule=primary&from=…&to=…")
	}
	if err := s.known(schedule, person); err != nil {
		return err
	}
	list, err := s.Shifts(schedule, person, from, to)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, web.List[ShiftAnswer]{Items: list})
}

func (s *API) known(schedule catalog.ScheduleID, person catalog.PersonID) error {
	c := s.Flow.Rules().Catalog
	if _, ok := c.Schedule(schedule); schedule != "" && !ok {
		return problem.New(problem.NotFound, "there is no such schedule").WithHint("give the id of an entry under schedules in the catalog")
	}
	if _, ok := c.Person(person); person != "" && !ok {
		return problem.New(problem.NotFound, "there is no such person").WithHint("give the id of an entry under people in the catalog")
	}
	return nil
}

func (s *API) listOverrides(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	only, every := catalog.ScheduleID(r.URL.Query().Get("schedule")), r.URL.Query().Get("all") == "true"
	if err := s.known(only, ""); err != nil {
		return err
	}
	roster := s.Flow.Duty().Roster()
	out := []rota.Override{}
	for _, x := range roster.Catalog.Schedules {
		for _, o := range roster.Of(x.ID) {
			if (only == "" || only == o.Schedule) && (every || o.To.After(s.Now())) {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b rota.Override) int { return strings.Compare(a.ID, b.ID) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(o rota.Override) string { return o.ID }, l))
}

func (s *API) addOverride(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in OverrideRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	o := rota.Override{Schedule: catalog.ScheduleID(in.Schedule), Person: catalog.PersonID(in.Person), Instead: catalog.PersonID(in.Instead), Reason: in.Reason}
	if in.Team != "" {
		t, ok := s.Flow.Rules().Catalog.Team(catalog.TeamID(in.Team))
		switch {
		case in.Schedule != "":
			return problem.New(problem.Invalid, "give schedule or team, not both")
		case !ok:
			return problem.New(problem.Invalid, "the team is not in the catalog").WithHint("give the id of an entry under teams")
		case t.Schedule == "":
			return problem.New(problem.Invalid, "the team has no schedule, so there is nothing to override").WithHint("give the team a schedule in the catalog")
		}
		o.Schedule = t.Schedule
	}
	var err error
	if o.From, err = web.ParseTime(in.From, "from"); err != nil {
		return err
	}
	if o.To, err = web.ParseTime(in.To, "to"); err != nil {
		return err
	}
	err = s.Decide(r.Context(), standby.Subject, func(tx *partition.Tx, _ *flow.Handler) (err error) {
		o, err = s.Flow.Duty().AddOverride(tx, o, p.Name)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, o)
}

func (s *API) removeOverride(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	err := s.Decide(r.Context(), standby.Subject, func(tx *partition.Tx, _ *flow.Handler) error {
		return s.Flow.Duty().RemoveOverride(tx, r.PathValue("id"), p.Name)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
