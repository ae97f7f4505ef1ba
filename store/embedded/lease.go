package embedded

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// lease is a store.Lease. Owned by one goroutine; until is guarded by the
// partition's mu.
type lease struct {
	s     *Store
	p     store.Partition
	wake  chan struct{}
	until time.Time

	low uint64 // no input in the inbox has a smaller seq
	// next is the earliest timer while timed says that it is known.
	timed  bool
	next   time.Time
	nextOK bool
}

// Acquire implements store.Store. It waits for a write in flight, so that the
// new owner reads what the one before may still have written.
func (s *Store) Acquire(ctx context.Context, p store.Partition) (store.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.exit()
	limit := time.NewTimer(s.o.CommitTimeout)
	defer limit.Stop()
	if err := s.pass(ctx, p, limit.C); err != nil {
		return nil, err
	}
	defer s.leave([]store.Partition{p})
	pt, now := &s.parts[p], s.o.Now()
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.lease != nil && now.Before(pt.lease.until) {
		return nil, problem.Wrap(store.ErrHeld, problem.Conflict, "partition %d has an owner", p)
	}
	pt.lease = &lease{s: s, p: p, until: now.Add(s.o.LeaseTime), wake: make(chan struct{}, 1)}
	return pt.lease, nil
}

// live checks that the lease is still ours; with extend it lives on from now.
func (l *lease) live(extend bool) error {
	pt, now := &l.s.parts[l.p], l.s.o.Now()
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.lease != l || !now.Before(l.until) {
		return problem.Wrap(store.ErrLeaseLost, problem.Conflict, "partition %d is no longer ours", l.p)
	}
	if extend {
		l.until = now.Add(l.s.o.LeaseTime)
	}
	return nil
}

func (l *lease) give() {
	pt := &l.s.parts[l.p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.lease == l {
		pt.lease = nil
	}
}

// Partition implements store.Lease.
func (l *lease) Partition() store.Partition { return l.p }

// Wake implements store.Lease.
func (l *lease) Wake() <-chan struct{} { return l.wake }

// Renew implements store.Lease.
func (l *lease) Renew(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.s.enter(); err != nil {
		return err
	}
	defer l.s.exit()
	return l.live(true)
}

// Release implements store.Lease.
func (l *lease) Release(context.Context) error {
	l.give()
	return nil
}

// scan is the store's, for the owner.
func (l *lease) scan(ctx context.Context, from, to []byte, f func(key, value []byte) (bool, error)) error {
	if err := l.s.enter(); err != nil {
		return err
	}
	defer l.s.exit()
	if err := l.live(false); err != nil {
		return err
	}
	return l.s.scan(ctx, from, to, f)
}

// Inputs implements store.Lease.
func (l *lease) Inputs(ctx context.Context, limit int) ([]store.Input, error) {
	if limit <= 0 {
		limit = 256
	}
	out := []store.Input{}
	// From low on, for before it lie the tombstones of all that was consumed.
	err := l.scan(ctx, numKey(l.p, 'q', l.low), after(prefix(l.p, 'q', 0)), func(_, v []byte) (bool, error) {
		in, err := cell.DecodeInput(v)
		if err != nil {
			return false, err
		}
		out = append(out, in)
		return len(out) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	if len(out) > 0 {
		l.low = out[0].Seq
	}
	return out, nil
}

// Due implements store.Lease.
func (l *lease) Due(ctx context.Context, now time.Time) ([]store.Timer, error) {
	out := []store.Timer{}
	at, ok, err := l.Next(ctx)
	if err != nil || !ok || at.After(now) {
		return out, err
	}
	var ids []string
	start := prefix(l.p, 'u', 0)
	end := timeKey(l.p, now.Add(1), "")
	err = l.scan(ctx, start, end, func(k, _ []byte) (bool, error) {
		ids = append(ids, string(k[len(start)+12:]))
		return len(ids) < 256, nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		t, ok, err := l.timer(id)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, t)
		}
	}
	return out, nil
}

func (l *lease) timer(id string) (t store.Timer, ok bool, err error) {
	if err := l.s.enter(); err != nil {
		return t, false, err
	}
	defer l.s.exit()
	c, ok, err := l.s.get(idKey(l.p, 't', id))
	if err != nil || !ok {
		return t, false, err
	}
	err = cell.DecodeJSON(c, "timer", cell.TimerVersion, &t)
	t.ID = id // JSON keeps only UTF-8
	return t, true, err
}

// Next implements store.Lease.
func (l *lease) Next(ctx context.Context) (time.Time, bool, error) {
	if l.timed {
		return l.next, l.nextOK, l.live(false)
	}
	var at time.Time
	found := false
	start := prefix(l.p, 'u', 0)
	err := l.scan(ctx, start, after(start), func(k, _ []byte) (bool, error) {
		k = k[len(start):]
		at = time.Unix(int64(binary.BigEndian.Uint64(k)^1<<63), int64(binary.BigEndian.Uint32(k[8:]))).UTC()
		found = true
		return false, nil
	})
	if err != nil {
		return time.Time{}, false, err
	}
	l.next, l.nextOK, l.timed = at, found, true
	return at, found, nil
}

// targets lists the partitions that a commit of p writes to, sorted: everybody
// takes gates in that order.
func targets(p store.Partition, out []store.Message) []store.Partition {
	ps := []store.Partition{p}
	for _, m := range out {
		ps = append(ps, m.To)
	}
	slices.Sort(ps)
	return slices.Compact(ps)
}
