package partition_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

func TestPostedWorkIsDoneInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		r := run(t, s, d)
		var order []int
		for i := range 100 {
			require.True(t, r.Post(func(tx *partition.Tx) error {
				var n int
				_, err := tx.Get("count", "n", &n)
				order = append(order, n)
				require.Equal(t, i, n, "each sees what the one before committed")
				return errors.Join(err, tx.Put("count", "n", "n", 1, n+1))
			}))
		}
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			order = append(order, -1)
			return nil
		}))
		require.Len(t, order, 101)
		require.Equal(t, -1, order[100], "a call comes after what was posted before it")
		synctest.Wait()
		n, _ := r.Pending()
		require.Zero(t, n)
		require.NoError(t, r.drain())
	})
}

// TestWorkWaitsBehindWhatCannotBeCommitted: the piece that is being decided counts
// until it is committed, and the oldest tells how long.
func TestWorkWaitsBehindWhatCannotBeCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(memory.Options{}), &decider{})
		hold := make(chan struct{})
		began := time.Now()
		require.True(t, r.Post(func(*partition.Tx) error { <-hold; return nil }))
		time.Sleep(2 * time.Second)
		for range 2 {
			require.True(t, r.Post(func(*partition.Tx) error { return nil }))
		}
		n, oldest := r.Pending()
		require.Equal(t, 3, n)
		require.True(t, oldest.Equal(began), "%s", oldest)
		close(hold)
		synctest.Wait()
		n, oldest = r.Pending()
		require.Zero(t, n)
		require.True(t, oldest.IsZero())
		require.NoError(t, r.drain())
	})
}

func TestACallThatFailsWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		r := run(t, s, d)
		after := false
		err := r.Call(t.Context(), func(tx *partition.Tx) error {
			tx.After(func() { after = true })
			require.NoError(t, tx.Put("c", "k", "x", 1, 1))
			tx.Log(ledger.Entry{Subject: "s", Kind: "k"})
			return problem.New(problem.Conflict, "no")
		})
		require.True(t, problem.Is(err, problem.Conflict), "%v", err)
		require.False(t, has(t, s, "c", "k"))
		require.False(t, after)
		entries, err := s.Ledger(t.Context(), home, "", 0, 0)
		require.NoError(t, err)
		require.Empty(t, entries)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, r.Call(gone, func(tx *partition.Tx) error { return tx.Put("c", "k", "x", 1, 1) }))
		synctest.Wait()
		require.False(t, has(t, s, "c", "k"), "who has left gets nothing decided")
		require.NoError(t, r.drain())
	})
}

func TestARefusedInputIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		d.input = func(tx *partition.Tx, in store.Input) error {
			require.NoError(t, tx.Put("c", in.ID, "x", 1, 1))
			if in.ID == "bad" {
				return problem.New(problem.Invalid, "it has no meaning")
			}
			return nil
		}
		r := run(t, s, d)
		for _, id := range []string{"a", "bad", "b"} {
			offer(t, s, id)
		}
		synctest.Wait()
		require.Equal(t, []string{"load", "input a", "input bad", "input b"}, d.seen(), "each once, in order")
		require.True(t, has(t, s, "c", "a"))
		require.True(t, has(t, s, "c", "b"))
		require.False(t, has(t, s, "c", "bad"), "what was decided before the refusal is thrown away")
		rec, ok, err := s.Record(t.Context(), home, "refused", "bad")
		require.NoError(t, err)
		require.True(t, ok)
		var kept store.Input
		require.NoError(t, json.Unmarshal(rec.Value, &kept))
		require.Equal(t, "thing", kept.Kind)
		entries, err := s.Ledger(t.Context(), home, "s", 0, 0)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, "input.refused", entries[0].Kind)
		require.Contains(t, entries[0].Reason, "it has no meaning")
		offer(t, s, "bad")
		after(5 * time.Second)
		require.Len(t, d.seen(), 4, "its id is remembered")
		require.NoError(t, r.drain())
		require.Empty(t, left(t, s))
	})
}

func TestAnInputThatMustWaitBlocksAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		var down atomic.Bool
		down.Store(true)
		d.input = func(_ *partition.Tx, in store.Input) error {
			if down.Load() && in.ID == "first" {
				return problem.New(problem.Unavailable, "not now")
			}
			return nil
		}
		r := run(t, s, d)
		offer(t, s, "first")
		offer(t, s, "second")
		after(3500 * time.Millisecond)
		require.NotContains(t, d.seen(), "input second", "order is kept")
		require.GreaterOrEqual(t, len(d.seen()), 4, "it is tried about once a second")
		require.LessOrEqual(t, len(d.seen()), 8)
		require.False(t, has(t, s, "refused", "first"))
		require.NoError(t, r.Call(t.Context(), func(*partition.Tx) error { return nil }), "others are served meanwhile")
		down.Store(false)
		after(2 * time.Second)
		seen := d.seen()
		require.Equal(t, []string{"input first", "input second"}, seen[len(seen)-2:])
		require.NoError(t, r.drain())
		require.Empty(t, left(t, s))
	})
}

func TestTimersFireOnceUnlessSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		d.timer = func(tx *partition.Tx, tm store.Timer) error {
			switch tm.ID {
			case "again":
				if len(d.seen()) < 6 {
					tx.SetTimer(store.Timer{ID: "again", At: tx.Now().Add(time.Second), Kind: "k"})
				}
			case "broken":
				return errors.New("cannot be handled")
			}
			return nil
		}
		r := run(t, s, d)
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			for _, id := range []string{"again", "broken", "once", "taken back"} {
				tx.SetTimer(store.Timer{ID: id, At: tx.Now().Add(2 * time.Second), Kind: "k"})
			}
			return nil
		}))
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			tx.SetTimer(store.Timer{ID: "taken back"})
			return nil
		}))
		after(1900 * time.Millisecond)
		require.Equal(t, []string{"load"}, d.seen(), "none fires early")
		after(20 * time.Second)
		count := map[string]int{}
		for _, e := range d.seen() {
			count[e]++
		}
		require.Equal(t, map[string]int{"load": 1, "timer again": 3, "timer broken": 1, "timer once": 1}, count)
		require.NoError(t, r.drain())
	})
}

func TestACommitIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &flaky{Store: memory.New(memory.Options{})}, &decider{}
		var full atomic.Bool
		full.Store(true)
		s.fail = func() error {
			if full.Load() {
				return problem.Wrap(store.ErrNoSpace, problem.NoSpace, "full")
			}
			return nil
		}
		r := run(t, s, d)
		calls := 0
		done := make(chan error, 1)
		go func() {
			done <- r.Call(t.Context(), func(tx *partition.Tx) error {
				calls++
				return tx.Put("c", "k", "x", 1, 1)
			})
		}()
		after(time.Minute)
		require.False(t, has(t, s, "c", "k"))
		require.Greater(t, s.tries.Load(), int64(10), "it does not give up")
		require.Less(t, s.tries.Load(), int64(60), "it waits between tries, and keeps its lease")
		full.Store(false)
		require.NoError(t, <-done)
		require.True(t, has(t, s, "c", "k"))
		require.Equal(t, 1, calls, "the decision itself is not made again: memory has moved on")
		require.NoError(t, r.drain())
	})
}

func TestALostLeaseEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		s := memory.New(memory.Options{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
		d := &decider{}
		r := run(t, s, d)
		offset.Store(int64(time.Hour)) // the owner stood still for an hour
		other, err := s.Acquire(t.Context(), home)
		require.NoError(t, err)
		done := make(chan error, 1)
		began := time.Now()
		go func() {
			done <- r.Call(t.Context(), func(tx *partition.Tx) error { return tx.Put("c", "k", "x", 1, 1) })
		}()
		require.ErrorIs(t, <-r.end, store.ErrLeaseLost)
		err = <-done
		require.True(t, problem.Is(err, problem.Unavailable), "nobody is told that it was committed: %v", err)
		require.Less(t, time.Since(began), 5*time.Second, "nor left waiting")
		require.False(t, has(t, s, "c", "k"))
		require.False(t, r.Post(func(*partition.Tx) error { return nil }), "nothing is taken any more")
		err = r.Call(t.Context(), func(*partition.Tx) error { return nil })
		require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
		require.NotContains(t, d.seen(), "drain", "another one decides now")
		require.NoError(t, other.Commit(t.Context(), store.Batch{Puts: []store.Record{{Collection: "c", Key: "other"}}}))
		r.stop()
	})
}

func TestDrainFinishesWhatWasPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		r := run(t, s, d)
		for i := range 10 {
			r.Post(func(tx *partition.Tx) error {
				d.note("post %d", i)
				return tx.Put("c", fmt.Sprint(i), "x", 1, 1)
			})
		}
		require.NoError(t, r.drain())
		seen := d.seen()
		require.Equal(t, []string{"post 9", "drain"}, seen[len(seen)-2:])
		require.True(t, has(t, s, "c", "9"))
		require.True(t, has(t, s, "state", "drained"))
		require.False(t, r.Post(func(*partition.Tx) error { return nil }))
		require.Empty(t, left(t, s))
	})
}

func TestATxReadsItsOwnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		r := run(t, s, d)
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			return errors.Join(tx.Put("c", "a", "x", 1, 1), tx.Put("c", "b", "x", 1, 2))
		}))
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			tx.Delete("c", "a")
			require.NoError(t, tx.Put("c", "c", "x", 1, 3))
			require.NoError(t, tx.Put("c", "b", "x", 1, 4))
			list, err := tx.List("c")
			require.NoError(t, err)
			require.Len(t, list, 2)
			require.Equal(t, []string{"b", "c"}, []string{list[0].Key, list[1].Key})
			require.Equal(t, "4", string(list[0].Value))
			var v int
			ok, err := tx.Get("c", "a", &v)
			require.NoError(t, err)
			require.False(t, ok)
			return nil
		}))
		require.NoError(t, r.drain())
	})
}

// TestValuesOfAPrefix: what a decision wrote itself counts, and what only looks like the
// prefix stays.
func TestValuesOfAPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memory.New(memory.Options{}), &decider{}
		r := run(t, s, d)
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			return errors.Join(tx.Put("c", "a/1", "x", 1, 1), tx.Put("c", "a/2", "x", 1, 2), tx.Put("c", "ab/1", "x", 1, 3))
		}))
		require.NoError(t, r.Call(t.Context(), func(tx *partition.Tx) error {
			require.NoError(t, tx.Put("c", "a/3", "x", 1, 4))
			tx.Delete("c", "a/1")
			values, err := partition.Values[int](tx.ListPrefix("c", "a/"))
			require.NoError(t, err)
			require.Equal(t, []int{2, 4}, values)
			n, err := tx.DeletePrefix("c", "a/")
			require.NoError(t, err)
			require.Equal(t, 2, n)
			return nil
		}))
		values, err := partition.Values[int](partition.All(t.Context(), s, home, "c"))
		require.NoError(t, err)
		require.Equal(t, []int{3}, values)
		_, err = partition.Values[string](partition.All(t.Context(), s, home, "c"))
		require.Error(t, err, "it is a number")
		require.NoError(t, r.drain())
	})
}
