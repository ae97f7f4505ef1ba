package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// Commit implements store.Lease. One whose outcome is not known within
// CommitTimeout gives its error and takes the lease away: the next owner reads
// what came of it.
func (l *lease) Commit(ctx context.Context, b store.Batch) error {
	began := time.Now() // for the histogram only
	out, err := b.Outgoing()
	if err != nil {
		return l.s.metrics.Outcome(err)
	}
	if b.Empty() {
		return l.s.metrics.Outcome(l.Renew(ctx))
	}
	if err := l.live(ctx); err != nil {
		return l.s.metrics.Outcome(err)
	}
	w := writing{args: []any{l.s.clock(), l.token, l.number + 1, l.s.o.LeaseTime.Microseconds(), store.RememberFor.Microseconds(), store.RememberCount, l.s.o.KeepLedger.Microseconds()}}
	entries := slices.Clone(b.Ledger)
	head := ledger.Chain(l.head, entries)
	if err := w.fill(l.p, b, entries, out); err != nil {
		return l.s.metrics.Outcome(err)
	}
	since := l.s.now()
	// Once asked for, it is pursued: ctx no longer ends it.
	answer, unknown, err := l.s.run(context.WithoutCancel(ctx), scriptCommit, append(keys(l.p, "m", "c", "q", "i", "d", "o", "t", "u", "l", "x"), w.keys...), w.args...)
	if err != nil {
		if unknown {
			_ = l.gone()
		}
		return l.s.metrics.Outcome(err)
	}
	a := texts(answer)
	switch {
	case len(a) == 0 || a[0] == "lost":
		return l.s.metrics.Outcome(l.gone())
	case a[0] == "done": // by a call whose answer was lost; the lease may be over since
		l.s.later(l.p)
	default:
		l.until = since.Add(l.s.o.LeaseTime)
	}
	l.number++
	l.head = head
	l.timed = l.timed && len(b.Timers) == 0
	copy(b.Ledger, entries)
	if w.own {
		l.s.awake(l.p)
	}
	if len(w.sent) > 0 && a[0] != "done" {
		l.s.send(context.WithoutCancel(ctx), l.p, a[1], w.sent)
	}
	l.s.metrics.Commit.Observe(time.Since(began).Seconds())
	return nil
}

// writing is a commit on its way into the script's arguments.
type writing struct {
	args        []any
	keys        []string // of the collections
	collections map[string]int
	own         bool // something goes to the own inbox
	sent        []store.Message
}

func (w *writing) add(args ...any) { w.args = append(w.args, args...) }

// fill lists batch b in the order that the script takes it.
func (w *writing) fill(p store.Partition, b store.Batch, entries []ledger.Entry, out []store.Message) error {
	w.add(len(b.Consumed))
	for _, in := range b.Consumed {
		w.add(in.ID, digest(in.ID))
	}
	w.add(len(b.Deletes))
	for _, k := range b.Deletes {
		w.add(w.collection(p, k.Collection), k.Key)
	}
	w.add(len(b.Puts))
	for _, r := range b.Puts {
		w.add(w.collection(p, r.Collection), r.Key, cell.EncodeRecord(r))
	}
	if err := w.timers(b.Timers); err != nil {
		return err
	}
	if err := w.log(entries); err != nil {
		return err
	}
	return w.messages(p, out)
}

// collection gives the number of a collection's keys among the script's.
func (w *writing) collection(p store.Partition, name string) int {
	n, ok := w.collections[name]
	if !ok {
		if w.collections == nil {
			w.collections = map[string]int{}
		}
		n = len(w.collections) + 1
		w.collections[name] = n
		w.keys = append(w.keys, keys(p, "r:"+name, "k:"+name)...)
	}
	return n
}

// timers sets, moves and removes; of several for one id the last counts, since
// the script takes them in order.
func (w *writing) timers(timers []store.Timer) error {
	w.add(len(timers))
	for _, t := range timers {
		if t.At.IsZero() {
			w.add(t.ID, "", "")
			continue
		}
		t.At = t.At.UTC().Round(0)
		c, err := cell.EncodeJSON("timer", cell.TimerVersion, t)
		if err != nil {
			return err
		}
		w.add(t.ID, timeKey(t.At), c)
	}
	return nil
}

// log adds entries that are chained already.
func (w *writing) log(entries []ledger.Entry) error {
	w.add(len(entries))
	for _, e := range entries {
		c, err := cell.EncodeJSON("ledger", cell.LedgerVersion, e)
		if err != nil {
			return err
		}
		subjects := append([]string{e.Subject}, e.Refs...)
		slices.Sort(subjects)
		subjects = slices.Compact(subjects)
		w.add(strconv.FormatUint(e.Seq, 10), e.Hash, c, len(subjects))
		for _, subject := range subjects {
			w.add(subjectKey(subject, e.Seq))
		}
	}
	return nil
}

func (w *writing) messages(p store.Partition, out []store.Message) error {
	var own, other []any
	for _, m := range out {
		c, err := cell.EncodeInput(m.Input)
		if err != nil {
			return err
		}
		if m.To == p {
			own = append(own, m.Input.ID, digest(m.Input.ID), c)
			continue
		}
		other = append(other, encodeSent(m.To, c))
		w.sent = append(w.sent, m)
	}
	w.own = len(own) > 0
	w.add(len(own) / 3)
	w.add(own...)
	w.add(len(other))
	w.add(other...)
	return nil
}
