// Package history is the embedded home of metrics over time: one Prometheus TSDB
// for all tenants.
//
// It is a view: the journal is the truth, and what is lost here can be written
// again from there. It knows batches of samples and tenants' ids; it must not know
// who asks or what (samples/query does), what a policy is, or how samples came in.
//
// One TSDB for many tenants has traps. Samples ahead of now are refused before
// they can move the head's time and close the past to everybody. The window for
// samples out of order is the whole retention, so that one tenant's backfill is
// not refused because another is live. The TSDB drops late and repeated samples
// without an error: what it dropped is counted after each commit.
package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
)

// Options of a Store. Dir is needed; everything else has a default.
type Options struct {
	Dir        string
	Retention  time.Duration // default 15 days
	MaxBytes   int64         // of blocks; 0: no bound but the retention
	MaxAhead   time.Duration // samples further ahead of now are refused; default 5 min
	Queue      int           // samples that may wait to be written; default 1,000,000
	Small      bool          // a laptop's footprint: smaller WAL segments and tables
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.Retention <= 0 {
		o.Retention = 15 * 24 * time.Hour
	}
	if o.MaxAhead <= 0 {
		o.MaxAhead = 5 * time.Minute
	}
	if o.Queue <= 0 {
		o.Queue = 1_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// maxExemplars is how many exemplars are kept over all series, the latest; they
// take about 200 bytes each.
const maxExemplars = 50_000

// Store is an open history. Append and Flush may be called by several goroutines;
// one goroutine writes.
type Store struct {
	opts    Options
	db      *tsdb.DB
	drops   *dropTap
	metrics *metrics

	mu      sync.Mutex // guards the queue's state
	wake    *sync.Cond
	queue   []item
	waiting int // samples in the queue and in the writer's hands
	closed  bool

	written atomic.Pointer[mark]
	done    chan struct{}
	series  seriesTable // the writer's alone
}

type item struct {
	batch *samples.Batch
	mark  any
	flush chan struct{} // closed when everything before it is written
}

type mark struct{ value any }

// Open opens or creates the history in o.Dir and starts its writer. It replays
// the TSDB's own WAL, which takes seconds for an hour of thousands of tenants:
// call it in the background.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Dir == "" {
		return nil, problem.New(problem.Internal, "history needs a folder")
	}
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = o.Retention.Milliseconds()
	opts.OutOfOrderTimeWindow = o.Retention.Milliseconds()
	opts.MaxBytes = o.MaxBytes
	opts.EnableExemplarStorage, opts.MaxExemplars = true, maxExemplars
	if o.Small {
		opts.WALSegmentSize = 16 << 20
		opts.StripeSize = 1 << 10
		opts.HeadChunksWriteBufferSize = 64 << 10
		opts.WALReplayConcurrency = 1
	}
	tap := newDropTap()
	db, err := tsdb.Open(o.Dir, o.Logger.With("component", "tsdb"), tap, opts, nil)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the metrics history cannot be opened").
			WithHint("another process may have it open; if it is broken, move its folder aside: a new one is begun")
	}
	s := &Store{opts: o, db: db, drops: tap, metrics: newMetrics(o.Registerer), done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	s.series.init()
	go s.write()
	return s, nil
}

// Append queues a batch to be written; m is the caller's mark of it, which Written
// gives back; nil is none. It waits only while the queue is full, until ctx ends: the batch is
// then dropped and counted (problem.TooMany). Batches are written in the order
// they came; the store does not change them.
func (s *Store) Append(ctx context.Context, b *samples.Batch, m any) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wake.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && s.waiting > 0 && s.waiting+weight(b) > s.opts.Queue {
		if ctx.Err() != nil {
			s.metrics.dropped.WithLabelValues(dropQueue).Add(float64(weight(b)))
			return problem.New(problem.TooMany, "the metrics history is behind and its queue is full")
		}
		s.wake.Wait()
	}
	if s.closed {
		return errClosed()
	}
	s.queue = append(s.queue, item{batch: b, mark: m})
	s.waiting += weight(b)
	s.metrics.queued.Set(float64(s.waiting))
	s.wake.Broadcast()
	return nil
}

// Flush waits until everything appended before is written.
func (s *Store) Flush(ctx context.Context) error {
	ch := make(chan struct{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed()
	}
	s.queue = append(s.queue, item{flush: ch})
	s.wake.Broadcast()
	s.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Written is the mark of the last batch that was committed; nil before the first.
// It survives the end of the process, not that of the machine: write again from
// somewhat before it, what is there already is dropped as a duplicate.
func (s *Store) Written() any {
	if m := s.written.Load(); m != nil {
		return m.value
	}
	return nil
}

// Queryable is all tenants' data, native histograms by their classic names too.
// Whoever answers somebody puts a fence around it.
func (s *Store) Queryable() storage.Queryable { return Classic(s.db) }

// Exemplars is all tenants' exemplars, the latest of all series. For the classic
// names of a native histogram they are the native series'.
func (s *Store) Exemplars() storage.ExemplarQueryable { return classicExemplars{s.db} }

// Close writes what is queued and closes the history. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	s.wake.Broadcast()
	s.mu.Unlock()
	<-s.done
	if err := s.db.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return problem.Wrap(err, problem.Internal, "the metrics history did not close cleanly")
	}
	return nil
}

func errClosed() error { return problem.New(problem.Unavailable, "the metrics history is closed") }
