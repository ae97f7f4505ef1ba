package state

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Since is, for those of the tenants whose id was somebody else's, from when on it is
// their own: what is kept from before is not theirs to see.
func (s *State) Since(ctx context.Context, ids []tenant.ID) map[tenant.ID]time.Time {
	var out map[tenant.ID]time.Time
	for _, id := range ids {
		if at := s.Flow.Since(ctx, id); !at.IsZero() {
			if out == nil {
				out = map[tenant.ID]time.Time{}
			}
			out[id] = at
		}
	}
	return out
}
