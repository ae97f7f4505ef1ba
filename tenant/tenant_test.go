package tenant

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

func TestIDs(t *testing.T) {
	for _, ok := range []string{"acme", "A-1_b.c", "!*'()", strings.Repeat("x", 150)} {
		_, err := ParseID(ok)
		require.NoError(t, err, ok)
	}
	for _, bad := range []string{"", ".", "..", "_product", "__mimir_cluster", "a|b", "a/b", "ä", "a b", "a\n", strings.Repeat("x", 151)} {
		_, err := ParseID(bad)
		require.True(t, problem.Is(err, problem.Invalid), "%q", bad)
		if len(bad) > 3 {
			require.NotContains(t, err.Error(), bad, "a rejected value is not repeated")
		}
	}
}

func TestNormalise(t *testing.T) {
	now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.FixedZone("x", 3600))
	got, err := Tenant{ID: "acme", Features: []string{"b", "a", "b"}}.Normalise(now)
	require.NoError(t, err)
	require.Equal(t, "acme", got.Name)
	require.Equal(t, Live, got.State)
	require.Equal(t, "UTC", got.Timezone)
	require.Equal(t, []string{"a", "b"}, got.Features)
	require.NotNil(t, got.Countries)
	require.Equal(t, now.UTC(), got.OnboardedAt)
	again, err := got.Normalise(now.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, got, again, "normalising twice changes nothing")
	for name, bad := range map[string]Tenant{
		"zone": {ID: "a", Timezone: "Mars/Olympus"}, "state": {ID: "a", State: "gone"}, "volume": {ID: "a", ExpectedTPM: -1},
		"feature": {ID: "a", Features: []string{"Refunds"}}, "name": {ID: "a", Name: strings.Repeat("x", 201)},
	} {
		_, err := bad.Normalise(now)
		require.True(t, problem.Is(err, problem.Invalid), name)
	}
	require.False(t, Tenant{State: Paused}.Watched())
	require.True(t, Tenant{State: Onboarding}.Watched())
}
