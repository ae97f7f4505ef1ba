package incidents

import (
	"net/http"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// acceptAlert takes what a firing alert shows as the new normal of its tenant.
func (s *API) acceptAlert(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	list, err := s.All(r.Context(), web.Principal{Any: true, Role: web.Admin})
	if err != nil {
		return err
	}
	var found AlertAnswer
	for _, i := range list {
		for _, a := range i.Alerts {
			if string(a.ID) != r.PathValue("id") || !p.Covers(a.Tenant) || found.Incident != "" && !a.AsOf.After(found.AsOf) {
				continue
			}
			if err := p.Acts(string(i.Team)); err != nil {
				return err
			}
			found = AlertAnswer{Alert: own(a, p), Incident: string(i.ID)}
		}
	}
	switch {
	case found.Incident == "":
		return problem.New(problem.NotFound, "there is no such alert")
	case found.Tenant == tenant.Product:
		return problem.New(problem.Invalid, "an alert over all tenants is judged by what each of them usually sees").
			WithHint("accept the alerts of its tenants")
	}
	err = s.Decide(r.Context(), found.Tenant.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		_, err := h.Accept(tx, found.Tenant, alert.ID(r.PathValue("id")), p.Name)
		return err
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, found)
}
