package course

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Steered are the courses of those tenants whose profile a person pins or freezes, with
// that alone. It reads every tenant's record, whoever decides about it.
func Steered(ctx context.Context, s store.Store) (map[tenant.ID]Course, error) {
	out := map[tenant.ID]Course{}
	for p := range store.Partitions {
		records, err := partition.All(ctx, s, store.Partition(p), courses)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			c, err := partition.DecodeVersion[struct {
				Pin    *evolution.Pin    `json:"pin"`
				Freeze *evolution.Freeze `json:"freeze"`
			}](r, "course", version)
			if err != nil {
				return nil, err
			}
			if c.Pin != nil || c.Freeze != nil {
				out[tenant.ID(r.Key)] = Course{State: evolution.State{Pin: c.Pin, Freeze: c.Freeze}}
			}
		}
	}
	return out, nil
}

// Kept says why a tenant's profile follows no policy: a pin at a revision that is kept, or
// a freeze, which has no number; empty: it follows.
func Kept(c Course, p *profiles.Policy, id tenant.ID, now time.Time, has func(revision int) bool) (revision int, why string) {
	if pin, ok := PinOf(c, p, id, now); ok && pin.Revision > 0 && has(pin.Revision) {
		return pin.Revision, pin.Words()
	}
	if f := c.Freeze; f != nil && (f.Until == nil || now.Before(*f.Until)) {
		return 0, f.Words()
	}
	return 0, ""
}

// Has says whether revisions of tenants' profiles are kept; what cannot be read is taken
// to be.
func Has(ctx context.Context, s store.Store) func(id tenant.ID, revision int) bool {
	return func(id tenant.ID, revision int) bool {
		c, _, err := Stored(ctx, s, store.PartitionOf(id.Subject()), id)
		return err != nil || revision >= c.Oldest && revision <= c.Newest
	}
}

// Largest lists those of the tenants for which why says something, the largest ten by name.
func Largest(tenants []tenant.Tenant, volume func(tenant.Tenant) float64, why func(tenant.Tenant) string) rollout.Keeps {
	type sized struct {
		rollout.Keep
		tpm float64
	}
	var all []sized
	for _, t := range tenants {
		if w := why(t); w != "" {
			all = append(all, sized{rollout.Keep{ID: t.ID, Name: t.Name, Why: w}, volume(t)})
		}
	}
	slices.SortFunc(all, func(a, b sized) int { return cmp.Or(cmp.Compare(b.tpm, a.tpm), cmp.Compare(a.ID, b.ID)) })
	out := rollout.Keeps{Tenants: len(all), Largest: []rollout.Keep{}}
	for _, x := range all[:min(len(all), told)] {
		out.Largest = append(out.Largest, x.Keep)
	}
	return out
}

const told = 10 // tenants by name
