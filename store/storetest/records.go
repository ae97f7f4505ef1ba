package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

func recordLife(h *home) {
	l := h.acquire(7)
	_, ok, err := h.s.Record(h.ctx(), 7, "c", "k")
	require.NoError(h, err)
	require.False(h, ok)
	for _, value := range []string{"one", "two", "", "\x00\xff binary"} {
		h.commit(l, store.Batch{Puts: []store.Record{put("c", "k", value)}})
		r, ok, err := h.s.Record(h.ctx(), 7, "c", "k")
		require.NoError(h, err)
		require.True(h, ok)
		require.Equal(h, value, string(r.Value))
		require.Equal(h, []any{"c", "k", "thing", 2}, []any{r.Collection, r.Key, r.Kind, r.Version})
	}
	h.commit(l, store.Batch{Deletes: []store.RecordKey{{Collection: "c", Key: "k"}, {Collection: "c", Key: "never was"}}})
	_, ok, err = h.s.Record(h.ctx(), 7, "c", "k")
	require.NoError(h, err)
	require.False(h, ok)
	require.Empty(h, h.keys(7, "c", "", 0))
	require.NotNil(h, h.keys(7, "c", "", 0))
}

func recordsListed(h *home) {
	l := h.acquire(7)
	want := []string{"a", "a\x00", "a\x00\xff", "a/b", "aa", "b", "\xff", "\xff\xff"}
	var b store.Batch
	for _, k := range want {
		b.Puts = append(b.Puts, put("c", k, k))
	}
	slices.Reverse(b.Puts)
	h.commit(l, b)
	require.Equal(h, want, h.keys(7, "c", "", 0))
	require.Equal(h, want[:3], h.keys(7, "c", "", 3))
	require.Equal(h, want[1:], h.keys(7, "c", "a", 0))
	require.Equal(h, want[4:], h.keys(7, "c", "a/b", 0))
	require.Equal(h, want[4:], h.keys(7, "c", "a/c", 0)) // a cursor need not exist
	require.Empty(h, h.keys(7, "c", "\xff\xff", 0))

	b = store.Batch{}
	for i := range 1200 {
		b.Puts = append(b.Puts, put("many", fmt.Sprintf("%04d", i), "v"))
	}
	h.commit(l, b)
	first := h.keys(7, "many", "", 0)
	require.Len(h, first, 1000)
	require.Equal(h, "0999", first[999])
	require.Len(h, h.keys(7, "many", "0999", 0), 200)
}

func recordsApart(h *home) {
	l, other := h.acquire(7), h.acquire(8)
	names := []string{"a", "a\x00", "a\x00b", "ab", "b"}
	for _, c := range names {
		h.commit(l, store.Batch{Puts: []store.Record{put(c, "k", "in "+c)}})
	}
	h.commit(other, store.Batch{Puts: []store.Record{put("a", "z", "v")}})
	for _, c := range names {
		require.Equal(h, []string{"k"}, h.keys(7, c, "", 0), "%q", c)
		r, ok, err := h.s.Record(h.ctx(), 7, c, "k")
		require.NoError(h, err)
		require.True(h, ok)
		require.Equal(h, "in "+c, string(r.Value))
	}
	require.Equal(h, []string{"z"}, h.keys(8, "a", "", 0))
}

func commitWhole(h *home) {
	h.offer(7, "a")
	l := h.acquire(7)
	spoil := []func(b *store.Batch){
		func(b *store.Batch) { b.Messages = append(b.Messages, store.Message{To: 8, Input: h.input("")}) },
		func(b *store.Batch) { b.Effects = append(b.Effects, store.Effect{Input: h.input("x")}) },
		func(b *store.Batch) { b.Puts = append(b.Puts, put("", "k", "v")) },
		func(b *store.Batch) { b.Puts = append(b.Puts, put("c", "", "v")) },
		func(b *store.Batch) { b.Timers = append(b.Timers, store.Timer{At: h.clock.Now()}) },
		func(b *store.Batch) { b.Ledger = append(b.Ledger, ledger.Entry{Data: json.RawMessage(`{`)}) },
	}
	for i, f := range spoil {
		b := everything(h)
		b.Consumed = h.inputs(l)
		f(&b)
		require.True(h, problem.Is(l.Commit(h.ctx(), b), problem.Invalid), "case %d", i)
		nothingWritten(h, l, "a")
	}
	b := everything(h)
	b.Consumed = h.inputs(l)
	h.commit(l, b)
	require.Equal(h, []string{"k"}, h.keys(7, "c", "", 0))
	require.Contains(h, ids(h.inputs(l)), "own")
	require.NotContains(h, ids(h.inputs(l)), "a")
	require.NoError(h, l.Commit(h.ctx(), store.Batch{}))
}

func timersLife(h *home) {
	l := h.acquire(7)
	now := h.clock.Now()
	next := func(want time.Time, is bool) {
		h.Helper()
		at, ok, err := l.Next(h.ctx())
		require.NoError(h, err)
		require.Equal(h, is, ok)
		require.True(h, !is || at.Equal(want), "%s is not %s", at, want)
	}
	next(now, false)
	full := store.Timer{ID: "t", At: now.Add(time.Hour), Subject: "tenant/acme", Kind: "test", Payload: json.RawMessage(`{"n":1}`)}
	h.commit(l, store.Batch{Timers: []store.Timer{full}})
	next(now.Add(time.Hour), true)
	full.At = now.Add(time.Minute + time.Nanosecond)
	h.commit(l, store.Batch{Timers: []store.Timer{full, {ID: "u", At: now.Add(time.Hour)}}})
	next(full.At, true)
	due, err := l.Due(h.ctx(), now.Add(time.Minute))
	require.NoError(h, err)
	require.Empty(h, due)
	due, err = l.Due(h.ctx(), full.At)
	require.NoError(h, err)
	require.Len(h, due, 1)
	require.JSONEq(h, `{"n":1}`, string(due[0].Payload))
	due[0].Payload = full.Payload
	require.Equal(h, full, due[0])

	full.At = now.Add(2 * time.Hour)
	h.commit(l, store.Batch{Timers: []store.Timer{{ID: "t"}, full}}) // removed and set again: the last counts
	next(now.Add(time.Hour), true)
	h.commit(l, store.Batch{Timers: []store.Timer{{ID: "u"}, {ID: "never was"}, {ID: "w", At: now}, {ID: "w"}}})
	next(full.At, true)
	h.commit(l, store.Batch{Timers: []store.Timer{{ID: "t"}}})
	next(now, false)
}

func timersDue(h *home) {
	l := h.acquire(7)
	other := h.acquire(8)
	now := h.clock.Now()
	h.commit(other, store.Batch{Timers: []store.Timer{{ID: "not ours", At: now.Add(-time.Hour)}}})
	var b store.Batch
	for i := range 300 {
		b.Timers = append(b.Timers, store.Timer{ID: fmt.Sprint(i), At: now.Add(time.Duration(i*7919%300) * time.Second)})
	}
	b.Timers = append(b.Timers, store.Timer{ID: "old", At: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)},
		store.Timer{ID: "far", At: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)})
	h.commit(l, b)
	due, err := l.Due(h.ctx(), now.Add(time.Hour))
	require.NoError(h, err)
	require.Len(h, due, 256)
	require.Equal(h, "old", due[0].ID)
	for i := 1; i < len(due); i++ {
		require.False(h, due[i].At.Before(due[i-1].At))
	}
	due, err = l.Due(h.ctx(), now.Add(9*time.Second))
	require.NoError(h, err)
	require.Len(h, due, 11)
}

func ledgerChained(h *home) {
	l := h.acquire(7)
	n := 0
	entry := func() ledger.Entry {
		n++
		return ledger.Entry{At: h.clock.Now().In(time.FixedZone("x", 3600)), Subject: "tenant/acme", Kind: "test", Actor: "tocsin",
			Reason: fmt.Sprintf("<%d> & half a rune \xc3, \u2028", n), Data: json.RawMessage(`{ "html": "<b>", "n": 1.50 }`)}
	}
	for range 5 {
		h.commit(l, store.Batch{Ledger: []ledger.Entry{entry(), entry(), entry()}})
		h.clock.advance(time.Second)
	}
	require.ErrorIs(h, func() error {
		h.clock.advance(time.Hour)
		return l.Commit(h.ctx(), store.Batch{Ledger: []ledger.Entry{entry()}})
	}(), store.ErrLeaseLost)
	l = h.acquire(7)
	h.commit(l, store.Batch{Ledger: []ledger.Entry{entry()}})

	all, err := h.s.Ledger(h.ctx(), 7, "", 0, 0)
	require.NoError(h, err)
	require.Len(h, all, 16)
	head, err := ledger.Verify(ledger.Head{}, all)
	require.NoError(h, err)
	require.Equal(h, uint64(16), head.Seq)
	page, err := h.s.Ledger(h.ctx(), 7, "", 10, 3)
	require.NoError(h, err)
	require.Equal(h, all[10:13], page)
	page, err = h.s.Ledger(h.ctx(), 7, "", 16, 3)
	require.NoError(h, err)
	require.Empty(h, page)
	page, err = h.s.Ledger(h.ctx(), 8, "", 0, 0)
	require.NoError(h, err)
	require.Empty(h, page)
}

func ledgerBySubject(h *home) {
	l := h.acquire(7)
	h.commit(l, store.Batch{Ledger: []ledger.Entry{
		{Subject: "tenant/acme", Refs: []string{"page/1", "page/1", "tenant/acme"}},
		{Subject: "tenant/acme2"},
		{Subject: "incident/1", Refs: []string{"tenant/acme"}},
		{Subject: "page/1"},
	}})
	seqs := func(subject string, after uint64, limit int) []uint64 {
		out := []uint64{}
		es, err := h.s.Ledger(h.ctx(), 7, subject, after, limit)
		require.NoError(h, err)
		for _, e := range es {
			out = append(out, e.Seq)
		}
		return out
	}
	require.Equal(h, []uint64{1, 3}, seqs("tenant/acme", 0, 0))
	require.Equal(h, []uint64{3}, seqs("tenant/acme", 1, 0))
	require.Equal(h, []uint64{1}, seqs("tenant/acme", 0, 1))
	require.Equal(h, []uint64{2}, seqs("tenant/acme2", 0, 0))
	require.Equal(h, []uint64{1, 4}, seqs("page/1", 0, 0))
	require.Empty(h, seqs("tenant", 0, 0))
}
