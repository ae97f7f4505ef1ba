package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/redis"
	"github.com/tocsin-alerting/tocsin/store/storetest"
)

func open(t testing.TB, o redis.Options, nodes ...*peer.Redis) *redis.Store {
	t.Helper()
	for _, n := range nodes {
		o.Addresses = append(o.Addresses, n.Addr)
	}
	s, err := redis.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformance(t *testing.T) {
	for name, nodes := range map[string][]*peer.Redis{"server": {peer.StartRedis(t)}, "cluster": peer.StartRedisCluster(t)} {
		t.Run(name, func(t *testing.T) {
			storetest.RunWith(t, func(t *testing.T, clock func() time.Time) store.Store {
				peer.FlushRedis(t, nodes...)
				return open(t, redis.Options{Now: clock, LeaseTime: 10 * time.Second}, nodes...)
			}, storetest.Options{Reopen: func(t *testing.T, clock func() time.Time, _ store.Store) store.Store {
				return open(t, redis.Options{Now: clock, LeaseTime: 10 * time.Second}, nodes...)
			}})
		})
	}
}
