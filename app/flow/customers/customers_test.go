package customers_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/customers"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

// decider takes offered keys and decides nothing else.
type decider struct{}

func (decider) Load(context.Context, store.Partition, store.Store) error { return nil }
func (decider) Input(tx *partition.Tx, in store.Input) error             { return customers.Take(tx, in) }
func (decider) Timer(*partition.Tx, store.Timer) error                   { return nil }
func (decider) Tick(*partition.Tx) error                                 { return nil }
func (decider) Drain(*partition.Tx) error                                { return nil }

// Two replicas that ask at the same moment name customers by the same key, have the next
// day's before it begins, and nobody has it any more when it is over.
func TestReplicasAgreeOnTheKeyOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		home := partition.New(partition.Options{Store: s, Partition: store.PartitionOf("customers"), Handler: decider{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, home.Acquire(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = home.Run(ctx) }()
		after := func(d time.Duration) {
			time.Sleep(d) // virtual
			synctest.Wait()
		}
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
		after(time.Second)
		require.Equal(t, map[string][]byte{today: {1}}, ask(), "the first is it")

		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		after(time.Until(midnight) - 30*time.Minute)
		ask()
		after(time.Second)
		known := ask()
		require.Len(t, known, 2)
		tomorrow := known[midnight.Format(time.DateOnly)]
		require.NotEmpty(t, tomorrow)
		require.NotEqual(t, known[today], tomorrow)

		after(31 * time.Minute)
		ask()
		after(time.Second)
		require.Equal(t, map[string][]byte{midnight.Format(time.DateOnly): tomorrow}, ask())
		stop()
		<-ended
	})
}
