// Package redis is the store's port on Redis 7 or later, a single server or a
// cluster: the home that several processes share.
//
// Every key of a partition is "tocsin:{p017}:…", so that a partition lives in
// one slot. A commit is one script that compares the lease's token first; no
// step touches two slots. What crosses partitions is put into the sender's
// outbox by the commit's script, then offered to its target by id, then taken
// out of the outbox: a crash between repeats the offer, which the target ignores.
//
// Every commit has a number, and the partition remembers the last one of each
// lease: a commit whose answer was lost is asked again and applied once. One
// whose outcome cannot be learned within CommitTimeout takes the lease away; the
// next owner reads what came of it.
//
// Leases live by the servers' clock. A lease that was lost fences: its token is
// not the partition's any more.
//
// Keys of a partition behind its prefix:
//
//	m      hash: token, holder and end of the lease; last seq; head of the ledger
//	c      hash: number of the last commit of each of the last leases
//	q, i   inbox: ids by seq; cell input/1 by id
//	d      consumed ids' digests by time
//	o      outbox: target and cell input/1 by number
//	t, u   timers by id (time, then cell timer/1); by time
//	l, x   ledger by seq (time, index members, cell ledger/1); by subject
//	r:NAME, k:NAME  a collection's records; their keys in order
//
// Values are cells of store/cell. The scripts are in lua/.
package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/meter"
)

// Options of Open. Only Addresses is required.
type Options struct {
	// Addresses are host:port of one server, or of some nodes of a cluster.
	Addresses []string
	Username  string
	Password  func() (string, error) // asked at every connection; nil: none
	TLS       *tls.Config            // nil: none
	// Name of this process among those that share the store; default a random one.
	Name string
	// LeaseTime is how long a partition stays without an owner when its owner
	// dies; default 6 s.
	LeaseTime time.Duration
	// CommitTimeout bounds the search for the outcome of a call; default LeaseTime.
	CommitTimeout time.Duration
	// KeepLedger is how long entries stay; 0: for ever.
	KeepLedger time.Duration
	// Relaxed accepts servers that promise less than Open asks for, with a warning.
	Relaxed    bool
	Now        func() time.Time // tests' clock of leases and memories; nil: the servers'
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
}

// Store is a store.Store on Redis. Safe for concurrent use.
type Store struct {
	o       Options
	c       goredis.UniversalClient
	metrics *meter.Meter
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	closed  atomic.Bool
	loops   sync.WaitGroup
	life    string               // of this process: its name may have had others
	nonce   atomic.Uint64        // of the latest acquisition in this life
	behind  chan store.Partition // outboxes to be emptied in the background

	parts [store.Partitions]part
}

// part is what this process knows of a partition.
type part struct {
	mu    sync.Mutex // guards lease
	lease *lease
	out   sync.Mutex  // held by whoever empties the outbox
	late  atomic.Bool // the outbox holds more than the latest commit's
}

var _ store.Store = (*Store)(nil)

// Open connects, checks that the servers keep what they accept, and starts what
// runs behind the store. Invalid when they promise too little, Unavailable when
// they cannot be reached; both say what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	logging.Disable() // a library's own log on stderr: its errors come back from every call
	m, err := meter.New(o.Registerer)
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, c: c, metrics: m, life: rand.Text(), behind: make(chan store.Partition, store.Partitions)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.checkFormat(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	s.loops.Go(s.listen)
	s.loops.Go(s.sweeps)
	for range carriers {
		s.loops.Go(s.carry)
	}
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Name == "" {
		o.Name = "tocsin-" + rand.Text()
	}
	if o.LeaseTime == 0 {
		o.LeaseTime = 6 * time.Second
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = o.LeaseTime
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// carriers is how many outboxes are emptied at a time when their targets hang.
const carriers = 8

// Name is this process's among those that share the store.
func (s *Store) Name() string { return s.o.Name }

// now is the clock by which this process judges its own leases.
func (s *Store) now() time.Time {
	if s.o.Now != nil {
		return s.o.Now()
	}
	return time.Now()
}

// clock is the scripts' argument for the time: empty for the server's own.
func (s *Store) clock() any {
	if s.o.Now == nil {
		return ""
	}
	return s.o.Now().UnixMicro()
}

// enter refuses what comes after Close or after ctx.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return problem.Wrap(store.ErrClosed, problem.Unavailable, "the store is closed")
	}
	return nil
}

// Close implements store.Store: it gives up this process's leases, so that
// others need not wait for their end.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for p := range s.parts {
		pt := &s.parts[p]
		pt.mu.Lock()
		l := pt.lease
		pt.lease = nil
		pt.mu.Unlock()
		if l != nil {
			wg.Go(func() { l.giveUp(ctx) })
		}
	}
	wg.Wait()
	s.cancel()
	s.loops.Wait()
	return s.c.Close()
}
