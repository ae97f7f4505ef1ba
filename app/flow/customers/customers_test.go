package customers_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/customers"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

// Two replicas that ask at the same moment name customers by the same key, have the next
// day's before it begins, and nobody has it any more when it is over.
func TestReplicasAgreeOnTheKeyOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		partitiontest.Open(t, s, "customers", partitiontest.Decider{Input: customers.Take})
		made := 0
		ask := func() map[string][]byte {
			t.Helper()
			known, err := customers.Keys(t.Context(), s, time.Now(), func() []byte { made++; return []byte{byte(made)} })
			require.NoError(t, err)
			return known
		}
		today := time.Now().UTC().Format(time.DateOnly)
		require.Empty(t, ask())
		ask() // the other replica: it offers one too, unless the first is there already
		partitiontest.Pass(time.Second)
		require.Equal(t, map[string][]byte{today: {1}}, ask(), "the first is it")

		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		partitiontest.Pass(time.Until(midnight) - 30*time.Minute)
		ask()
		partitiontest.Pass(time.Second)
		known := ask()
		require.Len(t, known, 2)
		tomorrow := known[midnight.Format(time.DateOnly)]
		require.NotEmpty(t, tomorrow)
		require.NotEqual(t, known[today], tomorrow)

		partitiontest.Pass(31 * time.Minute)
		ask()
		partitiontest.Pass(time.Second)
		require.Equal(t, map[string][]byte{midnight.Format(time.DateOnly): tomorrow}, ask())
	})
}
