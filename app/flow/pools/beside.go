package pools

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// While a policy is rolled out, what its rules would make of all tenants together is judged
// beside what those in force do, from the first stage on and over every tenant: a stage's
// part of them would see a part of a shared fault. What it would page is compared as a
// tenant's pages are, under the name of tenant.Product.

const besides = "pool_beside" // pool.Pool's checkpoint by policy revision and subject

// triedBy is the revision that pools try in shadow; 0: none.
func triedBy(r policy.Rules) int {
	if n := r.Next; n != nil && n.Rollout.State == rollout.Shadow {
		return n.Revision
	}
	return 0
}

// follow brings what runs beside a pool up to date.
func (s *Set) follow(subject, service string, p *pool.Pool) {
	r := s.o.Rules()
	tried := triedBy(r)
	if tried != s.tried {
		clear(s.beside)
	}
	s.tried = tried
	s.o.Tries(tried)
	if tried == 0 {
		return
	}
	inForce := s.rules(r.Policy, service)
	next, _ := profiles.Tried(inForce, s.rules(r.Next.Policy, service))
	switch b := s.beside[subject]; {
	case reflect.DeepEqual(inForce, next): // judged once
		delete(s.beside, subject)
	case b != nil:
		b.SetRules(next)
	default:
		b, err := p.Beside(next)
		if err != nil {
			s.o.Logger.Error("what a policy would make of all tenants cannot be tried", slog.String("pool", subject), slog.Any("error", err))
			return
		}
		s.beside[subject] = b
	}
}

// try notes what both policies raise over all tenants.
func (s *Set) try(tx *partition.Tx, subject string, inForce []alert.Alert) {
	if s.tried == 0 {
		return
	}
	inShadow := inForce
	if b := s.beside[subject]; b != nil {
		inShadow = b.Advance(tx.Now())
		b.Factors() // those of the rules in force hold
	}
	r := s.o.Rules()
	if len(inForce)+len(inShadow) == 0 || r.Next == nil { // the rollout has ended a moment ago
		return
	}
	_, service, _ := store.CutNamed(subject)
	_, not := profiles.Tried(s.rules(r.Policy, service), s.rules(r.Next.Policy, service))
	s.o.Try(tx, without(inForce, not), without(inShadow, not))
}

// without leaves out the alerts of some rules.
func without(as []alert.Alert, rules []string) []alert.Alert {
	return slices.DeleteFunc(slices.Clone(as), func(a alert.Alert) bool { return slices.Contains(rules, a.Rule) })
}

func besideKey(revision int, subject string) string { return fmt.Sprintf("%d/%s", revision, subject) }

// loadBeside gives what runs beside the pools the state it had before a start.
func (s *Set) loadBeside(ctx context.Context, p store.Partition, from store.Store) error {
	for subject, pool := range s.pools {
		_, service, _ := store.CutNamed(subject)
		delete(s.beside, subject) // it was made before the pool had its state
		s.follow(subject, service, pool)
		b := s.beside[subject]
		if b == nil {
			continue
		}
		r, ok, err := from.Record(ctx, p, besides, besideKey(s.tried, subject))
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
func (s *Set) checkpointBeside(tx *partition.Tx) error {
	if len(s.pools) == 0 {
		return nil
	}
	now := map[string]bool{}
	for subject, b := range s.beside {
		state, err := b.Checkpoint()
		if err != nil {
			return err
		}
		key := besideKey(s.tried, subject)
		now[key] = true
		tx.PutRaw(store.Record{Collection: besides, Key: key, Kind: "pool", Version: 1, Value: state})
	}
	kept, err := tx.List(besides)
	if err != nil {
		return err
	}
	for _, r := range kept {
		if !now[r.Key] {
			tx.Delete(besides, r.Key)
		}
	}
	return nil
}
