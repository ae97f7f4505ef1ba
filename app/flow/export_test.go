package flow

import (
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Raise stores an alert's newest state as evaluate's outcome is.
func (h *Handler) Raise(tx *partition.Tx, a alert.Alert) error { return h.raised.One(tx, a) }

// Factors lists what the partition's tenants are judged by.
func (h *Handler) Factors() []exchange.Factor { return h.engine.Factors() }

// Stake is what a tenant is of the whole.
func (s *Shared) Stake(t tenant.Tenant, now time.Time) incident.Stake { return s.scale().Stake(t, now) }

// Measured says how much of a tenant was observed.
func (s *Shared) Measured(id tenant.ID, tpm float64) { s.scale().Set(id, tpm) }
