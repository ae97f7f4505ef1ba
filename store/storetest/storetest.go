// Package storetest holds an implementation of the store's port to the text in
// package store. Every implementation runs it; it knows none of them.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/store"
)

// Options of RunWith.
type Options struct {
	// LeaseTime is the store's; default 10 s.
	LeaseTime time.Duration
	// Reopen opens the home that closed (by then closed) stood for, as a new
	// process would. Nil for homes that are not durable.
	Reopen func(t *testing.T, clock func() time.Time, closed store.Store) store.Store
}

// Run holds the stores that open makes to the port. Each call of open gives an
// empty home whose leases live by clock; open registers its clean-up with t.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) store.Store) {
	RunWith(t, open, Options{})
}

// RunWith is Run with options.
func RunWith(t *testing.T, open func(t *testing.T, clock func() time.Time) store.Store, o Options) {
	if o.LeaseTime == 0 {
		o.LeaseTime = 10 * time.Second
	}
	cases := []struct {
		name string
		run  func(h *home)
	}{
		{"a live lease excludes others", leaseExcludes},
		{"an expired lease is fenced", leaseFenced},
		{"a lease lives while renewed or committing", leaseRenewed},
		{"a released lease is free at once", leaseReleased},
		{"an offer is taken once", offerOnce},
		{"consumed ids are remembered", idsRemembered},
		{"inputs come in order", inputsInOrder},
		{"a malformed input is refused", inputRefused},
		{"an offer wakes the owner", offerWakes},
		{"a record is put, replaced and deleted", recordLife},
		{"records are listed in key order", recordsListed},
		{"partitions and collections are apart", recordsApart},
		{"a commit is all or nothing", commitWhole},
		{"timers are set, moved and removed", timersLife},
		{"due timers come earliest first", timersDue},
		{"messages reach inboxes once", messagesOnce},
		{"effects reach their destination's partition", effectsReach},
		{"the ledger is chained", ledgerChained},
		{"the ledger is read by subject", ledgerBySubject},
		{"nothing is lost and nothing comes twice", offersConcurrent},
		{"partitions send to each other without deadlock", sendersCross},
		{"a closed store says so", closedSays},
		{"a cancelled context is honoured", contextHonoured},
	}
	if o.Reopen != nil {
		cases = append(cases, struct {
			name string
			run  func(h *home)
		}{"everything survives a restart", survives})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := &home{T: t, o: o, clock: &clock{now: time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)}}
			h.s = open(t, h.clock.Now)
			t.Cleanup(func() { require.NoError(t, h.s.Close()) })
			c.run(h)
		})
	}
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the clock's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// home is one store under test with the clock it lives by.
type home struct {
	*testing.T
	o     Options
	s     store.Store
	clock *clock
}

func (h *home) ctx() context.Context { return h.Context() }

func (h *home) acquire(p store.Partition) store.Lease {
	h.Helper()
	l, err := h.s.Acquire(h.ctx(), p)
	require.NoError(h, err)
	require.Equal(h, p, l.Partition())
	return l
}

func (h *home) offer(p store.Partition, ids ...string) {
	h.Helper()
	for _, id := range ids {
		require.NoError(h, h.s.Offer(h.ctx(), p, h.input(id)))
	}
}

func (h *home) input(id string) store.Input {
	return store.Input{ID: id, Kind: "test", Version: 1, Subject: "tenant/acme", At: h.clock.Now(), Payload: json.RawMessage(fmt.Sprintf(`{"id":%q}`, id))}
}

func (h *home) commit(l store.Lease, b store.Batch) {
	h.Helper()
	require.NoError(h, l.Commit(h.ctx(), b))
}

func (h *home) inputs(l store.Lease) []store.Input {
	h.Helper()
	in, err := l.Inputs(h.ctx(), 0)
	require.NoError(h, err)
	return in
}

// inbox lists the ids that p holds, through a lease of its own.
func (h *home) inbox(p store.Partition) []string {
	h.Helper()
	l := h.acquire(p)
	defer func() { require.NoError(h, l.Release(h.ctx())) }()
	return ids(h.inputs(l))
}

func (h *home) keys(p store.Partition, collection, after string, limit int) []string {
	h.Helper()
	rs, err := h.s.Records(h.ctx(), p, collection, after, limit)
	require.NoError(h, err)
	out := []string{}
	for _, r := range rs {
		require.Equal(h, collection, r.Collection)
		out = append(out, r.Key)
	}
	return out
}

func ids(in []store.Input) []string {
	out := []string{}
	for _, i := range in {
		out = append(out, i.ID)
	}
	return out
}

func put(collection, key, value string) store.Record {
	return store.Record{Collection: collection, Key: key, Kind: "thing", Version: 2, Value: []byte(value)}
}
