package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

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

// Checkpoint writes the state of every tenant and pool of the partition. at is
// where the journal stood when this was posted: every batch before it was
// ingested already, because posted work is done in order.
func (h *Handler) Checkpoint(tx *partition.Tx, at journal.Position) error {
	stands := map[string]bool{}
	for id, was := range h.at {
		if was.Before(at) {
			stands[string(id)] = true
			tx.After(func() { h.at[id] = at })
		}
	}
	for id := range h.at {
		if !stands[string(id)] {
			continue
		}
		state, err := h.engine.Checkpoint(id)
		if err != nil {
			return err
		}
		tx.PutRaw(checkpoint(id, h.s.mark(at, tx), state))
	}
	if err := h.senders.Checkpoint(tx, at); err != nil {
		return err
	}
	return h.CheckpointPools(tx)
}

// CheckpointPools writes the state of the partition's pools.
func (h *Handler) CheckpointPools(tx *partition.Tx) error { return h.pools.Checkpoint(tx) }
