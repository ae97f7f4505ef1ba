// Package partitiontest runs a real owner of one partition over a real store, so that what
// decides within a partition.Tx can be tested by itself: what it writes is committed, its
// timers come by the clock, and what it sends arrives.
//
// It is for a synctest bubble, whose clock it goes by, and knows nothing of what is decided.
package partitiontest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Decider decides in a Home. What has no func is kept and decides nothing.
type Decider struct {
	Load  func(ctx context.Context, p store.Partition, s store.Store) error
	Input func(tx *partition.Tx, in store.Input) error
	Timer func(tx *partition.Tx, t store.Timer) error
}

// Home is one life of a subject's partition.
type Home struct {
	*partition.Owner
	At    store.Partition
	store store.Store
	stop  context.CancelFunc
	over  chan struct{}

	mu     sync.Mutex
	inputs []store.Input
	timers []store.Timer
}

// Open begins a life of the partition of a subject. It ends with End, or with the test.
func Open(t *testing.T, s store.Store, subject string, d Decider) *Home {
	t.Helper()
	h := &Home{At: store.PartitionOf(subject), store: s, over: make(chan struct{})}
	h.Owner = partition.New(partition.Options{Store: s, Partition: h.At, Handler: handler{h, d}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, h.Acquire(t.Context()))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	h.stop = stop
	go func() { defer close(h.over); _ = h.Run(ctx) }()
	t.Cleanup(h.End)
	synctest.Wait()
	return h
}

// End ends the life.
func (h *Home) End() {
	h.stop()
	<-h.over
}

// Do has f decide, and waits for all that follows at once.
func (h *Home) Do(t *testing.T, f func(*partition.Tx) error) {
	t.Helper()
	require.NoError(t, h.Try(t, f))
}

// Try is Do that may be refused, after which nothing was written.
func (h *Home) Try(t *testing.T, f func(*partition.Tx) error) error {
	t.Helper()
	err := h.Call(t.Context(), f)
	synctest.Wait()
	return err
}

// Offer offers an input, and waits for all that follows at once.
func (h *Home) Offer(t *testing.T, in store.Input) {
	t.Helper()
	require.NoError(t, h.store.Offer(t.Context(), h.At, in))
	synctest.Wait()
}

// Inputs are those that came and decided nothing.
func (h *Home) Inputs() []store.Input {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.inputs)
}

// Timers are those that came and decided nothing.
func (h *Home) Timers() []store.Timer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.timers)
}

// Ledger lists the partition's entries, whose chain must hold.
func (h *Home) Ledger(t *testing.T) []ledger.Entry {
	t.Helper()
	out, err := h.store.Ledger(t.Context(), h.At, "", 0, 0)
	require.NoError(t, err)
	_, err = ledger.Verify(ledger.Head{}, out)
	require.NoError(t, err)
	return out
}

// Values reads a collection of the partition.
func Values[T any](t *testing.T, h *Home, collection string) []T {
	t.Helper()
	out, err := partition.Values[T](partition.All(t.Context(), h.store, h.At, collection))
	require.NoError(t, err)
	return out
}

// Arrived lists what waits in the inbox of a subject whose partition nobody owns.
func Arrived(t *testing.T, s store.Store, subject string) []store.Input {
	t.Helper()
	lease, err := s.Acquire(t.Context(), store.PartitionOf(subject))
	require.NoError(t, err)
	defer func() { require.NoError(t, lease.Release(t.Context())) }()
	out, err := lease.Inputs(t.Context(), 0)
	require.NoError(t, err)
	return out
}

// Kinds counts the entries of a store's whole ledger by kind; every chain must hold.
func Kinds(t *testing.T, s store.Store) map[string]int {
	t.Helper()
	out := map[string]int{}
	for p := range store.Partitions {
		entries, err := s.Ledger(t.Context(), store.Partition(p), "", 0, 0)
		require.NoError(t, err)
		_, err = ledger.Verify(ledger.Head{}, entries)
		require.NoError(t, err)
		for _, e := range entries {
			out[e.Kind]++
		}
	}
	return out
}

// Pass lets time pass.
func Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type handler struct {
	h *Home
	d Decider
}

func (x handler) Load(ctx context.Context, p store.Partition, s store.Store) error {
	if x.d.Load == nil {
		return nil
	}
	return x.d.Load(ctx, p, s)
}

func (x handler) Input(tx *partition.Tx, in store.Input) error {
	if x.d.Input != nil {
		return x.d.Input(tx, in)
	}
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.h.inputs = append(x.h.inputs, in)
	return nil
}

func (x handler) Timer(tx *partition.Tx, t store.Timer) error {
	if x.d.Timer != nil {
		return x.d.Timer(tx, t)
	}
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.h.timers = append(x.h.timers, t)
	return nil
}

func (handler) Tick(*partition.Tx) error  { return nil }
func (handler) Drain(*partition.Tx) error { return nil }
