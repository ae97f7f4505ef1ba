package api

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/web"
)

// Routes is the one table: mux, checks and the OpenAPI document are made of it.
func (s *Server) Routes() []web.Route {
	return slices.Concat(s.service(), s.reloads(), s.queries(), s.otlp(), s.Duty.Calendars(), s.inner(), s.documents())
}

// service is what other programs call in their own form.
func (s *Server) service() []web.Route {
	write := func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		s.Door.Write(w, r, door.Scope{Any: p.Any, Tenants: p.Tenants, OrgID: r.Header.Get("X-Scope-OrgID"), Sender: p.Name})
		return nil
	}
	metrics := promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{})
	return []web.Route{
		{Method: "GET", Path: "/-/healthy", Summary: "The process runs", Kind: web.Raw, Open: true, Handle: func(w http.ResponseWriter, _ *http.Request, _ web.Principal) error {
			_, _ = w.Write([]byte("tocsin is healthy.\n"))
			return nil
		}},
		{Method: "GET", Path: "/-/ready", Summary: "Every part serves", Kind: web.Raw, Open: true, Handle: func(w http.ResponseWriter, _ *http.Request, _ web.Principal) error {
			if err := s.Ready(); err != nil {
				return err
			}
			_, _ = w.Write([]byte("tocsin is ready.\n"))
			return nil
		}},
		{Method: "GET", Path: "/metrics", Summary: "tocsin's own metrics", Kind: web.Raw, Open: true, Handle: func(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
			metrics.ServeHTTP(w, r)
			return nil
		}},
		{Method: "POST", Path: "/api/v1/push", Summary: "Remote write 1.0 and 2.0", Kind: web.Raw, Roles: web.Senders, Handle: write},
		{Method: "POST", Path: "/api/v1/write", Summary: "Remote write 1.0 and 2.0", Kind: web.Raw, Roles: web.Senders, Handle: write},
	}
}

// documents are the JSON API.
func (s *Server) documents() []web.Route {
	return slices.Concat(s.clusters(), s.tokens(), s.Duty.Routes(), s.Policies.Routes(), s.Tenants.Routes(), s.Health.Routes(), s.Incidents.Routes(), s.Records.Routes(), s.Tickets.Routes(), []web.Route{
		{Method: "GET", Path: "/api/openapi.json", Summary: "This API as an OpenAPI document", Roles: web.Readers, Handle: s.openAPI},
		{Method: "POST", Path: "/api/v1/reload", Summary: "Read configuration, policy and catalog anew, all or nothing", Roles: web.Administrators, Response: ReloadAnswer{}, Handle: s.postReload},
	})
}
