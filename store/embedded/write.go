package embedded

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// part is a partition's state in memory.
type part struct {
	gate   chan struct{} // holds one token while somebody writes to the partition
	loaded bool          // guarded by gate, as are meta, oldest and applied
	meta   meta
	oldest time.Time // when meta.Oldest was consumed; zero when not known
	// applied numbers the writes put into the database, synced the last one
	// known to be on disk.
	applied uint64
	synced  atomic.Uint64

	mu    sync.Mutex // guards lease and the lease's until
	lease *lease
}

// tx is one write under the gates of its partitions.
type tx struct {
	s     *Store
	b     *pebble.Batch
	metas map[store.Partition]*meta // changed ones
	sent  map[sentKey]bool          // ids that this write itself offers
	wake  []store.Partition
	known bool // an id was already known
}

type sentKey struct {
	to store.Partition
	id string
}

// write takes the gates of parts (sorted, each once), lets build fill a batch
// and returns when it is durable. After CommitTimeout it gives an error and
// started says whether the write may still happen.
func (s *Store) write(ctx context.Context, parts []store.Partition, build func(*tx) error) (started bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := s.enter(); err != nil {
		return false, err
	}
	limit := time.NewTimer(s.o.CommitTimeout)
	defer limit.Stop()
	for i, p := range parts {
		if err := s.pass(ctx, p, limit.C); err != nil {
			s.leave(parts[:i])
			s.exit()
			return false, err
		}
	}
	done := make(chan error, 1)
	go func() {
		defer s.exit()
		done <- s.run(parts, build)
	}()
	select {
	case err := <-done:
		return false, err
	case <-s.failed:
		return true, s.broken()
	case <-limit.C:
		return true, s.late()
	}
}

// pass waits for the gate of p.
func (s *Store) pass(ctx context.Context, p store.Partition, limit <-chan time.Time) error {
	select {
	case s.parts[p].gate <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.parts[p].gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failed:
		return s.broken()
	case <-limit:
		return s.late()
	}
}

func (s *Store) leave(parts []store.Partition) {
	for _, p := range parts {
		<-s.parts[p].gate
	}
}

// late is the error of a write that took too long.
func (s *Store) late() error {
	if s.full.Load() {
		return s.noSpace()
	}
	return problem.New(problem.Unavailable, "the disk did not answer within %s", s.o.CommitTimeout).
		WithHint("check the disk of %s", s.dir).WithRetryAfter(time.Second)
}

// run builds, applies and syncs a batch, and gives the gates back as soon as it
// is applied: the log keeps its order.
func (s *Store) run(parts []store.Partition, build func(*tx) error) (err error) {
	t := &tx{s: s, b: s.db.NewBatch(), metas: map[store.Partition]*meta{}}
	applied, err := s.apply(t, parts, build)
	if err != nil {
		s.leave(parts)
		return err
	}
	marks := make([]uint64, len(parts))
	behind := false
	for i, p := range parts {
		pt := &s.parts[p]
		if m := t.metas[p]; m != nil {
			pt.meta = *m
		}
		if applied {
			pt.applied++
		}
		marks[i] = pt.applied
		behind = behind || pt.synced.Load() < pt.applied
	}
	s.leave(parts)
	if !behind {
		return t.b.Close() // nothing new, and all of it is on disk
	}
	if applied {
		err = t.b.SyncWait()
	} else { // what was there already may still be on its way to the disk
		err = s.db.LogData([]byte{0}, pebble.Sync)
	}
	if err != nil {
		s.fail(err)
		return s.broken()
	}
	for i, p := range parts {
		raise(&s.parts[p].synced, marks[i])
	}
	for _, p := range t.wake {
		s.parts[p].awake()
	}
	return t.b.Close()
}

// apply builds the batch and puts it into the database, unless it is empty.
func (s *Store) apply(t *tx, parts []store.Partition, build func(*tx) error) (applied bool, err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble panics when its log cannot be written
			s.fail(fmt.Errorf("database: %v", r))
			err = s.broken()
		}
	}()
	for _, p := range parts {
		if err := s.load(p); err != nil {
			return false, err
		}
	}
	if err := build(t); err != nil {
		return false, err
	}
	for p, m := range t.metas {
		if err := t.b.Set(prefix(p, 'm', 0), m.encode(), nil); err != nil {
			return false, err
		}
	}
	if t.b.Empty() {
		return false, nil
	}
	return true, s.db.ApplyNoSyncWait(t.b, pebble.Sync)
}

func raise(to *atomic.Uint64, n uint64) {
	for old := to.Load(); old < n && !to.CompareAndSwap(old, n); old = to.Load() {
	}
}

// load reads a partition's meta on first use; its gate is held.
func (s *Store) load(p store.Partition) error {
	pt := &s.parts[p]
	if pt.loaded {
		return nil
	}
	c, ok, err := s.get(prefix(p, 'm', 0))
	if err != nil {
		return err
	}
	if ok {
		if pt.meta, err = decodeMeta(c); err != nil {
			return err
		}
	}
	pt.loaded = true
	return nil
}

// awake tells the owner, if there is one.
func (pt *part) awake() {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.lease == nil {
		return
	}
	select {
	case pt.lease.wake <- struct{}{}:
	default:
	}
}

// meta gives p's counters for this write to change.
func (t *tx) meta(p store.Partition) *meta {
	m := t.metas[p]
	if m == nil {
		c := t.s.parts[p].meta
		m = &c
		t.metas[p] = m
	}
	return m
}

// offer appends in to p's inbox unless its id is known.
func (t *tx) offer(p store.Partition, in store.Input) error {
	key := sentKey{p, in.ID}
	if t.sent[key] {
		return nil
	}
	_, known, err := t.s.get(idKey(p, 'd', in.ID))
	if err != nil || known {
		t.known = known
		return err
	}
	m := t.meta(p)
	m.Seq++
	in.Seq = m.Seq
	c, err := cell.EncodeInput(in)
	if err != nil {
		return err
	}
	if t.sent == nil {
		t.sent = map[sentKey]bool{}
	}
	t.sent[key] = true
	t.wake = append(t.wake, p)
	if err := t.b.Set(numKey(p, 'q', m.Seq), c, nil); err != nil {
		return err
	}
	return t.b.Set(idKey(p, 'd', in.ID), encodeID(idHeld, m.Seq), nil)
}

// Offer implements store.Store.
func (s *Store) Offer(ctx context.Context, p store.Partition, in store.Input) error {
	if err := in.Check(); err != nil {
		return s.metrics.Outcome(err)
	}
	if s.full.Load() || s.guard.Below(1) {
		return s.metrics.Outcome(s.noSpace())
	}
	var known bool
	started, err := s.write(ctx, []store.Partition{p}, func(t *tx) error {
		err := t.offer(p, in)
		known = t.known
		return err
	})
	if err != nil || started {
		return s.metrics.Outcome(err)
	}
	s.metrics.Offered(known)
	return nil
}
