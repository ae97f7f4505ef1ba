// Package tickets is how the built-in register is read and acted upon, how it is kept in
// the store, and whether a ticket system can be used as configured.
package tickets

import (
	"context"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for tickets. All fields are needed; Register and Systems are set once
// they are built.
type API struct {
	*state.State
	Register *register.Register
	Systems  func() map[string]itsm.System // by configured name, not to be changed
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	return []web.Route{
		{Method: "POST", Path: "/api/v1/itsm/{name}/check", Summary: "Whether a ticket system can be used as configured", Roles: web.Enablers, Status: http.StatusNoContent, Handle: s.checkSystem},
		{Method: "GET", Path: "/api/v1/tickets", Summary: "Tickets of the built-in register", Roles: web.People, Response: web.List[register.Entry]{}, Handle: s.listTickets},
		{Method: "GET", Path: "/api/v1/tickets/{number}", Summary: "One ticket of the built-in register", Roles: web.People, Response: register.Entry{}, Handle: s.getTicket},
		{Method: "POST", Path: "/api/v1/tickets/{number}/acknowledge", Summary: "Take a ticket", Roles: web.Managers, Request: incidents.ActRequest{}, Response: register.Entry{}, Handle: s.actTicket(s.takeTicket)},
		{Method: "POST", Path: "/api/v1/tickets/{number}/resolve", Summary: "Resolve a ticket", Roles: web.Managers, Request: incidents.ActRequest{}, Response: register.Entry{}, Handle: s.actTicket(s.resolveTicket)},
	}
}

func (s *API) listTickets(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	if err := s.Here(r.Context(), s.Subject()); err != nil {
		return err
	}
	items, next, err := s.Register.List(r.Context(), register.Filter{Limit: l.Limit, After: l.Cursor})
	if err != nil {
		return err
	}
	if items == nil {
		items = []register.Entry{}
	}
	return web.WriteJSON(w, http.StatusOK, web.List[register.Entry]{Items: items, Next: next})
}

func (s *API) getTicket(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	if err := s.Here(r.Context(), s.Subject()); err != nil {
		return err
	}
	e, err := s.Register.Get(r.Context(), r.PathValue("number"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, e)
}

func (s *API) checkSystem(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	system, ok := s.Systems()[r.PathValue("name")]
	if !ok {
		return problem.New(problem.NotFound, "there is no such ticket system").WithHint("the names stand under itsm.systems in tocsin.yaml")
	}
	ctx, cancel := context.WithTimeout(r.Context(), 25*time.Second)
	defer cancel()
	if err := system.Check(ctx); err != nil {
		p := *problem.From(err)
		p.Kind = problem.Unavailable // it is the ticket system that refuses, not this API
		return &p
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// actTicket is what a person does in the built-in register.
func (s *API) actTicket(do func(ctx context.Context, number, user, note string) (register.Entry, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		var in incidents.ActRequest
		if r.ContentLength != 0 {
			if err := web.ReadJSON(r, &in); err != nil {
				return err
			}
		}
		user := in.Person
		if user == "" {
			user = p.Name
		}
		if err := s.Here(r.Context(), s.Subject()); err != nil {
			return err
		}
		e, err := do(r.Context(), r.PathValue("number"), user, in.Note)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, e)
	}
}

func (s *API) takeTicket(ctx context.Context, number, user, _ string) (register.Entry, error) {
	return s.Register.Acknowledge(ctx, number, user)
}

func (s *API) resolveTicket(ctx context.Context, number, user, note string) (register.Entry, error) {
	return s.Register.Resolve(ctx, number, user, note)
}

// Subject is where the built-in register lives.
func (s *API) Subject() string {
	for name, system := range s.Systems() {
		if system == itsm.System(s.Register) {
			return Records{Name: name}.subject()
		}
	}
	return Records{}.subject()
}
