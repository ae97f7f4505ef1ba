package flow

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// While a policy is rolled out, what its rules would make of all tenants together is judged
// beside what those in force do, from the first stage on and over every tenant: a stage's
// part of them would see a part of a shared fault. What it would page is compared as a
// tenant's pages are, under the name of tenant.Product.

const besideRecords = "pool_beside" // evaluate.Pool's checkpoint by policy revision and subject

// poolAttempt is what pools try in shadow.
func poolAttempt(r policy.Rules) attempt {
	if n := r.Next; n != nil && n.Rollout.State == rollout.Shadow {
		return attempt{policy: n.Revision}
	}
	return attempt{}
}

// tryPool brings what runs beside a pool up to date.
func (h *Handler) tryPool(subject, service string, p *evaluate.Pool) {
	r := h.s.Rules()
	tried := poolAttempt(r)
	if tried != h.trying[tenant.Product].attempt {
		clear(h.beside)
	}
	if tried == (attempt{}) {
		delete(h.trying, tenant.Product)
		return
	}
	h.trying[tenant.Product] = beside{attempt: tried}
	inForce := profiles.Pooled(r.Policy, service, h.s.observation())
	next, _ := profiles.Tried(inForce, profiles.Pooled(r.Next.Policy, service, h.s.observe(r.Next.Policy)))
	switch b := h.beside[subject]; {
	case reflect.DeepEqual(inForce, next): // judged once
		delete(h.beside, subject)
	case b != nil:
		b.SetRules(next)
	default:
		b, err := p.Beside(next)
		if err != nil {
			h.s.Logger.Error("what a policy would make of all tenants cannot be tried", slog.String("pool", subject), slog.Any("error", err))
			return
		}
		h.beside[subject] = b
	}
}

// tryPooled notes what both policies raise over all tenants.
func (h *Handler) tryPooled(tx *partition.Tx, subject string, inForce []alert.Alert) {
	if h.trying[tenant.Product].attempt == (attempt{}) {
		return
	}
	inShadow := inForce
	if b := h.beside[subject]; b != nil {
		inShadow = b.Advance(tx.Now())
		b.Factors() // those of the rules in force hold
	}
	r := h.s.Rules()
	if len(inForce)+len(inShadow) == 0 || r.Next == nil { // the rollout has ended a moment ago
		return
	}
	_, service, _ := cutPool(subject)
	_, not := profiles.Tried(profiles.Pooled(r.Policy, service, h.s.observation()), profiles.Pooled(r.Next.Policy, service, h.s.observe(r.Next.Policy)))
	tried := func(a alert.Alert) bool { return !slices.Contains(not, a.Rule) }
	h.tryAll(tx, filter(inForce, tried), filter(inShadow, tried))
}

func besideKey(revision int, subject string) string { return fmt.Sprintf("%d/%s", revision, subject) }

// loadBeside gives what runs beside the pools the state it had before a start.
func (h *Handler) loadBeside(ctx context.Context, p store.Partition, s store.Store) error {
	for subject, pool := range h.pools {
		_, service, _ := cutPool(subject)
		delete(h.beside, subject) // it was made before the pool had its state
		h.tryPool(subject, service, pool)
		b := h.beside[subject]
		if b == nil {
			continue
		}
		r, ok, err := s.Record(ctx, p, besideRecords, besideKey(h.trying[tenant.Product].policy, subject))
		if err != nil {
			return err
		}
		if !ok || r.Version != 1 {
			continue // it goes on from where the pool is
		}
		if err := b.Restore(r.Value); err != nil {
			return err
		}
	}
	return nil
}

// checkpointBeside writes what runs beside the pools, and drops what did.
func (h *Handler) checkpointBeside(tx *partition.Tx) error {
	if len(h.pools) == 0 {
		return nil
	}
	now := map[string]bool{}
	for subject, b := range h.beside {
		state, err := b.Checkpoint()
		if err != nil {
			return err
		}
		key := besideKey(h.trying[tenant.Product].policy, subject)
		now[key] = true
		tx.PutRaw(store.Record{Collection: besideRecords, Key: key, Kind: "pool", Version: 1, Value: state})
	}
	kept, err := tx.List(besideRecords)
	if err != nil {
		return err
	}
	for _, r := range kept {
		if !now[r.Key] {
			tx.Delete(besideRecords, r.Key)
		}
	}
	return nil
}
