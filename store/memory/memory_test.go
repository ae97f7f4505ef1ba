package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, clock func() time.Time) store.Store {
		return memory.New(memory.Options{Now: clock})
	})
}

func TestLivesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		l, err := s.Acquire(t.Context(), 1)
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Hour)
			_ = s.Offer(t.Context(), 1, store.Input{ID: "a"})
		}()
		<-l.Wake() // the bubble's clock jumps an hour
		require.ErrorIs(t, l.Renew(t.Context()), store.ErrLeaseLost)
		l, err = s.Acquire(t.Context(), 1)
		require.NoError(t, err)
		in, err := l.Inputs(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, in, 1)
		require.NoError(t, s.Close())
	})
}
