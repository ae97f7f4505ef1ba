package redis

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// What an outbox could not be emptied of is older than the next commit's messages:
// these wait behind it, also while nobody is trying.
func TestWhatStaysInAnOutboxIsNotOvertaken(t *testing.T) {
	server := peer.StartRedis(t, "--appendfsync", "everysec")
	s, err := Open(t.Context(), Options{Addresses: []string{server.Addr}, Relaxed: true})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	require.NoError(t, s.c.HSet(t.Context(), prefixes[7]+"o", "1", "damaged").Err())
	require.Error(t, s.empty(t.Context(), 7, true))
	require.True(t, s.parts[7].late.Load())
	require.NoError(t, s.c.Del(t.Context(), prefixes[7]+"o").Err())
	require.NoError(t, s.empty(t.Context(), 7, true))
	require.False(t, s.parts[7].late.Load())
}
