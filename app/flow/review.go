package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// tellReview tells the reviews' home when what waits for a person of a tenant has
// changed.
func (h *Handler) tellReview(tx *partition.Tx, t tenant.Tenant, was, is evolution.State) {
	h.countWait(t.ID, review.Waiting(is) > 0)
	review.Tell(tx, h.s.Rules(), t, was, is)
}

// countWait keeps the gauge.
func (h *Handler) countWait(id tenant.ID, is bool) {
	if is != h.awaited[id] {
		h.awaited[id] = is
		if is {
			h.s.Metrics.Awaited.Inc()
		} else {
			delete(h.awaited, id)
			h.s.Metrics.Awaited.Dec()
		}
	}
}
