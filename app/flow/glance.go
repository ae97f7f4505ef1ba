package flow

import (
	"context"
	"slices"
	"strings"
	"sync"

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
		p := store.PartitionOf(t.ID.Subject())
		by[p] = append(by[p], t.ID)
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	out := make([]evaluate.Glance, 0, len(all))
	for p, ids := range by {
		seat, here := s.Seat(p)
		if !here {
			continue
		}
		asking.Go(func() {
			part := make([]evaluate.Glance, 0, len(ids))
			err := seat.Owner.Call(ctx, func(tx *partition.Tx) error {
				for _, id := range ids {
					if g, ok := seat.Handler.engine.Glance(id, tx.Now()); ok {
						part = append(part, g)
					}
				}
				return nil
			})
			if err != nil {
				return // it is not served here any more, or ctx has ended
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, part...)
		})
	}
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "not every partition answered in time").WithHint("try again")
	}
	return out, nil
}

// Volumes are the transactions a minute of those tenants that have some now, by the
// SLI that the policy calls their volume.
func (s *Shared) Volumes(ctx context.Context) (map[tenant.ID]float64, error) {
	all, err := s.Glance(ctx)
	if err != nil {
		return nil, err
	}
	out, name := map[tenant.ID]float64{}, s.Rules().Policy.Volume.SLI
	for _, g := range all {
		for _, f := range g.Flows {
			if f.SLI == name {
				out[g.Tenant] += f.RatePerMinute
			}
		}
	}
	return out, nil
}
