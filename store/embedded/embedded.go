// Package embedded is the store's port on one Pebble database: durable, one
// process, nothing to install.
//
// It knows keys and bytes, nothing of what is decided. Every write is one batch;
// writes to a partition are applied in order under its gate and then wait for
// the log's fsync together, so concurrent writers share fsyncs. Since all
// partitions share the database, a commit puts its messages and effects into
// their targets' inboxes in the same batch.
//
// Leases live in memory: the folder's lock keeps every other process out.
//
// Keys; p is the partition's byte, numbers are big-endian, "name" stands for a
// string ended so that no name is another's prefix:
//
//	0 "format"                cell: the format's version
//	1 p 'm'                   meta: next numbers, head of the ledger's chain
//	1 p 'q' seq               cell input/1: the inbox
//	1 p 'd' id                what is known of an input's id: held (seq) or consumed (n)
//	1 p 'o' n                 time and id of the n-th consumed input
//	1 p 'r' "collection" key  cell: a record, with its own kind and version
//	1 p 't' id                cell timer/1
//	1 p 'u' time id           timers by time
//	1 p 'l' seq               cell ledger/1
//	1 p 'x' "subject" seq     ledger by subject and refs
//
// A cell is version, kind and data; see codec.go.
package embedded

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
	"github.com/tocsin-alerting/tocsin/store/disk"
	"github.com/tocsin-alerting/tocsin/store/meter"
)

// Format is the version of the key layout that this package writes. A newer one
// is refused by Open.
const Format = 1

// Options of Open; the zero value works.
type Options struct {
	Now           func() time.Time // the leases' and memories' clock; default time.Now
	LeaseTime     time.Duration    // default 10 s
	CommitTimeout time.Duration    // after which a write that hangs gives an error; default 10 s
	Logger        *slog.Logger
	Registerer    prometheus.Registerer // nil: metrics are kept and not shown
	// Offers are refused with less than MinFreeBytes (default 256 MiB) or
	// MinFreeRatio (default 0.02) of the disk free; commits, without which
	// nothing could be delivered any more, with less than a quarter of that.
	MinFreeBytes uint64
	MinFreeRatio float64
	FreeSpace    func() (free, total uint64) // default: the disk that holds the store

	fs vfs.FS // tests make disks fail with it
}

// Store is a store.Store on disk. Safe for concurrent use.
type Store struct {
	o       Options
	dir     string
	lock    interface{ Close() error }
	db      *pebble.DB
	guard   disk.Guard
	metrics *meter.Meter
	full    atomic.Bool // the disk refused a write and has no space yet
	parts   [store.Partitions]part

	closing  chan struct{} // closed by Close
	failed   chan struct{} // closed when the database cannot go on
	failOnce sync.Once
	failErr  error // set before failed is closed

	mu       sync.Mutex // guards the three below
	closed   bool
	inflight int
	idle     chan struct{} // closed when closed and nothing is in flight
	done     chan struct{} // closed when Close has finished
	closeErr error         // set before done is closed
}

var _ store.Store = (*Store)(nil)

// Open opens or makes the store in dir. A folder in use gives a Conflict that
// names the process, data of a newer format an Invalid; both say what to do.
func Open(dir string, o Options) (*Store, error) {
	o.setDefaults()
	lock, err := disk.Lock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		o: o, dir: dir, lock: lock,
		guard:   disk.NewGuard(dir, o.MinFreeBytes, o.MinFreeRatio, o.FreeSpace),
		closing: make(chan struct{}), failed: make(chan struct{}), idle: make(chan struct{}), done: make(chan struct{}),
	}
	for i := range s.parts {
		s.parts[i].gate = make(chan struct{}, 1)
	}
	if s.metrics, err = meter.New(o.Registerer); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LeaseTime == 0 {
		o.LeaseTime = 10 * time.Second
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
}

// open opens the database within a minute, whatever the disk does.
func (s *Store) open() error {
	if s.guard.Below(0.25) {
		return s.noSpace()
	}
	type opened struct {
		db  *pebble.DB
		err error
	}
	result := make(chan opened, 1)
	go func() {
		db, err := pebble.Open(filepath.Join(s.dir, "db"), s.pebbleOptions())
		result <- opened{db, err}
	}()
	hint := "see the log for the disk's error; if the files are damaged, restore the folder from a backup"
	select {
	case r := <-result:
		if r.err != nil {
			return problem.Wrap(r.err, problem.Unavailable, "the store in %s cannot be opened", s.dir).WithHint("%s", hint)
		}
		s.db = r.db
	case <-s.failed:
		return problem.Wrap(s.failErr, problem.Unavailable, "the store in %s cannot be opened", s.dir).WithHint("%s", hint)
	case <-time.After(time.Minute):
		return problem.New(problem.Unavailable, "the disk of %s did not answer within a minute", s.dir).WithHint("check the disk")
	}
	if err := s.checkFormat(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// checkFormat refuses data of a newer format and marks a new store with ours.
func (s *Store) checkFormat() error {
	c, ok, err := s.get(formatKey())
	if err != nil {
		return err
	}
	if !ok {
		if err := s.db.Set(formatKey(), cell.Encode("store", Format, nil), pebble.Sync); err != nil {
			return problem.Wrap(err, problem.Unavailable, "the store in %s cannot be written", s.dir)
		}
		return nil
	}
	kind, version, _, err := cell.Decode(c)
	if err != nil || kind != "store" {
		return problem.Wrap(err, problem.Invalid, "%s holds something that is not a store of tocsin", s.dir).
			WithHint("choose another folder with --storage.path")
	}
	if version > Format {
		return problem.New(problem.Invalid, "the store in %s has format %d; this version of tocsin reads up to %d", s.dir, version, Format).
			WithHint("run the newer tocsin that wrote it, or restore the backup made before the upgrade; nothing was changed")
	}
	return nil
}

// Dir is the folder of the store.
func (s *Store) Dir() string { return s.dir }

// Failed is closed when the database cannot go on (its disk refused a write
// that must not fail). Every later call gives an error: restart the process.
func (s *Store) Failed() <-chan struct{} { return s.failed }

func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.failErr = err
		s.o.Logger.Error("the store failed; restart tocsin", "error", err)
		close(s.failed)
	})
}

// enter counts a call in; the caller calls exit when there is no error.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return problem.Wrap(store.ErrClosed, problem.Unavailable, "the store is closed")
	}
	select {
	case <-s.failed:
		return s.broken()
	default:
	}
	s.inflight++
	return nil
}

func (s *Store) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inflight--
	if s.closed && s.inflight == 0 {
		close(s.idle)
	}
}

// Close implements store.Store. It waits for calls in flight, at most three
// times CommitTimeout in all; a store that failed keeps its folder locked until
// the process ends.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	if s.inflight == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	close(s.closing)
	defer close(s.done)
	s.closeErr = s.shut()
	return s.closeErr
}

func (s *Store) shut() error {
	limit := time.NewTimer(3 * s.o.CommitTimeout)
	defer limit.Stop()
	hung := func() error {
		return problem.New(problem.Unavailable, "the store could not be closed in time").WithHint("the disk of %s hangs; end the process", s.dir)
	}
	select {
	case <-s.idle:
	case <-s.failed:
		return s.broken()
	case <-limit.C:
		return hung()
	}
	select {
	case <-s.failed:
		return s.broken()
	default:
	}
	result := make(chan error, 1)
	go func() { result <- s.db.Close() }()
	select {
	case err := <-result:
		return errors.Join(err, s.lock.Close())
	case <-s.failed:
		return s.broken()
	case <-limit.C:
		return hung()
	}
}

func (s *Store) broken() error {
	return problem.Wrap(s.failErr, problem.Unavailable, "the store failed").WithHint("check the disk of %s, then restart tocsin", s.dir)
}

func (s *Store) noSpace() error {
	return problem.Wrap(store.ErrNoSpace, problem.NoSpace, "the disk is full or nearly so").
		WithHint("%s", s.guard.Hint(s.dir)).WithRetryAfter(10 * time.Second)
}
