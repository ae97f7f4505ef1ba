package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// pooling are those of every pool.
func (s *Shared) pooling() pool.Options {
	o := s.options()
	return pool.Options{Step: o.Step, Close: o.Close, Backlog: o.Backlog, Announced: o.Announced}
}

// newPools are a partition's pools.
func (h *Handler) newPools() *pools.Set {
	s := h.s
	return pools.New(pools.Options{Pool: s.pooling, Rules: s.Rules, Observe: s.observe, Tenants: s.directory.List, Raise: h.raised.All, Try: h.trials.Note, Logger: s.Logger,
		Tries: func(revision int) {
			if revision == 0 {
				h.trials.Drop(tenant.Product)
				return
			}
			h.trials.Set(tenant.Product, trial.Attempt{Policy: revision}, nil)
		}})
}

// Pooled feeds the pool of a subject when it is served here.
func (s *Shared) Pooled(subject string, cs []exchange.Contribution) bool {
	seat, ok := s.SeatOf(subject)
	return ok && seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.pools.Contribute(tx, cs) })
}
