package api

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
	"github.com/tocsin-alerting/tocsin/web"
)

// Routes is the one table: mux, checks and the OpenAPI document are made of it.
func (s *Server) Routes() []web.Route {
	return slices.Concat(s.service(), s.reloads(), s.queries(), s.otlp(), s.calendars(), s.inner(), s.documents(), s.views())
}

// service is what other programs call in their own form.
func (s *Server) service() []web.Route {
	write := func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		s.Door.Write(w, r, samples.Scope{Any: p.Any, Tenants: p.Tenants, OrgID: r.Header.Get("X-Scope-OrgID"), Sender: p.Name})
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

func (s *Server) documents() []web.Route {
	return append(slices.Concat(s.onCall(), s.teams(), s.clusters(), s.policies(), s.announced(), s.profileRoutes()), []web.Route{
		{Method: "GET", Path: "/api/openapi.json", Summary: "This API as an OpenAPI document", Roles: web.Readers, Handle: s.openAPI},

		{Method: "GET", Path: "/api/v1/tenants", Summary: "List tenants", Roles: web.Readers, Response: web.List[tenant.Tenant]{}, Handle: s.listTenants},
		{Method: "PUT", Path: "/api/v1/tenants/{id}", Summary: "Onboard or change a tenant", Roles: web.Onboarders, Tenant: "id", Request: TenantRequest{}, Response: TenantAnswer{}, Status: http.StatusCreated, Handle: s.putTenant},
		{Method: "GET", Path: "/api/v1/tenants/{id}", Summary: "One tenant with its profile", Roles: web.Readers, Tenant: "id", Response: TenantAnswer{}, Handle: s.getTenant},
		{Method: "DELETE", Path: "/api/v1/tenants/{id}", Summary: "Offboard a tenant; ?purge=true also erases what is kept of it and answers 200 with the counts", Roles: web.Administrators, Tenant: "id", Status: http.StatusNoContent, Handle: s.deleteTenant},
		{Method: "GET", Path: "/api/v1/tenants/{id}/profile", Summary: "What is watched for a tenant, and why", Roles: web.Readers, Tenant: "id", Response: ProfileAnswer{}, Handle: s.getProfile},
		{Method: "GET", Path: "/api/v1/tenants/{id}/profile/revisions", Summary: "How the profile came to be", Roles: web.Readers, Tenant: "id", Response: web.List[profiles.Revision]{}, Handle: s.getRevisions},
		{Method: "POST", Path: "/api/v1/tenants/{id}/features/{feature}", Summary: "Opt in", Roles: web.Onboarders, Tenant: "id", Response: TenantAnswer{}, Handle: s.feature(true)},
		{Method: "DELETE", Path: "/api/v1/tenants/{id}/features/{feature}", Summary: "Opt out", Roles: web.Onboarders, Tenant: "id", Response: TenantAnswer{}, Handle: s.feature(false)},
		{Method: "GET", Path: "/api/v1/tenants/{id}/status", Summary: "What arrives, what was learned, what could be seen", Roles: web.Readers, Tenant: "id", Response: TenantStatus{}, Handle: s.tenantStatus},
		{Method: "GET", Path: "/api/v1/tenants/{id}/traces", Summary: "Traces worth looking at, and where failing ones fail", Roles: web.Readers, Tenant: "id", Response: hops.Answer{}, Handle: s.traces},
		{Method: "GET", Path: "/api/v1/status", Summary: "The daemon's health", Roles: web.People, Response: StatusAnswer{}, Handle: s.status},
		{Method: "GET", Path: "/api/v1/sources", Summary: "Senders of samples: what each carries, and since when it is silent", Roles: web.People, Response: web.List[sources.Status]{}, Handle: s.sources},
		{Method: "GET", Path: "/api/v1/unknown-tenants", Summary: "Tenants that send and were never onboarded", Roles: web.People, Response: web.List[samples.UnknownTenant]{}, Handle: s.unknownTenants},

		{Method: "POST", Path: "/api/v1/reload", Summary: "Read configuration, policy and catalog anew, all or nothing", Roles: web.Administrators, Response: ReloadAnswer{}, Handle: s.postReload},

		{Method: "GET", Path: "/api/v1/tokens", Summary: "List tokens", Roles: web.Administrators, Response: web.List[web.Token]{}, Handle: s.listTokens},
		{Method: "POST", Path: "/api/v1/tokens", Summary: "Make a token; its text is shown once", Roles: web.Administrators, Request: TokenRequest{}, Response: TokenAnswer{}, Status: http.StatusCreated, Handle: s.createToken},
		{Method: "DELETE", Path: "/api/v1/tokens/{id}", Summary: "Revoke a token", Roles: web.Administrators, Status: http.StatusNoContent, Handle: s.revokeToken},

		{Method: "GET", Path: "/api/v1/alerts", Summary: "List alerts", Roles: web.Readers, Response: web.List[AlertAnswer]{}, Handle: s.listAlerts},
		{Method: "POST", Path: "/api/v1/alerts/{id}/accept", Summary: "Take what a firing alert shows as its tenant's new normal: the alert ends and its rule learns from there", Roles: web.Responders, Response: AlertAnswer{}, Handle: s.acceptAlert},
		{Method: "GET", Path: "/api/v1/incidents", Summary: "List incidents, the newest first", Roles: web.Readers, Response: web.List[IncidentAnswer]{}, Handle: s.listIncidents},
		{Method: "GET", Path: "/api/v1/incidents/{id}", Summary: "One incident, by id or number", Roles: web.Linked(web.Readers), Response: IncidentAnswer{}, Handle: s.getIncident},
		{Method: "GET", Path: "/api/v1/incidents/{id}/picture", Summary: "The chart at the firing time, a PNG", Kind: web.Raw, Roles: web.Linked(web.Readers), Handle: s.getPicture},
		{Method: "POST", Path: "/api/v1/incidents/{id}/acknowledge", Summary: "Take an incident", Roles: web.Responders, Request: ActRequest{}, Response: HolderAnswer{}, Handle: s.acknowledge},
		{Method: "POST", Path: "/api/v1/incidents/{id}/release", Summary: "Give an incident back: it is open again and others are called", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.release},
		{Method: "POST", Path: "/api/v1/incidents/{id}/resolve", Summary: "Call an incident over", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.resolve},
		{Method: "POST", Path: "/api/v1/incidents/{id}/notes", Summary: "Add a note", Roles: web.Responders, Request: ActRequest{}, Response: IncidentAnswer{}, Handle: s.note},
		{Method: "GET", Path: "/api/v1/pages", Summary: "Who was paged", Roles: web.Administrators, Response: web.List[PageAnswer]{}, Handle: s.listPages},

		{Method: "GET", Path: "/api/v1/ledger", Summary: "Every decision about a subject", Roles: web.People, Response: web.List[ledger.Entry]{}, Handle: s.getLedger},
		{Method: "GET", Path: "/api/v1/why/{id}", Summary: "Why: the decisions behind an incident, alert, page or tenant", Roles: web.People, Response: WhyAnswer{}, Handle: s.why},

		{Method: "POST", Path: "/api/v1/itsm/{name}/check", Summary: "Whether a ticket system can be used as configured", Roles: web.Enablers, Status: http.StatusNoContent, Handle: s.checkSystem},
		{Method: "GET", Path: "/api/v1/tickets", Summary: "Tickets of the built-in register", Roles: web.People, Response: web.List[register.Entry]{}, Handle: s.listTickets},
		{Method: "GET", Path: "/api/v1/tickets/{number}", Summary: "One ticket of the built-in register", Roles: web.People, Response: register.Entry{}, Handle: s.getTicket},
		{Method: "POST", Path: "/api/v1/tickets/{number}/acknowledge", Summary: "Take a ticket", Roles: web.Managers, Request: ActRequest{}, Response: register.Entry{}, Handle: s.actTicket(s.takeTicket)},
		{Method: "POST", Path: "/api/v1/tickets/{number}/resolve", Summary: "Resolve a ticket", Roles: web.Managers, Request: ActRequest{}, Response: register.Entry{}, Handle: s.actTicket(s.Register.Resolve)},
	}...)
}

func (s *Server) views() []web.Route {
	static := s.Views.StaticHandler()
	return []web.Route{
		{Method: "GET", Path: "/login", Summary: "Sign in", Kind: web.View, Open: true, Handle: s.loginView},
		{Method: "POST", Path: "/login", Summary: "Sign in", Kind: web.View, Open: true, Handle: s.login},
		{Method: "POST", Path: signin.Path, Summary: "Ask for a link to sign in", Kind: web.View, Open: true, Handle: s.askLink},
		{Method: "GET", Path: signin.Path + "/{link}", Summary: "A sign-in link", Kind: web.View, Open: true, Handle: s.linkView},
		{Method: "POST", Path: signin.Path + "/{link}", Summary: "The sign-in link's button", Kind: web.View, Open: true, Handle: s.linkPress},
		{Method: "POST", Path: "/logout", Summary: "Sign out; ?everywhere ends every session of the person or token", Kind: web.View, Roles: web.People, Handle: s.logout},
		{Method: "GET", Path: "/p/{token}", Summary: "A page's link", Kind: web.View, Open: true, Handle: s.ackView},
		{Method: "POST", Path: "/p/{token}", Summary: "The page's button", Kind: web.View, Open: true, Handle: s.ackPress},
		{Method: "GET", Path: "/static/", Summary: "Style", Kind: web.View, Open: true, Handle: func(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
			static.ServeHTTP(w, r)
			return nil
		}},
	}
}
