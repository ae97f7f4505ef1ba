// Package tenants is how tenants are onboarded, opted in and offboarded through the API,
// and how their profiles are explained and steered.
//
// What a profile becomes is decided by profiles and evolution, in the tenant's owner.
package tenants

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for tenants. All fields are needed.
type API struct {
	*state.State
	Access *access.Keeper
	Door   *samples.Door
	// Purge offboards a tenant and erases what is kept of it; by is who asked.
	Purge func(ctx context.Context, id tenant.ID, match int, by string) (directory.Erased, error)
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	return append(s.profileRoutes(), []web.Route{
		{Method: "GET", Path: "/api/v1/tenants", Summary: "List tenants", Roles: web.Readers, Response: web.List[tenant.Tenant]{}, Handle: s.listTenants},
		{Method: "PUT", Path: "/api/v1/tenants/{id}", Summary: "Onboard or change a tenant", Roles: web.Onboarders, Tenant: "id", Request: TenantRequest{}, Response: TenantAnswer{}, Status: http.StatusCreated, Handle: s.putTenant},
		{Method: "GET", Path: "/api/v1/tenants/{id}", Summary: "One tenant with its profile", Roles: web.Readers, Tenant: "id", Response: TenantAnswer{}, Handle: s.getTenant},
		{Method: "DELETE", Path: "/api/v1/tenants/{id}", Summary: "Offboard a tenant and end the tokens that cover only it; ?purge=true also erases what is kept of it and answers 200 with the counts", Roles: web.Administrators, Tenant: "id", Status: http.StatusNoContent, Handle: s.deleteTenant},
		{Method: "GET", Path: "/api/v1/tenants/{id}/profile", Summary: "What is watched for a tenant, and why", Roles: web.Readers, Tenant: "id", Response: ProfileAnswer{}, Handle: s.getProfile},
		{Method: "GET", Path: "/api/v1/tenants/{id}/profile/revisions", Summary: "How the profile came to be", Roles: web.Readers, Tenant: "id", Response: web.List[profiles.Revision]{}, Handle: s.getRevisions},
		{Method: "POST", Path: "/api/v1/tenants/{id}/features/{feature}", Summary: "Opt in", Roles: web.Onboarders, Tenant: "id", Response: TenantAnswer{}, Handle: s.feature(true)},
		{Method: "DELETE", Path: "/api/v1/tenants/{id}/features/{feature}", Summary: "Opt out; ?reason= says why", Roles: web.Onboarders, Tenant: "id", Response: TenantAnswer{}, Handle: s.feature(false)},
		{Method: "GET", Path: "/api/v1/tenants/{id}/status", Summary: "What arrives, what was learned, what could be seen", Roles: web.Readers, Tenant: "id", Response: TenantStatus{}, Handle: s.tenantStatus},
		{Method: "GET", Path: "/api/v1/tenants/{id}/traces", Summary: "Traces worth looking at, and where failing ones fail", Roles: web.Readers, Tenant: "id", Response: hops.Answer{}, Handle: s.traces},
		{Method: "GET", Path: "/api/v1/unknown-tenants", Summary: "Tenants that send and were never onboarded", Roles: web.People, Response: web.List[samples.UnknownTenant]{}, Handle: s.unknownTenants},
	}...)
}

// TenantAnswer is a tenant with the profile it has.
type TenantAnswer struct {
	tenant.Tenant
	Profile ProfileAnswer `json:"profile"`
}

// ProfileAnswer is a profile in words and in rules.
type ProfileAnswer struct {
	profiles.Profile
	Watches []string `json:"watches"` // one sentence per rule
}

func profileAnswer(p profiles.Profile) ProfileAnswer {
	return ProfileAnswer{Profile: p, Watches: p.Describe()}
}

// TenantRequest is the onboarding document as the API takes it; the id stands
// in the path.
type TenantRequest struct {
	Name                string            `json:"name"`
	Features            []string          `json:"features"`
	Services            []string          `json:"services"`
	Countries           []string          `json:"countries"`
	Integrations        []string          `json:"integrations"`
	Timezone            string            `json:"timezone"`
	Currency            string            `json:"currency"`
	ExpectedTPM         float64           `json:"expected_tpm"`
	ValuePerTransaction float64           `json:"value_per_transaction"`
	Priority            bool              `json:"priority"`
	State               tenant.State      `json:"state"`
	Labels              map[string]string `json:"labels"`
	OnboardedAt         string            `json:"onboarded_at,omitempty"`
	OptIns              []tenant.OptIn    `json:"opt_ins,omitempty"`
}

func (s *API) putTenant(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in TenantRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	match, err := web.IfMatch(r)
	if err != nil {
		return err
	}
	t := tenant.Tenant{ID: tenant.ID(r.PathValue("id")), Name: in.Name, Features: in.Features, Services: in.Services, Countries: in.Countries,
		Integrations: in.Integrations, Timezone: in.Timezone, Currency: in.Currency, ExpectedTPM: in.ExpectedTPM, ValuePerTransaction: in.ValuePerTransaction,
		Priority: in.Priority, State: in.State, Labels: in.Labels, OptIns: in.OptIns}
	if in.OnboardedAt != "" {
		if err := t.OnboardedAt.UnmarshalText([]byte(in.OnboardedAt)); err != nil {
			return problem.New(problem.Invalid, "onboarded_at is not an RFC 3339 time")
		}
	}
	var a TenantAnswer
	var created bool
	err = s.Decide(r.Context(), t.ID.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		profile, stored, fresh, err := s.Flow.PutTenant(tx, h, t, match, p.Name)
		a, created = TenantAnswer{Tenant: stored, Profile: profileAnswer(profile)}, fresh
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", web.ETag(a.Revision))
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return web.WriteJSON(w, status, a)
}

func (s *API) getTenant(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	if err := s.Here(r.Context(), id.Subject()); err != nil { // who serves it knows it best
		return err
	}
	t, ok := s.Flow.Directory().Get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	var profile profiles.Profile
	err := s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		profile, err = s.Flow.Profiles().Profile(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", web.ETag(t.Revision))
	return web.WriteJSON(w, http.StatusOK, TenantAnswer{Tenant: t, Profile: profileAnswer(profile)})
}

// deleteTenant offboards; with ?purge=true it also erases what is kept of the tenant.
func (s *API) deleteTenant(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	match, err := web.IfMatch(r)
	if err != nil {
		return err
	}
	purge := r.URL.Query().Get("purge")
	if purge != "" && purge != "true" && purge != "false" {
		return problem.New(problem.Malformed, "purge must be true or false")
	}
	if purge == "true" {
		erased, err := s.Purge(r.Context(), id, match, p.Name)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, erased)
	}
	err = s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		s.Access.EndOf(tx, id, p.Name)
		return s.Flow.DeleteTenant(tx, h, id, match, p.Name)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *API) listTenants(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(s.Flow.Directory().List(), func(t tenant.Tenant) bool { return !p.Covers(t.ID) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, func(t tenant.Tenant) string { return string(t.ID) }, l))
}

func (s *API) getProfile(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	var profile profiles.Profile
	err := s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		profile, err = s.Flow.Profiles().Profile(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, profileAnswer(profile))
}

func (s *API) getRevisions(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	var revisions []profiles.Triple
	err = s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		revisions, err = course.Revisions(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	if len(revisions) == 0 { // those of an offboarded tenant stay readable until the id is used again
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	page := web.Cut(s.Flow.Profiles().Explain(r.Context(), revisions), func(t profiles.Revision) string { return fmt.Sprintf("%08d", t.Number) }, l)
	return web.WriteJSON(w, http.StatusOK, page)
}

const maxReason = 500 // bytes

// feature opts a tenant in or out.
func (s *API) feature(in bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		id, feature := tenant.ID(r.PathValue("id")), r.PathValue("feature")
		reason := r.URL.Query().Get("reason")
		if len(reason) > maxReason {
			return problem.New(problem.Invalid, "reason is longer than %d bytes", maxReason).WithHint("shorten it")
		}
		match, err := web.IfMatch(r)
		if err != nil {
			return err
		}
		var a TenantAnswer
		err = s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
			profile, stored, err := s.Flow.OptIn(tx, h, id, feature, in, match, p.Name, strings.TrimSpace(reason))
			a = TenantAnswer{Tenant: stored, Profile: profileAnswer(profile)}
			return err
		})
		if err != nil {
			return err
		}
		w.Header().Set("ETag", web.ETag(a.Revision))
		return web.WriteJSON(w, http.StatusOK, a)
	}
}

func (s *API) unknownTenants(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(s.Door.Unknown(), func(u samples.UnknownTenant) bool { return s.Flow.Directory().Known(u.ID) })
	slices.SortFunc(list, func(a, b samples.UnknownTenant) int { return strings.Compare(string(a.ID), string(b.ID)) }) // cut needs it
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, func(u samples.UnknownTenant) string { return string(u.ID) }, l))
}
