package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

func TestMembersLiveWhileTheyBeat(t *testing.T) {
	nodes := peer.StartRedisCluster(t)
	a, b := open(t, redis.Options{Name: "a"}, nodes...), open(t, redis.Options{Name: "b"}, nodes...)
	beat := func(s *redis.Store, ttl time.Duration, leaving bool) (ids []string) {
		t.Helper()
		members, err := s.Beat(t.Context(), store.Member{ID: s.Name(), URL: "http://" + s.Name(), Version: "v1", Leaving: leaving}, ttl)
		require.NoError(t, err)
		for _, m := range members {
			require.Equal(t, "http://"+m.ID, m.URL)
			ids = append(ids, m.ID)
			if m.ID == s.Name() {
				require.Equal(t, leaving, m.Leaving)
			}
		}
		return ids
	}
	require.Equal(t, []string{"a"}, beat(a, time.Minute, false))
	require.Equal(t, []string{"a", "b"}, beat(b, time.Minute, true))
	require.NoError(t, b.Leave(t.Context(), "b"))
	require.Equal(t, []string{"a"}, beat(a, time.Minute, false))
	require.Equal(t, []string{"a", "b"}, beat(b, time.Minute, false))
	require.Eventually(t, func() bool { return len(beat(a, 300*time.Millisecond, false)) == 1 }, 10*time.Second, 100*time.Millisecond, "b is silent")

	l := acquire(t, a, 7)
	at := time.Now().UTC().Truncate(time.Millisecond)
	require.NoError(t, b.Offer(t.Context(), 7, store.Input{ID: "first", At: at}))
	require.NoError(t, b.Offer(t.Context(), 7, store.Input{ID: "second", At: at.Add(time.Second)}))
	holds, err := b.Holders(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Hold{Holder: "a", Waiting: 2, Oldest: at}, holds[7])
	require.Zero(t, holds[8])
	holder, err := b.Holder(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, "a", holder)
	require.NoError(t, l.Release(t.Context()))
	holder, err = b.Holder(t.Context(), 7)
	require.NoError(t, err)
	require.Empty(t, holder)
}
