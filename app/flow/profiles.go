package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/partition"
)

// Profiles is what makes the profiles of tenants.
func (s *Shared) Profiles() *revision.Maker {
	s.making.Do(func() {
		s.maker = revision.Maker{Rules: s.Rules, Policies: s.Policy(), Directory: &s.directory, Scale: &s.scale, Priors: &s.priors, Observe: s.observe,
			Environment: s.Settings.Environment, Logger: s.Logger}
	})
	return &s.maker
}

// Profiles keeps those of the partition's tenants.
func (h *Handler) Profiles() *revision.Keeper { return h.profiles }

// newProfiles are those of a partition's tenants.
func (h *Handler) newProfiles() *revision.Keeper {
	return revision.New(revision.Options{Maker: h.s.Profiles(), Engine: h.engine, Trials: h.trials, Watch: h.watch, Woken: func() bool { return h.woken },
		Awaited: h.s.Metrics.Awaited})
}

// lookSoon has the partition's tenants looked at when that is due. It is work of its own:
// what fails in it takes nothing else with it, and is looked at again.
func (h *Handler) lookSoon(tx *partition.Tx) {
	seat, ok := h.s.Seat(tx.Partition())
	if !ok || seat.Handler != h || !h.profiles.Due(tx.Partition(), tx.Now()) {
		return
	}
	seat.Owner.Post(h.profiles.Look)
}

// refresh gives the tenants of the partition, and its pools, the profile that
// follows from the policy, catalog and number of tenants of this moment.
func (h *Handler) refresh(tx *partition.Tx) error {
	if err := h.profiles.All(tx); err != nil {
		return err
	}
	h.pools.Refresh()
	return nil
}
