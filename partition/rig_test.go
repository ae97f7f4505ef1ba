package partition_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

const home = store.Partition(7)

// decider is a handler that writes down what it was asked, and decides as told.
type decider struct {
	input func(tx *partition.Tx, in store.Input) error
	timer func(tx *partition.Tx, t store.Timer) error
	tick  func(tx *partition.Tx) error
	mu    sync.Mutex
	lines []string
}

// seen is what it was asked so far.
func (d *decider) seen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *decider) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *decider) Load(context.Context, store.Partition, store.Store) error {
	d.note("load")
	return nil
}

func (d *decider) Input(tx *partition.Tx, in store.Input) error {
	d.note("input %s", in.ID)
	if d.input != nil {
		return d.input(tx, in)
	}
	return nil
}

func (d *decider) Timer(tx *partition.Tx, t store.Timer) error {
	d.note("timer %s", t.ID)
	if d.timer != nil {
		return d.timer(tx, t)
	}
	return nil
}

func (d *decider) Tick(tx *partition.Tx) error {
	if d.tick != nil {
		return d.tick(tx)
	}
	return nil
}

func (d *decider) Drain(tx *partition.Tx) error {
	d.note("drain")
	return tx.Put("state", "drained", "x", 1, true)
}

// flaky is a store whose commits fail as told.
type flaky struct {
	store.Store
	fail  func() error
	tries atomic.Int64
}

func (f *flaky) Acquire(ctx context.Context, p store.Partition) (store.Lease, error) {
	l, err := f.Store.Acquire(ctx, p)
	return flakyLease{l, f}, err
}

type flakyLease struct {
	store.Lease
	f *flaky
}

func (l flakyLease) Commit(ctx context.Context, b store.Batch) error {
	l.f.tries.Add(1)
	if l.f.fail != nil {
		if err := l.f.fail(); err != nil {
			return err
		}
	}
	return l.Lease.Commit(ctx, b)
}

// running is an owner whose Run runs.
type running struct {
	*partition.Owner
	stop context.CancelFunc
	end  chan error
}

func run(t *testing.T, s store.Store, d *decider) running {
	t.Helper()
	r := running{Owner: partition.New(partition.Options{Store: s, Partition: home, Handler: d, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}), end: make(chan error, 1)}
	require.NoError(t, r.Acquire(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.end <- r.Run(ctx) }()
	synctest.Wait()
	return r
}

// drain stops the owner and gives what Run said.
func (r running) drain() error {
	r.stop()
	return <-r.end
}

func offer(t *testing.T, s store.Store, id string) {
	t.Helper()
	require.NoError(t, s.Offer(t.Context(), home, store.Input{ID: id, Kind: "thing", Version: 1, Subject: "s", Payload: json.RawMessage(`{}`)}))
}

// after lets time pass; what the owner did by then may be looked at.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func left(t *testing.T, s store.Store) []string {
	t.Helper()
	l, err := s.Acquire(t.Context(), home)
	require.NoError(t, err, "the lease was given back")
	inputs, err := l.Inputs(t.Context(), 0)
	require.NoError(t, err)
	ids := []string{}
	for _, in := range inputs {
		ids = append(ids, in.ID)
	}
	return ids
}

func has(t *testing.T, s store.Store, collection, key string) bool {
	t.Helper()
	_, ok, err := s.Record(t.Context(), home, collection, key)
	require.NoError(t, err)
	return ok
}
