package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

type lease struct {
	store *Store
	p     store.Partition
	wake  chan struct{}
	until time.Time // guarded by store.mu
}

// enter locks the store for the lease's owner and gives its partition.
func (l *lease) enter(ctx context.Context) (*part, time.Time, error) {
	if err := l.store.enter(ctx); err != nil {
		return nil, time.Time{}, err
	}
	pt, now := &l.store.parts[l.p], l.store.o.Now()
	if pt.lease != l || !now.Before(l.until) {
		l.store.mu.Unlock()
		return nil, now, problem.Wrap(store.ErrLeaseLost, problem.Conflict, "partition %d is no longer ours", l.p)
	}
	return pt, now, nil
}

// Partition implements store.Lease.
func (l *lease) Partition() store.Partition { return l.p }

// Wake implements store.Lease.
func (l *lease) Wake() <-chan struct{} { return l.wake }

// Inputs implements store.Lease.
func (l *lease) Inputs(ctx context.Context, limit int) ([]store.Input, error) {
	pt, _, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	out := slices.Clone(pt.inbox[:min(len(pt.inbox), limitOr(limit, 256))])
	for i := range out {
		out[i].Payload = slices.Clone(out[i].Payload)
	}
	return out, nil
}

// Due implements store.Lease.
func (l *lease) Due(ctx context.Context, now time.Time) ([]store.Timer, error) {
	pt, _, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	out := []store.Timer{}
	for _, t := range pt.timers {
		if !t.At.After(now) {
			t.Payload = slices.Clone(t.Payload)
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b store.Timer) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out[:min(len(out), 256)], nil
}

// Next implements store.Lease.
func (l *lease) Next(ctx context.Context) (at time.Time, ok bool, err error) {
	pt, _, err := l.enter(ctx)
	if err != nil {
		return at, false, err
	}
	defer l.store.mu.Unlock()
	for _, t := range pt.timers {
		if !ok || t.At.Before(at) {
			at, ok = t.At, true
		}
	}
	return at, ok, nil
}

// Renew implements store.Lease.
func (l *lease) Renew(ctx context.Context) error {
	_, now, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	l.until = now.Add(l.store.o.LeaseTime)
	return nil
}

// Release implements store.Lease.
func (l *lease) Release(context.Context) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if pt := &l.store.parts[l.p]; pt.lease == l {
		pt.lease = nil
	}
	return nil
}

// Commit implements store.Lease. A commit is a sign of life: it extends the lease.
func (l *lease) Commit(ctx context.Context, b store.Batch) error {
	sends, err := b.Outgoing()
	if err != nil {
		return err
	}
	pt, now, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	l.until = now.Add(l.store.o.LeaseTime)
	pt.consume(b.Consumed, now)
	for _, k := range b.Deletes {
		if c := pt.records[k.Collection]; c != nil {
			delete(c.byKey, k.Key)
			c.keys = nil
		}
	}
	for _, r := range b.Puts {
		pt.put(r)
	}
	for _, t := range b.Timers {
		delete(pt.timers, t.ID)
		if !t.At.IsZero() {
			t.At, t.Payload = t.At.UTC().Round(0), slices.Clone(t.Payload)
			pt.timers[t.ID] = t
		}
	}
	pt.head = ledger.Chain(pt.head, b.Ledger)
	for _, e := range b.Ledger {
		e.Refs, e.Data = slices.Clone(e.Refs), slices.Clone(e.Data)
		pt.entries = append(pt.entries, e)
	}
	for _, m := range sends {
		l.store.parts[m.To].offer(m.Input)
	}
	return nil
}

func (pt *part) consume(inputs []store.Input, now time.Time) {
	for _, in := range inputs {
		if !pt.held[in.ID] {
			continue
		}
		delete(pt.held, in.ID)
		pt.consumed[in.ID] = true
		pt.order = append(pt.order, consumedID{id: in.ID, at: now})
	}
	pt.inbox = slices.DeleteFunc(pt.inbox, func(in store.Input) bool { return pt.consumed[in.ID] })
	for len(pt.order) > store.RememberCount && now.Sub(pt.order[0].at) > store.RememberFor {
		delete(pt.consumed, pt.order[0].id)
		pt.order = pt.order[1:]
	}
}

func (pt *part) put(r store.Record) {
	c := pt.records[r.Collection]
	if c == nil {
		c = &collection{byKey: map[string]store.Record{}}
		pt.records[r.Collection] = c
	}
	if _, known := c.byKey[r.Key]; !known {
		c.keys = nil
	}
	r.Value = slices.Clone(r.Value)
	c.byKey[r.Key] = r
}
