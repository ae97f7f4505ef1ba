// Package state is what the process knows and keeps, as a request meets it: it reads
// the store, and asks the partitions' owners to decide.
//
// It decides nothing, and must not know requests: who may see what is narrowed by
// whoever answers.
package state

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// State is read and asked by everything that answers somebody. Set before use.
type State struct {
	Store store.Store
	Flow  *flow.Shared
	Now   func() time.Time
	// Environments that have incidents; the configured one first.
	Environments func() []string
	// Elsewhere says which replica serves a partition that this one does not: a
	// *web.Elsewhere, or Unavailable while none does; nil: there are no others.
	Elsewhere func(ctx context.Context, p store.Partition) error
}

// Rule finds a rule of the policy in force, or of one that some tenants have.
func (s *State) Rule(name string) (rule.Rule, bool) {
	return Rule(s.Flow.Rules(), name)
}

// Rule finds a rule by its name in the policies that any tenant has, the one in
// force first.
func Rule(rules policy.Rules, name string) (rule.Rule, bool) {
	for _, p := range rules.Policies() {
		for _, r := range profiles.All(p) {
			if r.Name == name {
				return r, true
			}
		}
	}
	return rule.Rule{}, false
}

// Decide runs f in the owner of a subject's partition.
func (s *State) Decide(ctx context.Context, subject string, f func(tx *partition.Tx, h *flow.Handler) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.Here(ctx, subject); err != nil {
		return err
	}
	return s.Flow.Decide(ctx, subject, f)
}

// Here gives nil when this replica serves a subject.
func (s *State) Here(ctx context.Context, subject string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for patience := time.Now().Add(changingHands); ; {
		if seat, ok := s.Flow.SeatOf(subject); ok && seat.Owner.Served() || s.Elsewhere == nil {
			return nil
		}
		err := s.Elsewhere(ctx, store.PartitionOf(subject))
		if !problem.Is(err, problem.Unavailable) || time.Now().After(patience) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// changingHands is how long a request waits for a partition that one replica has
// given back and another not yet taken.
const changingHands = 2 * time.Second

// TeamName is what people call a team.
func (s *State) TeamName(id catalog.TeamID) string {
	if t, ok := s.Flow.Rules().Catalog.Team(id); ok && t.Name != "" {
		return t.Name
	}
	return string(id)
}
