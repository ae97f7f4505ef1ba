package evolution_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/evolution"
)

func wait(n int) evolution.Wait {
	return evolution.Wait{Tenant: fmt.Sprintf("t%d", n), Name: "Shop", Number: 1, From: "small", To: "medium", Cause: "it grew", Held: "a person promotes it", Since: began}
}

// TestANoticeIsOneForAll: it begins with the first that waits, is the same for all, is
// reminded of weekly, and is over with the last.
func TestANoticeIsOneForAll(t *testing.T) {
	var r evolution.Review
	_, changed := r.Look(nil, began)
	require.False(t, changed)
	r, changed = r.Look([]evolution.Wait{wait(1)}, began)
	require.True(t, changed)
	require.Equal(t, [3]any{1, uint64(1), true}, [3]any{r.Number, r.Version, r.Open})
	require.Equal(t, "1 tenant's profile waits for somebody to decide", r.Title)
	require.Contains(t, r.Text, "- t1 (Shop): tier medium instead of small, because it grew. It waits since 2026-03-02 09:00 UTC: a person promotes it.")
	_, changed = r.Look([]evolution.Wait{wait(1)}, began.Add(day))
	require.False(t, changed, "said once")
	var many []evolution.Wait
	for n := range 25 {
		many = append(many, wait(n))
	}
	r, changed = r.Look(many, began.Add(day))
	require.True(t, changed)
	require.Equal(t, 1, r.Number, "the same notice")
	require.Contains(t, r.Text, "and 5 more")
	require.Empty(t, r.Notes)
	for week := 1; week <= 60; week++ {
		at := r.NextAt
		_, changed = r.Look(many, at.Add(-time.Second))
		require.False(t, changed)
		r, changed = r.Look(many, at)
		require.True(t, changed)
		require.Len(t, r.Notes, min(week, 52))
	}
	require.Contains(t, r.Notes[0].Text, "25 tenants' profiles wait for somebody to decide still, the longest since 2026-03-02 09:00 UTC")
	v := r.Version
	r, changed = r.Look(nil, began.Add(900*day))
	require.True(t, changed)
	require.False(t, r.Open)
	require.Equal(t, v+1, r.Version)
	r, _ = r.Look(many[:1], began.Add(901*day))
	require.Equal(t, [2]any{2, v + 2}, [2]any{r.Number, r.Version}, "another notice, and never an older version")
	require.Empty(t, r.Notes)
}

// TestWhoWaitsForAPerson: a proposal that only a person can decide about says since when.
func TestWhoWaitsForAPerson(t *testing.T) {
	l := begin(t, 4)
	l.in.Settings.ByPerson = true
	l.live(47*time.Hour, 80)
	require.NotNil(t, l.s.Proposal)
	require.Nil(t, l.s.Proposal.WaitsSince, "it is in shadow")
	l.live(4*time.Hour, 80)
	since := l.s.Proposal.WaitsSince
	require.NotNil(t, since)
	l.live(day, 80)
	require.Equal(t, since, l.s.Proposal.WaitsSince)
	require.Contains(t, fmt.Sprint(l.s.Words(l.in.Settings, "")), "Somebody must decide, since 2026-03-0")
	l.in.Held = "the calendar entry sale holds revisions"
	l.live(time.Hour, 80)
	require.Nil(t, l.s.Proposal.WaitsSince, "nobody could")
	l.in.Held = ""
	l.live(time.Hour, 80)
	require.NotNil(t, l.s.Proposal.WaitsSince)
	l.must(evolution.Refuse(l.s, "eve", "no", l.now))
	require.Nil(t, l.s.Proposal)
}
