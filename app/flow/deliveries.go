package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// outbox makes a partition's.
func (s *Shared) outbox() *outbox.Box {
	return outbox.New(outbox.Options{
		Sender: s.Sender, Metrics: s.Metrics.Outbox,
		Post: func(home store.Partition, f func(*partition.Tx, *outbox.Box) error) {
			if seat, ok := s.Seat(home); ok {
				seat.Owner.Post(func(tx *partition.Tx) error { return f(tx, seat.Handler.out) })
			}
		},
	})
}

// wake takes up, once, what an earlier life of the process left under way.
func (h *Handler) wake(tx *partition.Tx) error {
	if h.woken {
		return nil
	}
	if err := h.out.Wake(tx); err != nil {
		return err
	}
	tx.After(func() { h.woken = true })
	return h.refresh(tx) // the policy, catalog or number of tenants may be others than when the process stopped
}
