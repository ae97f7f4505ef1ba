package redis_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

// The partition's memory stays bounded however many commits pass.
func TestMemoryStaysBounded(t *testing.T) {
	server := peer.StartRedis(t, "--appendfsync", "everysec")
	now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	s := open(t, redis.Options{Now: func() time.Time { return now }, KeepLedger: 48 * time.Hour}, server)
	used := func() int {
		n, err := strconv.Atoi(server.Command("MEMORY", "USAGE", "tocsin:{p007}:d", "SAMPLES", "0"))
		require.NoError(t, err)
		for _, k := range []string{"l", "x", "i", "q", "t", "u", "o", "c", "m", "r:count"} {
			m, _ := strconv.Atoi(server.Command("MEMORY", "USAGE", "tocsin:{p007}:"+k, "SAMPLES", "0")) // none: not there
			n += m
		}
		return n
	}
	n := 0
	round := func() {
		l := acquire(t, s, 7)
		for range 30 {
			var b store.Batch
			for range 100 {
				n++
				c := commit(n)
				c.Messages[0].To = 7
				b.Puts, b.Messages, b.Ledger = c.Puts, append(b.Messages, c.Messages...), append(b.Ledger, c.Ledger...)
				b.Messages = append(b.Messages, store.Message{To: 8, Input: c.Messages[0].Input})
			}
			b.Timers = []store.Timer{{ID: "t", At: now.Add(time.Duration(n))}}
			require.NoError(t, l.Commit(t.Context(), b))
			in, err := l.Inputs(t.Context(), 1000)
			require.NoError(t, err)
			require.NoError(t, l.Commit(t.Context(), store.Batch{Consumed: in}))
		}
		require.NoError(t, l.Release(context.Background()))
		now = now.Add(12 * time.Hour)
	}
	for range 8 {
		round()
	}
	settled := used()
	for range 8 {
		round()
	}
	require.Less(t, used(), settled*11/10, "after as many commits again")
	entries, err := s.Ledger(t.Context(), 7, "", 0, 1<<20)
	require.NoError(t, err)
	require.Less(t, len(entries), 18_000)
	require.Greater(t, len(entries), 11_000, "48 hours are kept")
	_, err = ledger.Verify(ledger.Head{Seq: entries[0].Seq - 1, Hash: entries[0].Prev}, entries)
	require.NoError(t, err)
	bySubject, err := s.Ledger(t.Context(), 7, "test", 0, 1<<20)
	require.NoError(t, err)
	require.Equal(t, entries, bySubject)
}
