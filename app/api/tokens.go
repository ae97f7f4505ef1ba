package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

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

func (s *Server) tokens() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/tokens", Summary: "List tokens", Roles: web.Administrators, Response: web.List[web.Token]{}, Handle: s.listTokens},
		{Method: "POST", Path: "/api/v1/tokens", Summary: "Make a token; its text is shown once", Roles: web.Administrators, Request: TokenRequest{}, Response: TokenAnswer{}, Status: http.StatusCreated, Handle: s.createToken},
		{Method: "DELETE", Path: "/api/v1/tokens/{id}", Summary: "Revoke a token", Roles: web.Administrators, Status: http.StatusNoContent, Handle: s.revokeToken},
	}
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
