package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
)

func leaseExcludes(h *home) {
	l := h.acquire(7)
	_, err := h.s.Acquire(h.ctx(), 7)
	require.ErrorIs(h, err, store.ErrHeld)
	h.acquire(8) // another partition is free
	h.clock.advance(h.o.LeaseTime * 6 / 10)
	_, err = h.s.Acquire(h.ctx(), 7)
	require.ErrorIs(h, err, store.ErrHeld)
	h.commit(l, store.Batch{Puts: []store.Record{put("c", "k", "v")}})

	var wins, held int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, err := h.s.Acquire(h.ctx(), 9)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else if errors.Is(err, store.ErrHeld) {
				held++
			}
		})
	}
	wg.Wait()
	require.Equal(h, 1, wins)
	require.Equal(h, 15, held)
}

// everything is a batch that leaves a trace in every part of partition 7.
func everything(h *home) store.Batch {
	return store.Batch{
		Puts:     []store.Record{put("c", "k", "v")},
		Timers:   []store.Timer{{ID: "t", At: h.clock.Now(), Subject: "tenant/acme", Kind: "test"}},
		Messages: []store.Message{{To: 7, Input: h.input("own")}, {To: 8, Input: h.input("other")}},
		Effects:  []store.Effect{{Destination: "itsm/x", Input: h.input("effect")}},
		Ledger:   []ledger.Entry{{At: h.clock.Now(), Subject: "tenant/acme", Kind: "test.done"}},
	}
}

// nothingWritten checks that everything left no trace; l holds partition 7.
func nothingWritten(h *home, l store.Lease, inbox ...string) {
	h.Helper()
	require.Empty(h, h.keys(7, "c", "", 0))
	require.ElementsMatch(h, inbox, ids(h.inputs(l)))
	require.Empty(h, h.inbox(8))
	require.Empty(h, h.inbox(store.PartitionOf(store.DestinationSubject("itsm/x"))))
	_, ok, err := l.Next(h.ctx())
	require.NoError(h, err)
	require.False(h, ok)
	entries, err := h.s.Ledger(h.ctx(), 7, "", 0, 0)
	require.NoError(h, err)
	require.Empty(h, entries)
}

func leaseFenced(h *home) {
	h.offer(7, "a")
	old := h.acquire(7)
	b := everything(h)
	b.Consumed = h.inputs(old)
	h.clock.advance(h.o.LeaseTime + time.Second)
	require.ErrorIs(h, old.Commit(h.ctx(), b), store.ErrLeaseLost)
	require.ErrorIs(h, old.Renew(h.ctx()), store.ErrLeaseLost)

	young := h.acquire(7)
	require.ErrorIs(h, old.Commit(h.ctx(), b), store.ErrLeaseLost)
	require.ErrorIs(h, old.Renew(h.ctx()), store.ErrLeaseLost)
	nothingWritten(h, young, "a")

	require.NoError(h, old.Release(h.ctx())) // must not free the young lease
	_, err := h.s.Acquire(h.ctx(), 7)
	require.ErrorIs(h, err, store.ErrHeld)
	h.commit(young, b)
	require.Equal(h, []string{"k"}, h.keys(7, "c", "", 0))
}

func leaseRenewed(h *home) {
	l := h.acquire(7)
	for range 5 {
		h.clock.advance(h.o.LeaseTime * 6 / 10)
		require.NoError(h, l.Renew(h.ctx()))
	}
	for range 5 {
		h.clock.advance(h.o.LeaseTime * 6 / 10)
		h.commit(l, store.Batch{Puts: []store.Record{put("c", "k", "v")}})
	}
	_, err := h.s.Acquire(h.ctx(), 7)
	require.ErrorIs(h, err, store.ErrHeld)
}

func leaseReleased(h *home) {
	l := h.acquire(7)
	require.NoError(h, l.Release(h.ctx()))
	require.NoError(h, l.Release(h.ctx()))
	require.ErrorIs(h, l.Commit(h.ctx(), everything(h)), store.ErrLeaseLost)
	require.ErrorIs(h, l.Renew(h.ctx()), store.ErrLeaseLost)
	nothingWritten(h, h.acquire(7))
}

func closedSays(h *home) {
	l := h.acquire(7)
	require.NoError(h, h.s.Close())
	require.NoError(h, h.s.Close())
	_, err := h.s.Acquire(h.ctx(), 8)
	require.ErrorIs(h, err, store.ErrClosed)
	require.ErrorIs(h, h.s.Offer(h.ctx(), 7, h.input("a")), store.ErrClosed)
	_, err = h.s.Records(h.ctx(), 7, "c", "", 0)
	require.ErrorIs(h, err, store.ErrClosed)
	_, _, err = h.s.Record(h.ctx(), 7, "c", "k")
	require.ErrorIs(h, err, store.ErrClosed)
	_, err = h.s.Ledger(h.ctx(), 7, "", 0, 0)
	require.ErrorIs(h, err, store.ErrClosed)
	_, err = l.Inputs(h.ctx(), 0)
	require.ErrorIs(h, err, store.ErrClosed)
	require.ErrorIs(h, l.Commit(h.ctx(), everything(h)), store.ErrClosed)
	require.ErrorIs(h, l.Renew(h.ctx()), store.ErrClosed)
}

func contextHonoured(h *home) {
	l := h.acquire(7)
	ctx, cancel := context.WithCancel(h.ctx())
	cancel()
	require.ErrorIs(h, h.s.Offer(ctx, 7, h.input("a")), context.Canceled)
	require.ErrorIs(h, l.Commit(ctx, everything(h)), context.Canceled)
	_, err := h.s.Records(ctx, 7, "c", "", 0)
	require.ErrorIs(h, err, context.Canceled)
	nothingWritten(h, l)
}

func survives(h *home) {
	h.offer(7, "a", "b", "c")
	l := h.acquire(7)
	b := everything(h)
	b.Consumed = h.inputs(l)[:1]
	b.Puts = append(b.Puts, put("c", "gone", "v"))
	h.commit(l, b)
	h.commit(l, store.Batch{Deletes: []store.RecordKey{{Collection: "c", Key: "gone"}}})
	require.NoError(h, h.s.Close())
	h.s = h.o.Reopen(h.T, h.clock.Now, h.s)

	l = h.acquire(7) // a lease does not outlive the process that held it
	require.Equal(h, []string{"b", "c", "own"}, ids(h.inputs(l)))
	h.offer(7, "a", "b", "own", "d") // consumed and held ids are still known
	in := h.inputs(l)
	require.Equal(h, []string{"b", "c", "own", "d"}, ids(in))
	require.Greater(h, in[3].Seq, in[2].Seq)
	require.Equal(h, []string{"other"}, h.inbox(8))
	r, ok, err := h.s.Record(h.ctx(), 7, "c", "k")
	require.NoError(h, err)
	require.True(h, ok)
	require.Equal(h, put("c", "k", "v"), r)
	require.Equal(h, []string{"k"}, h.keys(7, "c", "", 0))
	due, err := l.Due(h.ctx(), h.clock.Now())
	require.NoError(h, err)
	require.Len(h, due, 1)
	h.commit(l, store.Batch{Ledger: []ledger.Entry{{Subject: "tenant/acme", Kind: "test.again"}}})
	entries, err := h.s.Ledger(h.ctx(), 7, "", 0, 0)
	require.NoError(h, err)
	require.Len(h, entries, 2)
	_, err = ledger.Verify(ledger.Head{}, entries)
	require.NoError(h, err)
}
