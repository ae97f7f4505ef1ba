package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// lease is a store.Lease. Owned by one goroutine; Close gives it up from another.
type lease struct {
	s     *Store
	p     store.Partition
	token string
	wake  chan struct{}

	until  time.Time // by this process's clock, never later than the server's
	lost   bool      // not ours any more, or not known to be
	number uint64    // of the last commit tried
	head   ledger.Head
	// next is the earliest timer while timed says that it is known.
	timed  bool
	next   time.Time
	nextOK bool
}

// Acquire implements store.Store. What the owner before sent and did not see
// arrive is offered again before the lease is given.
func (s *Store) Acquire(ctx context.Context, p store.Partition) (store.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	began := s.now()
	nonce := fmt.Sprintf("%s/%s/%d", s.o.Name, s.life, s.nonce.Add(1))
	answer, _, err := s.run(ctx, scriptAcquire, keys(p, "m", "c"), s.clock(), s.o.LeaseTime.Microseconds(), s.o.Name, nonce)
	if err != nil {
		return nil, err
	}
	a := texts(answer)
	if len(a) != 4 {
		return nil, problem.Wrap(store.ErrHeld, problem.Conflict, "partition %d has an owner", p)
	}
	l := &lease{s: s, p: p, token: a[1], wake: make(chan struct{}, 1), until: began.Add(s.o.LeaseTime)}
	if l.head.Seq, err = strconv.ParseUint(a[2], 10, 64); err != nil {
		return nil, damaged("the state of a partition", err)
	}
	l.head.Hash = a[3]
	if err := s.empty(ctx, p, false); err != nil {
		s.later(p)
	}
	pt := &s.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if s.closed.Load() {
		l.giveUp(context.WithoutCancel(ctx))
		return nil, s.enter(ctx)
	}
	pt.lease = l
	return l, nil
}

// texts gives a script's list of strings.
func texts(answer any) []string {
	list, _ := answer.([]any)
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = v.(string) // what is not there is empty
	}
	return out
}

// live checks what this process knows of the lease; the scripts check the rest.
func (l *lease) live(ctx context.Context) error {
	if err := l.s.enter(ctx); err != nil {
		return err
	}
	if l.lost || !l.s.now().Before(l.until) {
		return l.gone()
	}
	return nil
}

// gone notes that the lease is lost.
func (l *lease) gone() error {
	l.lost = true
	l.drop()
	return problem.Wrap(store.ErrLeaseLost, problem.Conflict, "partition %d is no longer ours", l.p)
}

func (l *lease) drop() {
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
	if err := l.live(ctx); err != nil {
		return err
	}
	began := l.s.now()
	answer, _, err := l.s.run(ctx, scriptRenew, keys(l.p, "m"), l.s.clock(), l.token, l.s.o.LeaseTime.Microseconds())
	switch {
	case err != nil:
		return err
	case answer != "ok":
		return l.gone()
	}
	l.until = began.Add(l.s.o.LeaseTime)
	return nil
}

// Release implements store.Lease.
func (l *lease) Release(ctx context.Context) error {
	if l.lost {
		return nil
	}
	l.lost = true
	l.drop()
	if l.s.closed.Load() {
		return nil // Close gave it up
	}
	l.giveUp(ctx)
	return nil
}

// giveUp tells Redis that the lease is over; when that fails, it ends by itself.
func (l *lease) giveUp(ctx context.Context) {
	if _, _, err := l.s.run(ctx, scriptRenew, keys(l.p, "m"), l.s.clock(), l.token, 0); err != nil {
		l.s.o.Logger.Warn("a lease could not be given up and ends by itself", "partition", l.p, "error", err)
	}
}

// ask runs a reading script for the owner; the answer's first text is its status.
func (l *lease) ask(ctx context.Context, sc reading, args ...any) ([]string, error) {
	if err := l.live(ctx); err != nil {
		return nil, err
	}
	answer, _, err := l.s.run(ctx, sc.script, keys(l.p, sc.keys...), append([]any{l.s.clock(), l.token}, args...)...)
	if err != nil {
		return nil, err
	}
	out := texts(answer)
	if len(out) == 0 || out[0] != "ok" {
		return nil, l.gone()
	}
	return out[1:], nil
}

// Inputs implements store.Lease.
func (l *lease) Inputs(ctx context.Context, limit int) ([]store.Input, error) {
	if limit <= 0 {
		limit = 256
	}
	a, err := l.ask(ctx, readInputs, limit)
	if err != nil {
		return nil, err
	}
	out := make([]store.Input, 0, len(a)/2)
	for i := range len(a) / 2 {
		in, err := cell.DecodeInput([]byte(a[len(a)/2+i]))
		if err != nil {
			return nil, err
		}
		if in.Seq, err = strconv.ParseUint(a[i], 10, 64); err != nil {
			return nil, damaged("an input's number", err)
		}
		out = append(out, in)
	}
	return out, nil
}

// Due implements store.Lease.
func (l *lease) Due(ctx context.Context, now time.Time) ([]store.Timer, error) {
	at, ok, err := l.Next(ctx)
	if err != nil || !ok || at.After(now) {
		return []store.Timer{}, err
	}
	return l.timers(ctx, "("+string(timeKey(now.Add(1))), 256)
}

// Next implements store.Lease.
func (l *lease) Next(ctx context.Context) (time.Time, bool, error) {
	if l.timed {
		return l.next, l.nextOK, l.live(ctx)
	}
	first, err := l.timers(ctx, "+", 1)
	if err != nil {
		return time.Time{}, false, err
	}
	if l.next, l.nextOK, l.timed = (time.Time{}), len(first) > 0, true; l.nextOK {
		l.next = first[0].At
	}
	return l.next, l.nextOK, nil
}

func (l *lease) timers(ctx context.Context, bound string, limit int) ([]store.Timer, error) {
	a, err := l.ask(ctx, readTimers, bound, limit)
	if err != nil {
		return nil, err
	}
	out := make([]store.Timer, 0, len(a)/2)
	for i := range len(a) / 2 {
		c := []byte(a[len(a)/2+i])
		if len(c) < 12 {
			return nil, damaged("a timer", cell.ErrDamaged)
		}
		var t store.Timer
		if err := cell.DecodeJSON(c[12:], "timer", cell.TimerVersion, &t); err != nil {
			return nil, err
		}
		t.ID, t.At = a[i], timeOf(c) // JSON keeps only UTF-8
		out = append(out, t)
	}
	return out, nil
}
