package api

import (
	"net/http"

	"github.com/tocsin-alerting/tocsin/web"
)

// ReloadAnswer is what a reload changed.
type ReloadAnswer struct {
	Changed        []string `json:"changed"` // keys, entries of the catalog, the policy's revision; empty: nothing
	PolicyRevision int      `json:"policy_revision"`
}

// reloads are the two ways to ask for one: as Prometheus does, and with an answer.
func (s *Server) reloads() []web.Route {
	plain := func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		if _, err := s.Reload(r.Context(), p.Name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return []web.Route{
		{Method: "POST", Path: "/-/reload", Summary: "Read the configuration anew", Kind: web.Raw, Roles: web.Administrators, Handle: plain},
	}
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	out, err := s.Reload(r.Context(), p.Name)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
