package tenants

import (
	"net/http"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// TenantStatus is a tenant's state, what it sends, and what was made of it.
type TenantStatus struct {
	State tenant.State `json:"state"`
	evaluate.Status
	Usage quota.Usage `json:"usage"`
}

func (s *API) tenantStatus(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	if err := s.Here(r.Context(), id.Subject()); err != nil {
		return err
	}
	t, ok := s.Flow.Directory().Get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant").WithHint("tocsin tenant unknown lists those that send and were never onboarded")
	}
	a := TenantStatus{State: t.State, Usage: s.Door.Usage(id)}
	err := s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		a.Status = h.Status(id, tx.Now())
		return nil
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}
