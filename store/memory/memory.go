// Package memory is the store's port held in memory, for tests: also inside a
// testing/synctest bubble, since it starts no goroutine and takes its clock.
//
// It is not durable and must not be used by a daemon.
package memory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Options of a Store; the zero value works.
type Options struct {
	Now       func() time.Time // default time.Now
	LeaseTime time.Duration    // default 10 s
}

// Store holds all partitions in memory. Safe for concurrent use.
type Store struct {
	o      Options
	mu     sync.Mutex // guards everything below
	closed bool
	parts  [store.Partitions]part
}

var _ store.Store = (*Store)(nil)

type part struct {
	lease    *lease
	inbox    []store.Input
	seq      uint64
	held     map[string]bool // ids in the inbox
	consumed map[string]bool
	order    []consumedID // of consumed, the oldest first
	records  map[string]*collection
	timers   map[string]store.Timer
	entries  []ledger.Entry
	head     ledger.Head
}

type consumedID struct {
	id string
	at time.Time
}

// New makes an empty store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LeaseTime == 0 {
		o.LeaseTime = 10 * time.Second
	}
	s := &Store{o: o}
	for i := range s.parts {
		s.parts[i] = part{held: map[string]bool{}, consumed: map[string]bool{}, records: map[string]*collection{}, timers: map[string]store.Timer{}}
	}
	return s
}

// enter locks the store; the caller unlocks it when there is no error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return problem.Wrap(store.ErrClosed, problem.Unavailable, "the store is closed")
	}
	return nil
}

// Acquire implements store.Store.
func (s *Store) Acquire(ctx context.Context, p store.Partition) (store.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	pt, now := &s.parts[p], s.o.Now()
	if pt.lease != nil && now.Before(pt.lease.until) {
		return nil, problem.Wrap(store.ErrHeld, problem.Conflict, "partition %d has an owner", p)
	}
	l := &lease{store: s, p: p, until: now.Add(s.o.LeaseTime), wake: make(chan struct{}, 1)}
	pt.lease = l
	return l, nil
}

// Offer implements store.Store.
func (s *Store) Offer(ctx context.Context, p store.Partition, in store.Input) error {
	if err := in.Check(); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.parts[p].offer(in)
	return nil
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, p store.Partition, coll, key string) (store.Record, bool, error) {
	if err := s.enter(ctx); err != nil {
		return store.Record{}, false, err
	}
	defer s.mu.Unlock()
	c := s.parts[p].records[coll]
	if c == nil {
		return store.Record{}, false, nil
	}
	r, ok := c.byKey[key]
	r.Value = slices.Clone(r.Value)
	return r, ok, nil
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context, p store.Partition, coll, after string, limit int) ([]store.Record, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := []store.Record{}
	c := s.parts[p].records[coll]
	if c == nil {
		return out, nil
	}
	keys := c.sorted()
	i, found := slices.BinarySearch(keys, after)
	if found {
		i++
	}
	for _, k := range keys[i:min(len(keys), i+limitOr(limit, 1000))] {
		r := c.byKey[k]
		r.Value = slices.Clone(r.Value)
		out = append(out, r)
	}
	return out, nil
}

// Ledger implements store.Store.
func (s *Store) Ledger(ctx context.Context, p store.Partition, subject string, after uint64, limit int) ([]ledger.Entry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := []ledger.Entry{}
	entries := s.parts[p].entries
	for _, e := range entries[min(after, uint64(len(entries))):] {
		if len(out) == limitOr(limit, 1000) {
			break
		}
		if subject == "" || e.Subject == subject || slices.Contains(e.Refs, subject) {
			e.Refs, e.Data = slices.Clone(e.Refs), slices.Clone(e.Data)
			out = append(out, e)
		}
	}
	return out, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// offer appends in unless its id is known, and wakes the owner.
func (pt *part) offer(in store.Input) {
	if pt.held[in.ID] || pt.consumed[in.ID] {
		return
	}
	pt.seq++
	in.Seq, in.At, in.Payload = pt.seq, in.At.UTC().Round(0), slices.Clone(in.Payload)
	pt.held[in.ID] = true
	pt.inbox = append(pt.inbox, in)
	if pt.lease == nil {
		return
	}
	select {
	case pt.lease.wake <- struct{}{}:
	default:
	}
}

// collection is the records of one name, with their order kept while unchanged.
type collection struct {
	byKey map[string]store.Record
	keys  []string // sorted, nil when it must be made again
}

func (c *collection) sorted() []string {
	if c.keys == nil {
		c.keys = make([]string, 0, len(c.byKey))
		for k := range c.byKey {
			c.keys = append(c.keys, k)
		}
		slices.SortFunc(c.keys, strings.Compare)
	}
	return c.keys
}

func limitOr(limit, otherwise int) int {
	if limit <= 0 {
		return otherwise
	}
	return limit
}
