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

// Glance looks at every tenant, in order of id. The partitions are asked side by
// side, each within its owner.
func (s *Shared) Glance(ctx context.Context) ([]evaluate.Glance, error) {
	by := map[store.Partition][]tenant.ID{}
	all := s.directory.List()
	for _, t := range all {
		p := store.PartitionOf(TenantSubject(t.ID))
		by[p] = append(by[p], t.ID)
	}
	answers := make(chan []evaluate.Glance, len(by)) // room for all: a late owner never waits
	for p, ids := range by {
		h := s.handlers[p]
		s.owners[p].Post(func(tx *partition.Tx) error {
			part := make([]evaluate.Glance, 0, len(ids))
			for _, id := range ids {
				if g, ok := h.engine.Glance(id, tx.Now()); ok {
					part = append(part, g)
				}
			}
			answers <- part
			return nil
		})
	}
	out := make([]evaluate.Glance, 0, len(all))
	for range by {
		select {
		case part := <-answers:
			out = append(out, part...)
		case <-ctx.Done():
			return nil, problem.Wrap(ctx.Err(), problem.Unavailable, "not every partition answered in time").WithHint("try again")
		}
	}
	slices.SortFunc(out, func(a, b evaluate.Glance) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	return out, nil
}
