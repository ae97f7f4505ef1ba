package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func begin(t *testing.T, d Delivery, dest Destination, now time.Time) Delivery {
	t.Helper()
	d, ok, _ := Start(d, dest, now)
	require.True(t, ok, "the attempt should begin")
	return d
}

func TestCallIsAcceptedOnce(t *testing.T) {
	d, changed := Accept(nil, Delivery{Key: "k", Kind: Call}, t0)
	require.True(t, changed)
	_, changed = Accept(&d, Delivery{Key: "k", Kind: Call, Version: 7}, t0)
	require.False(t, changed, "a call belongs to one transition")
}

func TestOnlyTheNewestMirrorIsSent(t *testing.T) {
	d, _ := Accept(nil, Delivery{Key: "k", Kind: Mirror, Version: 1}, t0)
	d = begin(t, d, Destination{}, t0)
	for v := uint64(2); v <= 4; v++ {
		var changed bool
		d, changed = Accept(&d, Delivery{Key: "k", Kind: Mirror, Version: v}, t0)
		require.True(t, changed)
	}
	_, ok, at := Start(d, Destination{}, t0)
	require.False(t, ok, "one attempt at a time")
	require.Zero(t, at)
	next, _, out := Finish(d, Destination{}, Result{Key: "k", Version: 1, Attempt: 1, OK: true}, t0)
	require.NotNil(t, next, "version 4 is still to be sent")
	require.EqualValues(t, 1, out.Version)
	d = begin(t, *next, Destination{}, t0)
	next, _, out = Finish(d, Destination{}, Result{Key: "k", Version: 4, Attempt: d.Attempts, OK: true}, t0)
	require.Nil(t, next)
	require.EqualValues(t, 4, out.Version)
	_, changed := Accept(&d, Delivery{Key: "k", Kind: Mirror, Version: 3}, t0)
	require.False(t, changed, "an older document never follows a newer one")
}

func TestRetriesGrowAndTheBreakerOpens(t *testing.T) {
	d, _ := Accept(nil, Delivery{Key: "k", Kind: Mirror, Version: 1}, t0)
	now, dest := t0, Destination{}
	var waits []time.Duration
	reports := 0
	for range 9 {
		d = begin(t, d, Destination{}, now)
		next, after, out := Finish(d, dest, Result{Version: 1, Attempt: d.Attempts, Retryable: true, Error: "down"}, now)
		require.NotNil(t, next, "a mirror is retried until the destination is back")
		if out != nil {
			require.False(t, out.Final)
			reports++
		}
		waits = append(waits, next.NextAt.Sub(now))
		d, dest, now = *next, after, next.NextAt
	}
	require.Equal(t, 1, reports, "trouble is told once")
	require.GreaterOrEqual(t, waits[0], time.Second)
	require.Less(t, waits[0], 2*time.Second)
	require.GreaterOrEqual(t, waits[8], time.Minute)
	require.LessOrEqual(t, waits[8], 72*time.Second)
	require.False(t, dest.OpenUntil.Before(now), "after five failures in a row the destination rests")
	other, _ := Accept(nil, Delivery{Key: "other", Kind: Mirror}, now)
	_, ok, at := Start(other, Destination{OpenUntil: now.Add(time.Second)}, now)
	require.False(t, ok)
	require.Equal(t, now.Add(time.Second), at)
	_, healthy, _ := Finish(begin(t, d, Destination{}, now), dest, Result{Version: 1, Attempt: d.Attempts + 1, OK: true}, now)
	require.Equal(t, Destination{}, healthy, "one success closes the breaker")
}

func TestACallEnds(t *testing.T) {
	page := Delivery{Key: "p", Kind: Call, NotAfter: t0.Add(time.Minute)}
	d, _ := Accept(nil, page, t0)
	next, _, out := Finish(begin(t, d, Destination{}, t0), Destination{}, Result{Attempt: 1, Error: "no such mailbox"}, t0)
	require.Nil(t, next, "a refusal is final for a call")
	require.True(t, out.Final)
	require.False(t, out.OK)

	d, _ = Accept(nil, page, t0)
	next, _, out = Finish(begin(t, d, Destination{}, t0), Destination{}, Result{Attempt: 1, Withdrawn: true}, t0)
	require.Nil(t, next)
	require.True(t, out.Withdrawn)

	late := t0.Add(59 * time.Second)
	d, _ = Accept(nil, page, t0)
	next, _, out = Finish(begin(t, d, Destination{}, late), Destination{}, Result{Attempt: 1, Retryable: true, RetryAfter: time.Minute}, late)
	require.Nil(t, next, "the next try would come too late")
	require.True(t, out.Final)
}

func TestAnInterruptedAttemptIsMadeAgain(t *testing.T) {
	d, _ := Accept(nil, Delivery{Key: "p", Kind: Call}, t0)
	sent := begin(t, d, Destination{}, t0)
	again := Interrupted(sent, t0.Add(time.Second))
	require.NotEmpty(t, again.LastError)
	again = begin(t, again, Destination{}, t0.Add(time.Second))
	require.Equal(t, 2, again.Attempts)
	stale, _, out := Finish(again, Destination{}, Result{Attempt: 1, OK: true}, t0)
	require.Nil(t, out, "the result of an earlier life's attempt is not this one's")
	require.NotNil(t, stale)
}
