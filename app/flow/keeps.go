package flow

import (
	"cmp"
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Keeps finds who would keep the profile it has if a policy came in force. It reads the
// store; what it returns hardly does.
func (s *Shared) Keeps(ctx context.Context) (policy.Keeping, error) {
	steered, err := course.Steered(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	has := course.Has(ctx, s.Store)
	return func(p *profiles.Policy, now time.Time) rollout.Keeps {
		return course.Largest(s.directory.List(), s.size, func(t tenant.Tenant) string {
			_, why := course.Kept(steered[t.ID], p, t.ID, now, func(n int) bool { return has(t.ID, n) })
			return why
		})
	}, nil
}

// size is about how large a tenant is: transactions a minute as its profile has them.
func (s *Shared) size(t tenant.Tenant) float64 {
	return cmp.Or(s.directory.Observed(t.ID).TPM, t.ExpectedTPM)
}
