package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

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

func (s *Server) putTenant(w http.ResponseWriter, r *http.Request, p web.Principal) error {
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
	err = s.Decide(r.Context(), flow.TenantSubject(t.ID), func(tx *partition.Tx, h *flow.Handler) error {
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

func (s *Server) getTenant(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	if err := s.Here(r.Context(), flow.TenantSubject(id)); err != nil { // who serves it knows it best
		return err
	}
	t, ok := s.Flow.Directory().Get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	var profile profiles.Profile
	err := s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		profile, err = s.Flow.Profile(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", web.ETag(t.Revision))
	return web.WriteJSON(w, http.StatusOK, TenantAnswer{Tenant: t, Profile: profileAnswer(profile)})
}

// deleteTenant offboards; with ?purge=true it also erases what is kept of the tenant.
func (s *Server) deleteTenant(w http.ResponseWriter, r *http.Request, p web.Principal) error {
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
	err = s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, h *flow.Handler) error {
		return s.Flow.DeleteTenant(tx, h, id, match, p.Name)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listTenants(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(s.Flow.Directory().List(), func(t tenant.Tenant) bool { return !p.Covers(t.ID) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, func(t tenant.Tenant) string { return string(t.ID) }, l))
}

func (s *Server) getProfile(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	var profile profiles.Profile
	err := s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		profile, err = s.Flow.Profile(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, profileAnswer(profile))
}

func (s *Server) getRevisions(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	var revisions []profiles.Triple
	err = s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		revisions, err = flow.Revisions(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	if len(revisions) == 0 { // those of an offboarded tenant stay readable until the id is used again
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	page := web.Cut(s.Flow.Explain(r.Context(), revisions), func(t profiles.Revision) string { return fmt.Sprintf("%08d", t.Number) }, l)
	return web.WriteJSON(w, http.StatusOK, page)
}

// feature opts a tenant in or out.
func (s *Server) feature(in bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		id, feature := tenant.ID(r.PathValue("id")), r.PathValue("feature")
		match, err := web.IfMatch(r)
		if err != nil {
			return err
		}
		var a TenantAnswer
		err = s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, h *flow.Handler) error {
			profile, stored, err := s.Flow.OptIn(tx, h, id, feature, in, match, p.Name)
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

func (s *Server) unknownTenants(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(s.Door.Unknown(), func(u samples.UnknownTenant) bool { return s.Flow.Directory().Known(u.ID) })
	slices.SortFunc(list, func(a, b samples.UnknownTenant) int { return strings.Compare(string(a.ID), string(b.ID)) }) // cut needs it
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, func(u samples.UnknownTenant) string { return string(u.ID) }, l))
}

// TokenRequest asks for a new token.
type TokenRequest struct {
	Name      string   `json:"name"`
	Role      web.Role `json:"role"`
	Tenants   []string `json:"tenants"`        // roles of people need none
	Team      string   `json:"team,omitempty"` // of a responder
	ExpiresAt string   `json:"expires_at,omitempty"`
}

// TokenAnswer shows the secret once.
type TokenAnswer struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token"`
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in TokenRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	expires, err := web.ParseTime(in.ExpiresAt, "expires_at")
	if err != nil {
		return err
	}
	if _, ok := s.Flow.Rules().Catalog.Team(catalog.TeamID(in.Team)); in.Team != "" && !ok {
		return problem.New(problem.Invalid, "the team is not in the catalog")
	}
	t, secret, err := s.Access.Create(r.Context(), s.Flow.Owner(access.Subject), web.Wish{Name: in.Name, Role: in.Role, Tenants: in.Tenants, Team: in.Team, Expires: expires, By: p.Name})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, TokenAnswer{ID: t.ID, Name: t.Name, Token: secret})
}

func (s *Server) listTokens(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list := s.Access.List()
	slices.SortFunc(list, func(a, b web.Token) int { return strings.Compare(a.ID, b.ID) })
	page := web.Cut(list, func(t web.Token) string { return t.ID }, l)
	for i := range page.Items {
		page.Items[i].Hash = ""
	}
	return web.WriteJSON(w, http.StatusOK, page)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	if err := s.Here(r.Context(), access.Subject); err != nil {
		return err
	}
	if err := s.Access.Revoke(r.Context(), s.Flow.Owner(access.Subject), r.PathValue("id"), p.Name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
