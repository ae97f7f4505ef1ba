package flow

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
)

// Raise stores an alert's newest state as evaluate's outcome is.
func (h *Handler) Raise(tx *partition.Tx, a alert.Alert) error { return h.raised.One(tx, a) }

// Evaluated passes on what closing steps brought.
func (h *Handler) Evaluated(tx *partition.Tx, out evaluate.Output) error { return h.evaluated(tx, out) }

// Factors lists what the partition's tenants are judged by.
func (h *Handler) Factors() []exchange.Factor { return h.engine.Factors() }

// HandlerOf is the handler of a subject's partition, nil when it is not served
// here; to be used inside that partition's owner only.
func (s *Shared) HandlerOf(subject string) *Handler {
	seat, _ := s.SeatOf(subject)
	return seat.Handler
}
