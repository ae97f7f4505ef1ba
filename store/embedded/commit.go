package embedded

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// Commit implements store.Lease. A commit is a sign of life: it extends the
// lease. One whose outcome is not known within CommitTimeout gives its error and
// takes the lease away: the next owner reads what came of it.
func (l *lease) Commit(ctx context.Context, b store.Batch) error {
	began := time.Now() // for the histogram only
	out, err := b.Outgoing()
	if err != nil {
		return l.s.metrics.Outcome(err)
	}
	if b.Empty() {
		return l.s.metrics.Outcome(l.Renew(ctx))
	}
	if l.s.full.Load() || l.s.guard.Below(0.25) {
		return l.s.metrics.Outcome(l.s.noSpace())
	}
	entries := slices.Clone(b.Ledger) // the write may outlast this call
	l.timed = l.timed && len(b.Timers) == 0
	started, err := l.s.write(ctx, targets(l.p, out), func(t *tx) error {
		if err := l.live(true); err != nil {
			return err
		}
		return t.fill(l.p, b, entries, out)
	})
	if started {
		l.give()
	}
	if err != nil {
		return l.s.metrics.Outcome(err)
	}
	copy(b.Ledger, entries)
	l.s.metrics.Commit.Observe(time.Since(began).Seconds())
	return nil
}

// fill writes batch b of partition p.
func (t *tx) fill(p store.Partition, b store.Batch, entries []ledger.Entry, out []store.Message) error {
	if err := t.consume(p, b.Consumed); err != nil {
		return err
	}
	for _, k := range b.Deletes {
		if err := t.b.Delete(recordKey(p, k.Collection, k.Key), nil); err != nil {
			return err
		}
	}
	for _, r := range b.Puts {
		if err := t.b.Set(recordKey(p, r.Collection, r.Key), cell.EncodeRecord(r), nil); err != nil {
			return err
		}
	}
	if err := t.setTimers(p, b.Timers); err != nil {
		return err
	}
	if err := t.log(p, entries); err != nil {
		return err
	}
	for _, m := range out {
		if err := t.offer(m.To, m.Input); err != nil {
			return err
		}
	}
	return nil
}

// consume takes inputs out of the inbox and remembers their ids.
func (t *tx) consume(p store.Partition, inputs []store.Input) error {
	if len(inputs) == 0 {
		return nil
	}
	now, done := t.s.o.Now(), map[string]bool{}
	for _, in := range inputs {
		c, known, err := t.s.get(idKey(p, 'd', in.ID))
		if err != nil {
			return err
		}
		if !known || done[in.ID] {
			continue
		}
		state, seq, err := decodeID(c)
		if err != nil {
			return err
		}
		if state != idHeld {
			continue
		}
		done[in.ID] = true
		m := t.meta(p)
		if err := t.b.Delete(numKey(p, 'q', seq), nil); err != nil {
			return err
		}
		if err := t.b.Set(idKey(p, 'd', in.ID), encodeID(idConsumed, m.Consumed), nil); err != nil {
			return err
		}
		if err := t.b.Set(numKey(p, 'o', m.Consumed), encodeConsumed(now, in.ID), nil); err != nil {
			return err
		}
		m.Consumed++
	}
	return t.forget(p, now, 2*len(inputs)+8)
}

// forget drops at most n ids that need not be remembered any longer.
func (t *tx) forget(p store.Partition, now time.Time, n int) error {
	pt := &t.s.parts[p]
	for m := t.meta(p); n > 0 && m.Consumed-m.Oldest > store.RememberCount; n-- {
		if !pt.oldest.IsZero() && now.Sub(pt.oldest) <= store.RememberFor {
			return nil
		}
		c, ok, err := t.s.get(numKey(p, 'o', m.Oldest))
		if err != nil {
			return err
		}
		if ok {
			at, id, err := decodeConsumed(c)
			if err != nil {
				return err
			}
			if now.Sub(at) <= store.RememberFor {
				pt.oldest = at
				return nil
			}
			if err := t.b.Delete(idKey(p, 'd', id), nil); err != nil {
				return err
			}
			if err := t.b.Delete(numKey(p, 'o', m.Oldest), nil); err != nil {
				return err
			}
		}
		m.Oldest++
		pt.oldest = time.Time{}
	}
	return nil
}

// setTimers sets, moves and removes; of several for one id the last counts.
func (t *tx) setTimers(p store.Partition, timers []store.Timer) error {
	last := map[string]int{}
	for i, x := range timers {
		last[x.ID] = i
	}
	for i, x := range timers {
		if last[x.ID] != i {
			continue
		}
		c, ok, err := t.s.get(idKey(p, 't', x.ID))
		if err != nil {
			return err
		}
		if ok {
			var old store.Timer
			if err := cell.DecodeJSON(c, "timer", cell.TimerVersion, &old); err != nil {
				return err
			}
			if err := t.b.Delete(timeKey(p, old.At, x.ID), nil); err != nil {
				return err
			}
		}
		if x.At.IsZero() {
			if err := t.b.Delete(idKey(p, 't', x.ID), nil); err != nil {
				return err
			}
			continue
		}
		x.At = x.At.UTC().Round(0)
		if c, err = cell.EncodeJSON("timer", cell.TimerVersion, x); err != nil {
			return err
		}
		if err := t.b.Set(idKey(p, 't', x.ID), c, nil); err != nil {
			return err
		}
		if err := t.b.Set(timeKey(p, x.At, x.ID), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// log chains entries onto the partition's ledger.
func (t *tx) log(p store.Partition, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	m := t.meta(p)
	m.Head = ledger.Chain(m.Head, entries)
	for _, e := range entries {
		c, err := cell.EncodeJSON("ledger", cell.LedgerVersion, e)
		if err != nil {
			return err
		}
		if err := t.b.Set(numKey(p, 'l', e.Seq), c, nil); err != nil {
			return err
		}
		for _, subject := range append([]string{e.Subject}, e.Refs...) {
			if err := t.b.Set(subjectKey(p, subject, e.Seq), nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
