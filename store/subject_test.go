package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/store"
)

func TestANamedSubjectIsTakenApartAsItWasMade(t *testing.T) {
	for _, want := range [][2]string{{"production", "payments"}, {"pro/duction %", "a/b%2F"}, {"", ""}} {
		environment, name, ok := store.CutNamed(store.NamedSubject("pool", want[0], want[1]))
		require.True(t, ok)
		require.Equal(t, want, [2]string{environment, name})
	}
	require.Equal(t, "source/pro%2Fduction/agent", store.NamedSubject("source", "pro/duction", "agent"), "stored records have it as their key")
	for _, no := range []string{"", "pool/production", "pool/%zz/payments"} {
		_, _, ok := store.CutNamed(no)
		require.False(t, ok, no)
	}
}
