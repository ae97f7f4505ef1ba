package flow

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/store"
)

// newSenders are a partition's senders of samples.
func (h *Handler) newSenders() *senders.Set {
	s := h.s
	return senders.New(senders.Options{Names: &s.names, Catalog: func() *catalog.Catalog { return s.Rules().Catalog }, Known: s.directory.Known,
		BlindAfter: s.Evaluate.BlindAfter, Journal: s.Journal, Logger: s.Logger,
		Raise: func(tx *partition.Tx, a alert.Alert) { h.raised.All(tx, []alert.Alert{a}) }})
}

// Hear tells the partition's sources that a batch came. It is called in the journal's
// order.
func (h *Handler) Hear(tx *partition.Tx, list []senders.Heard, at journal.Position) error {
	return h.senders.Hear(tx, list, at)
}

// sourceAlive tells a tenant's engine that a source which carried it sends others.
func (h *Handler) sourceAlive(in store.Input) error {
	x, err := partition.DecodeInput[senders.Alive](in)
	if err != nil {
		return err
	}
	h.engine.SourceAlive(x.Tenant, x.Source, x.Since, x.Heard)
	return nil
}

// Sources lists the senders with what is known of each, by environment and name. Of
// those that another process serves it tells what was written down last.
func (s *Shared) Sources(ctx context.Context, now time.Time) ([]sources.Status, error) {
	out := []sources.Status{}
	tell := func(st sources.Status) {
		team, service, why := s.Rules().Catalog.SourceOwner(st.Name)
		st.Service, st.Team, st.OwnerReason = string(service), string(team.ID), why
		out = append(out, st)
	}
	for _, subject := range s.names.List() {
		if _, here := s.SeatOf(subject); !here {
			continue
		}
		if err := s.Decide(ctx, subject, func(_ *partition.Tx, h *Handler) error {
			if st, ok := h.senders.Status(subject, now); ok {
				tell(st)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for p := range store.Partitions {
		if _, here := s.Seat(store.Partition(p)); here {
			continue
		}
		written, err := senders.Written(ctx, s.Store, store.Partition(p), s.Evaluate.BlindAfter, now)
		if err != nil {
			return nil, err
		}
		for _, st := range written {
			tell(st)
		}
	}
	slices.SortFunc(out, func(a, b sources.Status) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
