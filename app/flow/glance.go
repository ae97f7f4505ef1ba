package flow

import (
	"context"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Glance looks at every tenant, in order of id, also at those that other
// processes serve.
func (s *Shared) Glance(ctx context.Context) ([]evaluate.Glance, error) {
	out, err := s.Glances(ctx)
	if err == nil && s.GlanceElsewhere != nil {
		var more []evaluate.Glance
		more, err = s.GlanceElsewhere(ctx)
		out = append(out, more...)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b evaluate.Glance) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	return out, nil
}

// Glances looks at the tenants that are served here. The partitions are asked
// side by side, each within its owner.
func (s *Shared) Glances(ctx context.Context) ([]evaluate.Glance, error) {
	by := map[store.Partition][]tenant.ID{}
	all := s.directory.List()
	for _, t := range all {
		p := store.PartitionOf(TenantSubject(t.ID))
		by[p] = append(by[p], t.ID)
	}
	answers := make(chan []evaluate.Glance, len(by)) // room for all: a late owner never waits
	asked := 0
	for p, ids := range by {
		seat, here := s.Seat(p)
		if !here {
			continue
		}
		h := seat.Handler
		posted := seat.Owner.Post(func(tx *partition.Tx) error {
			part := make([]evaluate.Glance, 0, len(ids))
			for _, id := range ids {
				if g, ok := h.engine.Glance(id, tx.Now()); ok {
					part = append(part, g)
				}
			}
			answers <- part
			return nil
		})
		if posted {
			asked++
		}
	}
	out := make([]evaluate.Glance, 0, len(all))
	for range asked {
		select {
		case part := <-answers:
			out = append(out, part...)
		case <-ctx.Done():
			return nil, problem.Wrap(ctx.Err(), problem.Unavailable, "not every partition answered in time").WithHint("try again")
		}
	}
	return out, nil
}
