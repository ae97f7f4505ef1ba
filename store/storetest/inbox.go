package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

func offerOnce(h *home) {
	h.offer(7, "a", "a")
	h.offer(8, "a") // ids belong to their partition
	l := h.acquire(7)
	in := h.inputs(l)
	require.Equal(h, []string{"a"}, ids(in))
	want := h.input("a")
	require.JSONEq(h, string(want.Payload), string(in[0].Payload))
	require.True(h, want.At.Equal(in[0].At))
	want.Payload, want.At, want.Seq = in[0].Payload, in[0].At, in[0].Seq
	require.Equal(h, want, in[0])

	h.commit(l, store.Batch{Consumed: in})
	h.offer(7, "a")
	require.Empty(h, h.inputs(l))
	h.commit(l, store.Batch{Consumed: in}) // again: changes nothing
	h.offer(7, "b")
	require.Equal(h, []string{"b"}, ids(h.inputs(l)))
	require.Equal(h, []string{"a"}, h.inbox(8))
}

func idsRemembered(h *home) {
	l := h.acquire(7)
	consume := func(from, n int) {
		var b store.Batch
		for i := from; i < from+n; i++ {
			b.Messages = append(b.Messages, store.Message{To: 7, Input: h.input(fmt.Sprint("id", i))})
		}
		h.commit(l, b)
		in, err := l.Inputs(h.ctx(), n)
		require.NoError(h, err)
		require.Len(h, in, n)
		h.commit(l, store.Batch{Consumed: in})
	}
	known := func(id string) bool {
		h.offer(7, id)
		in := h.inputs(l)
		if len(in) == 0 {
			return true
		}
		require.Equal(h, []string{id}, ids(in))
		return false
	}
	consume(0, 10)
	h.clock.advance(48 * time.Hour) // old, but among the last 10,000
	l = h.acquire(7)
	consume(10, 9_000)
	require.True(h, known("id0"))
	h.clock.advance(23 * time.Hour)
	l = h.acquire(7)
	consume(9_010, 9_000) // the 9,000 before are no longer among the last 10,000, but young
	require.True(h, known("id10"))
	require.True(h, known("id9009"))
	require.True(h, known("id18009"))
}

func inputsInOrder(h *home) {
	var want []string
	for i := range 300 {
		id := fmt.Sprint(i * 7919 % 300)
		want = append(want, id)
		h.offer(7, id)
	}
	l := h.acquire(7)
	require.Equal(h, want[:256], ids(h.inputs(l)))
	in, err := l.Inputs(h.ctx(), 3)
	require.NoError(h, err)
	require.Equal(h, want[:3], ids(in))
	require.Less(h, in[0].Seq, in[1].Seq)
	require.Less(h, in[1].Seq, in[2].Seq)
	h.commit(l, store.Batch{Consumed: in[1:2]}) // out of turn
	in, err = l.Inputs(h.ctx(), 3)
	require.NoError(h, err)
	require.Equal(h, []string{want[0], want[2], want[3]}, ids(in))
}

func inputRefused(h *home) {
	nameless, garbled := h.input(""), h.input("a")
	garbled.Payload = json.RawMessage(`{"half":`)
	require.True(h, problem.Is(h.s.Offer(h.ctx(), 7, nameless), problem.Invalid))
	require.True(h, problem.Is(h.s.Offer(h.ctx(), 7, garbled), problem.Invalid))
	bare := h.input("bare")
	bare.Payload = nil
	require.NoError(h, h.s.Offer(h.ctx(), 7, bare))
	l := h.acquire(7)
	in := h.inputs(l)
	require.Equal(h, []string{"bare"}, ids(in))
	require.Empty(h, in[0].Payload)
}

func offerWakes(h *home) {
	l := h.acquire(7)
	drain(l)
	h.offer(7, "a", "b", "c") // never blocks, though nobody listens
	awake(h, l)
	drain(l)
	other := h.acquire(8)
	h.commit(other, store.Batch{Messages: []store.Message{{To: 7, Input: h.input("d")}}})
	awake(h, l)
}

func drain(l store.Lease) {
	select {
	case <-l.Wake():
	default:
	}
}

func awake(h *home, l store.Lease) {
	h.Helper()
	select {
	case <-l.Wake():
	case <-time.After(10 * time.Second):
		require.Fail(h, "the owner was not woken")
	}
}

func messagesOnce(h *home) {
	l := h.acquire(7)
	b := store.Batch{Messages: []store.Message{
		{To: 8, Input: h.input("a")}, {To: 8, Input: h.input("b")}, {To: 8, Input: h.input("a")},
		{To: 7, Input: h.input("a")}, {To: 255, Input: h.input("a")},
	}}
	h.commit(l, b)
	h.commit(l, b) // the same decision once more, as after a restart
	require.Equal(h, []string{"a"}, ids(h.inputs(l)))
	require.Equal(h, []string{"a", "b"}, h.inbox(8))
	require.Equal(h, []string{"a"}, h.inbox(255))
	require.Empty(h, h.inbox(9))

	h.commit(l, store.Batch{Consumed: h.inputs(l), Messages: []store.Message{{To: 7, Input: h.input("a")}, {To: 7, Input: h.input("next")}}})
	require.Equal(h, []string{"next"}, ids(h.inputs(l)))
}

func effectsReach(h *home) {
	l := h.acquire(7)
	named := h.input("b")
	bare := h.input("a")
	bare.Kind = ""
	h.commit(l, store.Batch{Effects: []store.Effect{{Destination: "itsm/rt", Input: bare}, {Destination: "itsm/rt", Input: named}}})
	home := store.PartitionOf(store.DestinationSubject("itsm/rt"))
	require.NoError(h, l.Release(h.ctx()))
	in := h.inputs(h.acquire(home))
	require.Equal(h, []string{"a", "b"}, ids(in))
	require.Equal(h, "effect", in[0].Kind)
	require.Equal(h, named.Kind, in[1].Kind)
}

// offersConcurrent offers from many goroutines, each id twice, while an owner
// consumes, counts in a record and passes every input on to another partition.
func offersConcurrent(h *home) {
	const senders, each = 8, 100
	ctx, cancel := context.WithTimeout(h.ctx(), time.Minute)
	defer cancel()
	l := h.acquire(7)
	var wg sync.WaitGroup
	errs := make(chan error, senders*each*2)
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d/%d", s, i)
				errs <- h.s.Offer(ctx, 7, h.input(id))
				errs <- h.s.Offer(ctx, 7, h.input(fmt.Sprintf("%d/%d", s, i/2)))
			}
		})
	}
	seen := map[string]int{}
	for len(seen) < senders*each {
		in, err := l.Inputs(ctx, 0)
		require.NoError(h, err)
		if len(in) == 0 {
			select {
			case <-l.Wake():
			case <-ctx.Done():
				require.Fail(h, "inputs were lost", "%d of %d came", len(seen), senders*each)
			}
			continue
		}
		b := store.Batch{Consumed: in}
		for _, i := range in {
			seen[i.ID]++
			b.Messages = append(b.Messages, store.Message{To: 8, Input: h.input(i.ID)})
		}
		require.NoError(h, l.Commit(ctx, b))
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(h, err)
	}
	require.Empty(h, h.inputs(l))
	for id, n := range seen {
		require.Equal(h, 1, n, id)
	}
	target := h.acquire(8)
	in, err := target.Inputs(ctx, 2*senders*each)
	require.NoError(h, err)
	require.Len(h, in, senders*each)
	for i := 1; i < len(in); i++ {
		require.Less(h, in[i-1].Seq, in[i].Seq)
	}
}

func sendersCross(h *home) {
	const rounds = 50
	ctx, cancel := context.WithTimeout(h.ctx(), time.Minute)
	defer cancel()
	ps := []store.Partition{1, 2, 3, 4}
	var wg sync.WaitGroup
	errs := make(chan error, len(ps)*rounds)
	for _, p := range ps {
		l := h.acquire(p)
		wg.Go(func() {
			for i := range rounds {
				var b store.Batch
				for k := range ps { // every owner in an order of its own
					to := ps[(k+int(p))%len(ps)]
					b.Messages = append(b.Messages, store.Message{To: to, Input: h.input(fmt.Sprintf("%d-%d", p, i))})
				}
				errs <- l.Commit(ctx, b)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(h, err)
	}
	h.clock.advance(h.o.LeaseTime + time.Second)
	for _, p := range ps {
		require.Len(h, h.inbox(p), len(ps)*rounds)
	}
}
