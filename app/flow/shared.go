// Package flow is where one stage's output becomes the next one's input: it
// holds the handler that every partition runs. flow.go and response/route.go read as
// the sentence ingest -> evaluate -> route -> incident -> page.
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

	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
)

// Settings say what may leave and where to.
type Settings struct {
	Environment string
	// Live says whether a team is paged for real from the start; others are
	// observed until it is decided otherwise (Shared.Duty).
	Live func(catalog.TeamID) bool
	// Ticket says which system takes a team's tickets, in which queue, and
	// whether anything may be written there.
	Ticket func(catalog.Team) (system, queue string, live bool)
	// Channels names the configured ways to page.
	Channels func() []string
	// IncidentURL is the address of an incident's view, with its signed link.
	IncidentURL func(id string) string
	// MaxTenants that may be onboarded; default 100,000.
	MaxTenants int
}

// Shared is what the handlers of all partitions have in common. New makes it; the fields
// are to be set before a handler is made.
type Shared struct {
	Store    store.Store
	Logger   *slog.Logger
	Settings Settings
	Evaluate evaluate.Options
	Sender   outbox.Sender
	Metrics  *Metrics
	// Tracer makes traces of the way from a request to a page; nil: none.
	Tracer *selfobs.Tracer
	// JournalEnd is how far the journal was handed on: a new tenant's state begins
	// there, and what drains stands there.
	JournalEnd func() journal.Position
	// Journal names this process's journal: a position in a checkpoint means
	// something only there. Empty where only one process ever writes.
	Journal string
	// Contribute feeds a pool whose partition another process owns; nil: none does.
	Contribute func(subject string, cs []exchange.Contribution)
	// GlanceElsewhere looks at the tenants that other processes serve; nil: there
	// are none.
	GlanceElsewhere func(ctx context.Context) ([]evaluate.Glance, error)
	// Traces finds traces worth looking at; nil where none are remembered.
	Traces func(hops.Question) hops.Answer

	// Followed is told of rules that came in force by decision; nil: nobody is.
	Followed func(policy.Rules)

	book      policy.Book
	directory directory.Directory
	scale     whole.Scale // how much each tenant does, and all of them
	priors    whole.Priors
	names     senders.Names
	standby   standby.Book
	mu        sync.Mutex
	seen      []string // environments that have had incidents, sorted
	seats     [store.Partitions]atomic.Pointer[Seat]

	// Made when they are asked for first: they are made of fields that are set after New.
	desk      response.Desk // by Incidents()
	answering sync.Once
	maker     revision.Maker // by Profiles()
	making    sync.Once
}

// New makes what the handlers of partitions in a store share.
func New(in store.Store) *Shared {
	s := &Shared{Store: in}
	s.scale.List = s.directory.List

	s.book.Store, s.book.Directory = in, &s.directory
	s.book.Environment = func() string { return s.Settings.Environment }
	s.book.Followed = func(r policy.Rules, moved bool) {
		if s.Followed != nil {
			s.Followed(r)
		}
		if moved {
			s.refreshAll()
		}
	}
	s.book.Keeps = s.Keeps
	s.book.Unread = func(err error) {
		s.Logger.Error("the policy that is in force by decision cannot be read; the one before is used", "error", err)
	}

	s.standby.Store = in
	s.standby.Drills = func(ctx context.Context, team catalog.TeamID) ([]oncall.Drill, error) {
		return response.TeamDrills(ctx, in, s.Settings.Environment, team)
	}
	s.standby.Default = func(t catalog.TeamID) bool { return s.Settings.Live(t) }
	s.standby.Catalog = func() *catalog.Catalog { return s.Rules().Catalog }
	s.standby.Here = func() bool {
		_, here := s.SeatOf(standby.Subject)
		return here
	}
	return s
}

// Seat is who serves a partition in this process.
type Seat struct {
	Owner *partition.Owner
	// Handler's deciding methods are to be used inside Owner only.
	Handler *Handler
}

// Bind tells that this process serves a partition from now on.
func (s *Shared) Bind(p store.Partition, o *partition.Owner, h *Handler) {
	s.seats[p].Store(&Seat{Owner: o, Handler: h})
}

// Unbind tells that the owner serves its partition no longer.
func (s *Shared) Unbind(p store.Partition, o *partition.Owner) {
	if seat := s.seats[p].Load(); seat != nil && seat.Owner == o {
		s.seats[p].CompareAndSwap(seat, nil)
	}
}

// Seat is who serves a partition here; ok is false when another process does, or
// nobody.
func (s *Shared) Seat(p store.Partition) (seat Seat, ok bool) {
	if at := s.seats[p].Load(); at != nil {
		return *at, true
	}
	return Seat{Owner: partition.Nobody()}, false
}

// SeatOf is Seat of a subject's partition.
func (s *Shared) SeatOf(subject string) (Seat, bool) { return s.Seat(store.PartitionOf(subject)) }

// Decide runs f in the owner of a subject's partition and waits until it is
// committed. Unavailable when it is not served here.
func (s *Shared) Decide(ctx context.Context, subject string, f func(tx *partition.Tx, h *Handler) error) error {
	seat, _ := s.SeatOf(subject)
	return seat.Owner.Call(ctx, func(tx *partition.Tx) error { return f(tx, seat.Handler) })
}

// Owner is the owner of a subject's partition; one that takes nothing when it is
// not served here.
func (s *Shared) Owner(subject string) *partition.Owner {
	seat, _ := s.SeatOf(subject)
	return seat.Owner
}

// SetRules puts a policy and catalog in force for decisions from now on.
func (s *Shared) SetRules(r policy.Rules) { s.book.Set(r) }

// Rules is what is in force.
func (s *Shared) Rules() policy.Rules { return s.book.Rules() }

// Policy is what is decided about the policy, and follows it.
func (s *Shared) Policy() *policy.Book { return &s.book }

// Directory is which tenants there are.
func (s *Shared) Directory() *directory.Directory { return &s.directory }

// Duty is what people decided about being on call.
func (s *Shared) Duty() *standby.Book { return &s.standby }

// Incidents is what decides about them.
func (s *Shared) Incidents() *response.Desk {
	s.answering.Do(func() {
		set := s.Settings
		s.desk = response.Desk{Rules: s.Rules, Directory: &s.directory, Scale: &s.scale, Duty: s.Duty(), Metrics: s.Metrics.Incidents, Tracer: s.Tracer, Logger: s.Logger,
			Environment: set.Environment, Ticket: set.Ticket, Channels: set.Channels, IncidentURL: set.IncidentURL,
			Opened: s.saw,
			Teach:  func(tx *partition.Tx, i incident.Incident) { lesson.Teach(tx, i, s.directory.List) }}
	})
	return &s.desk
}

// reviews is what tells teams what waits for them.
func (s *Shared) reviews() *review.Board {
	return &review.Board{Catalog: func() *catalog.Catalog { return s.Rules().Catalog }, Ticket: s.Settings.Ticket}
}

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

// observation is what the profiles of all tenants depend on besides themselves.
func (s *Shared) observation() profiles.Observation { return s.observe(s.Rules().Policy) }

// observe is observation under a policy, which may be one that only some have.
func (s *Shared) observe(p *profiles.Policy) profiles.Observation {
	return whole.Observe(p, s.Rules().Catalog, s.directory.Watched())
}

// refreshAll has every partition bring its profiles up to date.
func (s *Shared) refreshAll() {
	for p := range store.Partitions {
		if seat, ok := s.Seat(store.Partition(p)); ok {
			seat.Owner.Post(seat.Handler.refresh)
		}
	}
}
