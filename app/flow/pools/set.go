// Package pools are what is judged over all tenants of a service together, in the partition
// of the pool's subject: what tenants say of their closed steps is added up, and raised as
// an alert of tenant.Product; what comes of the expected volume in a country goes back to
// the tenants. While a policy is rolled out, what its rules would make of the same is
// judged beside it.
package pools

import (
	"context"
	"log/slog"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const records = "pool" // pool.Pool's checkpoint by subject

// Options of a Set; all are needed.
type Options struct {
	Pool  func() pool.Options
	Rules func() policy.Rules
	// Observe is what all profiles depend on, under a policy.
	Observe func(*profiles.Policy) profiles.Observation
	Tenants func() []tenant.Tenant
	Raise   func(tx *partition.Tx, as []alert.Alert)
	// Try notes what the policy in force and the one in shadow make of the same.
	Try func(tx *partition.Tx, inForce, inShadow []alert.Alert)
	// Tries is told which revision of the policy is tried over all tenants; 0: none.
	Tries  func(revision int)
	Logger *slog.Logger
}

// Set are the pools of one partition. To be used by its owner only.
type Set struct {
	o      Options
	pools  map[string]*pool.Pool // by subject
	beside map[string]*pool.Pool // the same in shadow, where its rules differ
	tried  int                   // the policy's revision in shadow; 0: none
}

// New makes an empty set.
func New(o Options) *Set {
	return &Set{o: o, pools: map[string]*pool.Pool{}, beside: map[string]*pool.Pool{}}
}

// rules are those of a policy for a service's pool.
func (s *Set) rules(p *profiles.Policy, service string) []rule.Rule {
	return profiles.Pooled(p, service, s.o.Observe(p))
}

// Contribute takes what tenants' closed steps say about a service as a whole.
func (s *Set) Contribute(tx *partition.Tx, cs []exchange.Contribution) error {
	if len(cs) == 0 {
		return nil
	}
	p := s.pool(cs[0].Environment, cs[0].Service)
	subject := Subject(cs[0].Environment, cs[0].Service)
	s.advance(tx, subject, p) // steps that are due close before anything is added
	b := s.beside[subject]
	for i := range cs {
		p.Contribute(&cs[i])
		if b != nil {
			b.Contribute(&cs[i])
		}
	}
	s.advance(tx, subject, p)
	return nil
}

func (s *Set) pool(environment, service string) *pool.Pool {
	subject := Subject(environment, service)
	p := s.pools[subject]
	if p == nil {
		p = pool.New(s.o.Pool(), environment, service)
		p.SetRules(s.rules(s.o.Rules().Policy, service))
		s.pools[subject] = p
		s.follow(subject, service, p)
	}
	return p
}

// Advance closes the steps that are over.
func (s *Set) Advance(tx *partition.Tx) {
	for subject, p := range s.pools {
		s.advance(tx, subject, p)
	}
}

func (s *Set) advance(tx *partition.Tx, subject string, p *pool.Pool) {
	raised := p.Advance(tx.Now())
	s.o.Raise(tx, raised)
	s.try(tx, subject, raised)
	for _, f := range p.Factors() {
		SendFactor(tx, f, s.o.Tenants())
	}
}

// Load gives the pools the state they had before a start.
func (s *Set) Load(ctx context.Context, p store.Partition, from store.Store) error {
	list, err := partition.All(ctx, from, p, records)
	if err != nil {
		return err
	}
	for _, r := range list {
		environment, service, ok := store.CutNamed(r.Key)
		if !ok || r.Version != 1 {
			return problem.New(problem.Internal, "a pool's record cannot be read by this release")
		}
		if err := s.pool(environment, service).Restore(r.Value); err != nil {
			return err
		}
	}
	return s.loadBeside(ctx, p, from)
}

// Refresh gives the pools the rules that follow from the policy, catalog and number of
// tenants of this moment.
func (s *Set) Refresh() {
	for subject, pool := range s.pools {
		_, service, _ := store.CutNamed(subject)
		pool.SetRules(s.rules(s.o.Rules().Policy, service))
		s.follow(subject, service, pool)
	}
}

// Checkpoint writes the state of the partition's pools. After a restart each
// tenant tells its pools the last two minutes again, so a pool's checkpoint must
// never be older than a tenant's by more than that: else the pool would judge what
// it saw only part of, and raise anew what is over.
func (s *Set) Checkpoint(tx *partition.Tx) error {
	for subject, p := range s.pools {
		state, err := p.Checkpoint()
		if err != nil {
			return err
		}
		tx.PutRaw(store.Record{Collection: records, Key: subject, Kind: "pool", Version: 1, Value: state})
	}
	return s.checkpointBeside(tx)
}
