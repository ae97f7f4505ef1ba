// Package partition runs the one goroutine that owns a partition: it takes
// inputs, timers and posted work in order, lets a Handler decide, and commits
// once per decision.
//
// It knows the store's port and nothing of what is decided. A handler must keep
// its records in the Tx: when an input is refused, the Tx is thrown away.
package partition

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Handler decides for the subjects of one partition. All methods are called
// from the owner's goroutine.
type Handler interface {
	// Load reads what the handler keeps in memory; called once, first.
	Load(ctx context.Context, p store.Partition, s store.Store) error
	// Input decides on one input. An error that is retryable leaves it in the
	// inbox; any other puts it aside in the collection "refused".
	Input(tx *Tx, in store.Input) error
	// Timer decides on a timer that is due; it is removed with the commit.
	Timer(tx *Tx, t store.Timer) error
	// Tick is called about once a second.
	Tick(tx *Tx) error
	// Drain is called once before the lease is released.
	Drain(tx *Tx) error
}

// Options of an owner.
type Options struct {
	Store     store.Store
	Partition store.Partition
	Handler   Handler
	Now       func() time.Time
	Tick      time.Duration // default 1 s
	Renew     time.Duration // default 3 s
	Logger    *slog.Logger
}

// Owner owns one partition while Run runs.
type Owner struct {
	o       Options
	lease   store.Lease
	renewed time.Time    // by whoever runs the owner
	alive   atomic.Int64 // unix nanoseconds: the lease was ours then
	mu      sync.Mutex
	posted  []piece // not yet done, the oldest first
	notify  chan struct{}
	stopped bool
	ended   chan struct{} // closed when Run has returned
}

// New makes an owner; Run starts it.
func New(o Options) *Owner {
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	if o.Renew == 0 {
		o.Renew = 3 * time.Second
	}
	return &Owner{o: o, notify: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Nobody is an owner that takes nothing: of a partition that is not served here.
func Nobody() *Owner { return &Owner{stopped: true} }

// Served says whether the owner takes work.
func (w *Owner) Served() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stopped
}

// Acquire takes the lease and lets the handler load.
func (w *Owner) Acquire(ctx context.Context) error {
	began := w.o.Now()
	lease, err := w.o.Store.Acquire(ctx, w.o.Partition)
	if err != nil {
		return err
	}
	w.lease, w.renewed = lease, began
	w.alive.Store(began.UnixNano())
	if err := w.o.Handler.Load(ctx, w.o.Partition, w.o.Store); err != nil {
		return errors.Join(err, lease.Release(context.WithoutCancel(ctx)))
	}
	return nil
}

// Abandon gives back what Acquire took, instead of Run.
func (w *Owner) Abandon(ctx context.Context) error {
	w.stop()
	return w.lease.Release(context.WithoutCancel(ctx))
}

// Keep renews the lease when it is time to. Callers use it between Acquire and
// Run, which may be long; Run does it by itself.
func (w *Owner) Keep(ctx context.Context) error {
	if w.o.Now().Sub(w.renewed) < w.o.Renew {
		return nil
	}
	return w.renew(ctx)
}

func (w *Owner) renew(ctx context.Context) error {
	began := w.o.Now()
	w.renewed = began
	err := w.lease.Renew(ctx)
	if err == nil {
		w.alive.Store(began.UnixNano())
	}
	return err
}

// Alive is when the lease was last known to be held. Safe for concurrent use.
func (w *Owner) Alive() time.Time { return time.Unix(0, w.alive.Load()) }

// Run owns the partition until ctx ends; then what was posted is finished, the
// handler drains and the lease is released. Acquire must have succeeded; Run
// runs once.
func (w *Owner) Run(ctx context.Context) error {
	defer close(w.ended)
	work := context.WithoutCancel(ctx)
	tick := time.NewTicker(w.o.Tick)
	defer tick.Stop()
	renew := time.NewTicker(w.o.Renew)
	defer renew.Stop()
	for {
		if err := w.round(work); err != nil {
			w.stop()
			return err
		}
		select {
		case <-ctx.Done():
			return w.finish(work)
		case <-w.notify:
		case <-w.lease.Wake():
		case <-renew.C:
			if err := w.renew(work); err != nil {
				w.stop()
				return err
			}
		case <-tick.C:
			if err := w.decide(work, nil, w.o.Handler.Tick); err != nil {
				w.stop()
				return err
			}
		}
	}
}

func (w *Owner) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

func (w *Owner) finish(ctx context.Context) error {
	w.stop()
	return errors.Join(w.drainPosted(ctx), w.decide(ctx, nil, w.o.Handler.Drain), w.lease.Release(ctx))
}

// round does everything that can be done now.
func (w *Owner) round(ctx context.Context) error {
	for {
		if err := w.drainPosted(ctx); err != nil {
			return err
		}
		inputs, err := w.lease.Inputs(ctx, 64)
		if err != nil {
			return err
		}
		blocked := false
		for _, in := range inputs {
			if blocked, err = w.input(ctx, in); err != nil {
				return err
			}
			if blocked {
				break
			}
		}
		timers, err := w.lease.Due(ctx, w.o.Now())
		if err != nil {
			return err
		}
		for _, t := range timers {
			waits, err := w.timer(ctx, t)
			if err != nil {
				return err
			}
			blocked = blocked || waits
		}
		if blocked || len(inputs) == 0 && len(timers) == 0 {
			return nil
		}
	}
}

// input decides on one input; blocked says that it must be tried again later.
func (w *Owner) input(ctx context.Context, in store.Input) (blocked bool, err error) {
	var refused error
	err = w.decide(ctx, []store.Input{in}, func(tx *Tx) error {
		tx.trace = in.Trace
		refused = w.o.Handler.Input(tx, in)
		if refused != nil {
			return errDiscard
		}
		return nil
	})
	if err != nil || refused == nil {
		return false, err
	}
	if p := problem.From(refused); p.Retryable {
		w.o.Logger.Warn("an input waits", logkey.Partition, w.o.Partition, "kind", in.Kind, "subject", in.Subject, "error", refused)
		return true, nil
	}
	w.o.Logger.Error("an input was refused and put aside", logkey.Partition, w.o.Partition, "kind", in.Kind, "subject", in.Subject, "error", refused)
	return false, w.decide(ctx, []store.Input{in}, func(tx *Tx) error {
		tx.Log(ledger.Entry{Subject: in.Subject, Kind: "input.refused", Reason: "an input of kind " + in.Kind + " could not be used and is kept aside: " + problem.From(refused).Message})
		return tx.Put("refused", in.ID, "input", 1, in)
	})
}

// timer decides on one that is due; waits says that it must be tried again later.
func (w *Owner) timer(ctx context.Context, t store.Timer) (waits bool, err error) {
	var refused error
	fire := func(run bool) error {
		return w.decide(ctx, nil, func(tx *Tx) error {
			tx.SetTimer(store.Timer{ID: t.ID}) // removed first: the handler may set it again
			if !run {
				return nil
			}
			if refused = w.o.Handler.Timer(tx, t); refused != nil {
				return errDiscard
			}
			return nil
		})
	}
	if err := fire(true); err != nil || refused == nil {
		return false, err
	}
	if problem.From(refused).Retryable {
		w.o.Logger.Warn("a timer waits", logkey.Partition, w.o.Partition, "kind", t.Kind, "subject", t.Subject, "error", refused)
		return true, nil
	}
	w.o.Logger.Error("a timer could not be handled", logkey.Partition, w.o.Partition, "kind", t.Kind, "subject", t.Subject, "error", refused)
	return false, fire(false)
}

// decide runs f on a fresh Tx and commits it. A commit that fails for want of
// space or time is tried again until it succeeds or the lease is lost: what the
// handler keeps in memory has already moved on.
func (w *Owner) decide(ctx context.Context, consumed []store.Input, f func(*Tx) error) error {
	tx := &Tx{ctx: ctx, store: w.o.Store, partition: w.o.Partition, now: w.o.Now(), pending: map[store.RecordKey]*store.Record{}}
	if err := f(tx); err != nil {
		if errors.Is(err, errDiscard) {
			return nil
		}
		w.o.Logger.Error("a decision failed", logkey.Partition, w.o.Partition, "error", err)
		return nil
	}
	b := tx.sealed()
	b.Consumed = consumed
	if !b.Empty() {
		if err := w.commit(ctx, b); err != nil {
			return err
		}
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

func (w *Owner) commit(ctx context.Context, b store.Batch) error {
	wait := 50 * time.Millisecond
	for {
		err := w.lease.Commit(ctx, b)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrLeaseLost), errors.Is(err, store.ErrClosed), ctx.Err() != nil:
			return err
		}
		w.o.Logger.Error("a commit failed and is tried again", logkey.Partition, w.o.Partition, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, 2*time.Second)
		if err := w.lease.Renew(ctx); err != nil {
			return err
		}
	}
}
