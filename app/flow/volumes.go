package flow

import (
	"context"

	"github.com/tocsin-alerting/tocsin/tenant"
)

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
