package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tracing"
)

// seats is which partitions this process serves.
type seats struct {
	mu   sync.Mutex
	held map[store.Partition]*seat
	wg   sync.WaitGroup
}

type seat struct {
	p       store.Partition
	owner   *partition.Owner
	handler *flow.Handler
	stop    context.CancelFunc // of the owner's run
	done    chan struct{}      // closed when it has ended
}

// list gives the seats in order.
func (s *seats) list() []*seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*seat, 0, len(s.held))
	for _, x := range s.held {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b *seat) int { return int(a.p) - int(b.p) })
	return out
}

// at gives the seat of a partition; nil when it is not served here.
func (s *seats) at(p store.Partition) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[p]
}

// takers is how many partitions are acquired at a time.
const takers = 16

// take acquires partitions, brings evaluate's state up to the journal's end and
// serves them. Where other processes share the store, one that is held or cannot
// be read is left for later and said to the log; else it is an error.
func (a *App) take(ctx context.Context, ps []store.Partition) (taken int, err error) {
	var got []*seat
	keep := func() error { // leases must outlast what comes before Run
		for n, s := range got {
			if err := s.owner.Keep(ctx); err != nil {
				if !a.replicated() {
					return err
				}
				a.log.Warn("a partition was lost while it was being taken", logkey.Partition, s.p, "error", err)
				got = slices.Delete(slices.Clone(got), n, n+1)
				return nil // the others at the next call
			}
		}
		return nil
	}
	for part := range slices.Chunk(ps, takers) {
		more, err := a.acquireAll(ctx, part)
		got = append(got, more...)
		if err == nil {
			err = keep()
		}
		if err != nil {
			return 0, err
		}
	}
	if len(got) == 0 {
		return 0, nil
	}
	if err := a.catchUp(ctx, &got, keep); err != nil {
		for _, s := range got {
			err = errors.Join(err, s.owner.Abandon(ctx))
		}
		return 0, err
	}
	return len(got), nil
}

// acquireAll acquires a few partitions at once.
func (a *App) acquireAll(ctx context.Context, ps []store.Partition) ([]*seat, error) {
	got, errs := make([]*seat, len(ps)), make([]error, len(ps))
	var wg sync.WaitGroup
	for i, p := range ps {
		wg.Go(func() { got[i], errs[i] = a.acquire(ctx, p) })
	}
	wg.Wait()
	var failed []error
	for _, err := range errs {
		switch {
		case err == nil:
		case !a.replicated():
			return nil, problem.Wrap(err, problem.Unavailable, "a partition of the store cannot be acquired").WithHint("does another tocsin use the same --storage.path?")
		case !errors.Is(err, store.ErrHeld):
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 && ctx.Err() == nil {
		a.log.Warn("partitions cannot be taken yet", "count", len(failed), "first", ps[0], "error", failed[0])
	}
	return slices.DeleteFunc(got, func(s *seat) bool { return s == nil }), nil
}

func (a *App) acquire(ctx context.Context, p store.Partition) (*seat, error) {
	h := flow.NewHandler(a.shared)
	s := &seat{p: p, handler: h, done: make(chan struct{}),
		owner: partition.New(partition.Options{Store: a.store, Partition: p, Handler: h, Now: a.o.Now, Renew: a.renew(), Logger: a.log})}
	if err := s.owner.Acquire(ctx); err != nil {
		return nil, err
	}
	if a.replicated() && p == store.PartitionOf(a.server.Tickets.Subject()) {
		if err := a.server.Tickets.Register.Reload(ctx); err != nil { // another process may have been its writer
			return nil, errors.Join(err, s.owner.Abandon(ctx))
		}
	}
	return s, nil
}

// renew is how often owners renew their leases; 0: the owner's default.
func (a *App) renew() time.Duration {
	if a.replicated() {
		return leaseTime / 3
	}
	return 0
}

// catchUp hands the journal's tail, from the seats' checkpoints on, to their
// owners and serves them from the very next batch on.
func (a *App) catchUp(ctx context.Context, got *[]*seat, keep func() error) error {
	from, any := oldest(*got)
	spans := knownSources(*got)
	var since time.Time // batches received before it are in every state
	if a.replicated() {
		// By time and from the journal's start: a position of ours may have been given
		// back meanwhile, while another replica served the partition.
		from, since = journal.Position{}, a.needed(*got)
	}
	began, records := a.o.Now(), 0
	tail := func(upTo *journal.Position) error {
		if !any {
			return nil
		}
		return a.journal.Replay(ctx, from, func(end journal.Position, r journal.Record) error {
			if upTo != nil && upTo.Before(end) {
				return nil // it is about to be handed on as it comes
			}
			if err := keep(); err != nil {
				return err
			}
			if r.At.Before(since) {
				from = end
				return nil
			}
			b, err := a.decode(r)
			if err != nil {
				return err
			}
			records++
			from = end
			switch b := b.(type) {
			case *samples.Batch:
				a.post(*got, a.parts(b), b, end)
			case *tracing.Batch:
				a.postSpans(spans, a.spanParts(b), b, end, func(p store.Partition) (flow.Seat, bool) { return among(*got, p) })
			}
			return nil
		})
	}
	if err := tail(nil); err != nil { // most of it, while batches go on arriving
		return err
	}
	a.intake.mu.Lock()
	defer a.intake.mu.Unlock()
	if a.replicated() {
		handed := a.intake.handed()
		if err := tail(&handed); err != nil { // the rest, while they wait
			return err
		}
	}
	a.spans.know(spans)
	for _, s := range *got {
		a.serve(s)
	}
	if any {
		a.log.Info("the journal's tail was replayed", "requests", records, "partitions", len(*got), "took", a.o.Now().Sub(began).String())
	}
	return nil
}

// serve lets a seat's owner run until it is stopped or its lease is lost.
func (a *App) serve(s *seat) {
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	a.seats.mu.Lock()
	a.seats.held[s.p] = s
	a.seats.mu.Unlock()
	a.shared.Bind(s.p, s.owner, s.handler)
	a.seats.wg.Go(func() {
		defer close(s.done)
		err := s.owner.Run(run)
		stop()
		a.shared.Unbind(s.p, s.owner)
		a.seats.mu.Lock()
		if a.seats.held[s.p] == s {
			delete(a.seats.held, s.p)
		}
		a.seats.mu.Unlock()
		a.intake.waiting.Add(-s.handler.Waiting.Swap(0)) // what was posted and dropped: whoever serves it next replays it
		s.handler.Left()
		switch {
		case err == nil:
		case a.replicated():
			a.log.Warn("a partition is not served here any more", logkey.Partition, s.p, "error", err)
		default:
			a.log.Error("a partition is not served any more", "error", err)
			a.fail(err)
		}
	})
}

// leave gives seats back: each finishes what was posted, writes its state and
// releases its lease.
func (a *App) leave(list []*seat) {
	a.intake.mu.Lock() // from here on no batch is for them
	at := a.intake.handed()
	for _, s := range list {
		s.handler.Until(at)
	}
	a.intake.mu.Unlock()
	for _, s := range list {
		s.stop()
	}
	for _, s := range list {
		<-s.done
	}
}

// oldest is where the journal is needed from by seats; ok is false when none of
// them has a tenant.
func oldest(list []*seat) (at journal.Position, ok bool) {
	for _, s := range list {
		if o, has := s.handler.Oldest(); has && (!ok || o.Before(at)) {
			at, ok = o, true
		}
	}
	return at, ok
}

// needed is from when on seats need what the journal holds: since the earliest of
// their states, or as long as the journal is kept for partitions of others.
func (a *App) needed(list []*seat) time.Time {
	at, found := a.o.Now().Add(-keepForOthers), false
	for _, s := range list {
		if t, ok := s.handler.Since(); ok && (!found || t.Before(at)) {
			at, found = t, true
		}
	}
	return at
}

// post hands each seat its part of a batch.
func (a *App) post(list []*seat, parts map[store.Partition][]samples.Series, b *samples.Batch, at journal.Position) {
	heard := senders.BySource(b, a.environmentOf)
	for _, s := range list {
		if by := heard[s.p]; len(by) > 0 {
			s.owner.Post(func(tx *partition.Tx) error { return s.handler.Hear(tx, by, at) })
		}
		if series := parts[s.p]; len(series) > 0 {
			a.handTo(s.owner, s.handler, series, b, at)
		}
	}
}

func (a *App) handTo(o *partition.Owner, h *flow.Handler, series []samples.Series, b *samples.Batch, at journal.Position) {
	n := int64(0)
	for _, s := range series {
		n += int64(len(s.Samples))
	}
	a.intake.waiting.Add(n)
	h.Waiting.Add(n)
	done := func() { a.intake.waiting.Add(-n); h.Waiting.Add(-n) }
	ok := o.Post(func(tx *partition.Tx) error {
		done()
		return h.Ingest(tx, b, series, at)
	})
	if !ok {
		done()
	}
}
