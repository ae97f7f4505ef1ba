// Package flow is where one stage's output becomes the next one's input: it
// holds the handler that every partition runs. flow.go reads as the sentence
// ingest -> evaluate -> route -> incident -> page.
//
// It knows all deciders and calls them; none of them knows another. It does no
// I/O of its own: what must leave the process is handed to a Sender.
package flow

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Rules is the policy and catalog in force, with the policy's revision.
type Rules struct {
	Policy   *profiles.Policy
	Revision int
	Catalog  *catalog.Catalog
}

// Settings say what may leave and where to.
type Settings struct {
	Environment string
	// Live says whether a team is paged for real from the start; others are
	// observed until it is decided otherwise (Shared.Live).
	Live func(catalog.TeamID) bool
	// Ticket says which system takes a team's tickets, in which queue, and
	// whether anything may be written there.
	Ticket func(catalog.Team) (system, queue string, live bool)
	// Channels names the configured ways to page.
	Channels []string
	// IncidentURL is the address of an incident's view, with its signed link.
	IncidentURL func(id string) string
	// Settle is how long the first page of an incident that is no hard fault
	// waits for more evidence.
	Settle time.Duration
	// MaxTenants that may be onboarded; default 100,000.
	MaxTenants int
}

// Sender does what a delivery asks for, outside the partition's goroutine, and
// reports with done exactly once.
type Sender interface {
	Send(d delivery.Delivery, done func(delivery.Result))
}

// Shared is what the handlers of all partitions have in common.
type Shared struct {
	Store    store.Store
	Logger   *slog.Logger
	Settings Settings
	Evaluate evaluate.Options
	Sender   Sender
	Metrics  *Metrics
	// JournalEnd is how far the journal was handed on: a new tenant's state begins
	// there, and what drains stands there.
	JournalEnd func() journal.Position
	// PolicyAt reads an earlier revision of the policy; nil: none is kept.
	PolicyAt func(ctx context.Context, revision int) (*profiles.Policy, error)

	rules     atomic.Pointer[Rules]
	directory Directory
	modes     atomic.Pointer[map[catalog.TeamID]Mode] // decided of teams; changed by the owner of DutySubject
	overrides atomic.Pointer[[]rota.Override]         // made by API, the oldest first; changed by the owner of DutySubject
	mu        sync.Mutex
	seen      []string // environments that have had incidents, sorted
	owners    [store.Partitions]*partition.Owner
	handlers  [store.Partitions]*Handler
}

// Bind tells who owns a partition and with which handler; called for every
// partition before any owner runs.
func (s *Shared) Bind(p store.Partition, o *partition.Owner, h *Handler) {
	s.owners[p], s.handlers[p] = o, h
}

// Owner is the owner of a subject's partition.
func (s *Shared) Owner(subject string) *partition.Owner { return s.OwnerOf(store.PartitionOf(subject)) }

// OwnerOf is the owner of a partition.
func (s *Shared) OwnerOf(p store.Partition) *partition.Owner { return s.owners[p] }

// Handler is the handler of a partition; its deciding methods are to be used
// inside that partition's owner only.
func (s *Shared) Handler(p store.Partition) *Handler { return s.handlers[p] }

// HandlerOf is the handler of a subject's partition; to be used inside that
// partition's owner only.
func (s *Shared) HandlerOf(subject string) *Handler { return s.handlers[store.PartitionOf(subject)] }

// SetRules puts a policy and catalog in force for decisions from now on.
func (s *Shared) SetRules(r Rules) { s.rules.Store(&r) }

// Rules is what is in force.
func (s *Shared) Rules() Rules { return *s.rules.Load() }

// Directory is which tenants there are.
func (s *Shared) Directory() *Directory { return &s.directory }

// Environments lists those that have had incidents, whether or not the policy
// names them.
func (s *Shared) Environments() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *Shared) saw(environment string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, found := slices.BinarySearch(s.seen, environment); !found {
		s.seen = slices.Insert(s.seen, at, environment)
	}
}

// observation is what all tenants' profiles depend on besides themselves.
func (s *Shared) observation() profiles.Observation {
	r := s.Rules()
	return Observe(r.Policy, r.Catalog, s.directory.Watched())
}

// Observe sums up what all profiles depend on besides their tenants' documents:
// how many tenants are watched, and the budgets of the teams.
func Observe(p *profiles.Policy, c *catalog.Catalog, watched int) profiles.Observation {
	o := profiles.Observation{Tenants: profiles.Rounded(watched), Budgets: map[string]profiles.Budget{}}
	for _, d := range p.Rules {
		team, _ := c.Owner(catalog.ServiceID(d.Service))
		o.Budgets[d.Service] = profiles.Budget{Team: string(team.ID), FalsePagesPerWeek: team.FalsePagesPerWeek}
	}
	return o
}

// refreshAll has every partition bring its profiles up to date.
func (s *Shared) refreshAll() {
	for p := range store.Partitions {
		if h := s.handlers[p]; h != nil {
			s.owners[p].Post(h.refresh)
		}
	}
}

// Directory lists the onboarded tenants of this process. Safe for concurrent use.
type Directory struct {
	mu      sync.RWMutex
	tenants map[tenant.ID]tenant.Tenant
	purges  map[tenant.ID]Purge
}

// Known says whether a tenant was onboarded.
func (d *Directory) Known(id tenant.ID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.tenants[id]
	return ok
}

// Get gives a tenant's document.
func (d *Directory) Get(id tenant.ID) (tenant.Tenant, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, ok := d.tenants[id]
	return t, ok
}

// List gives all documents in order of id.
func (d *Directory) List() []tenant.Tenant {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]tenant.Tenant, 0, len(d.tenants))
	for _, t := range d.tenants {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b tenant.Tenant) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	return out
}

// Count is how many tenants there are.
func (d *Directory) Count() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.tenants)
}

// Watched counts the tenants whose traffic is evaluated.
func (d *Directory) Watched() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n := 0
	for _, t := range d.tenants {
		if t.Watched() {
			n++
		}
	}
	return n
}

func (d *Directory) put(t tenant.Tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants == nil {
		d.tenants = map[tenant.ID]tenant.Tenant{}
	}
	d.tenants[t.ID] = t
}

func (d *Directory) remove(id tenant.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.tenants, id)
}

// LoadDirectory reads every tenant document of the store, which environments
// have had incidents, and what people decided about being on call.
func (s *Shared) LoadDirectory(ctx context.Context) error {
	for p := range store.Partitions {
		records, err := partition.All(ctx, s.Store, store.Partition(p), tenants)
		if err != nil {
			return err
		}
		for _, r := range records {
			t, err := decode[tenant.Tenant](r)
			if err != nil {
				return err
			}
			s.directory.put(t)
		}
		if records, err = partition.All(ctx, s.Store, store.Partition(p), purges); err != nil {
			return err
		}
		for _, r := range records {
			p, err := readPurge(r)
			if err != nil {
				return err
			}
			s.directory.purged(p)
		}
		if records, err = partition.All(ctx, s.Store, store.Partition(p), environments); err != nil {
			return err
		}
		for _, r := range records {
			s.saw(r.Key)
		}
	}
	return s.loadDuty(ctx)
}
