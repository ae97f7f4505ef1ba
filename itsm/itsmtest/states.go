package itsmtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/itsm"
)

func ownStates(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	res := sync1(t, s, want, itsm.Ref{})
	want.Version, want.State, want.Owner = 2, itsm.Acknowledged, f.People[0]
	require.Equal(t, itsm.Acknowledged, sync1(t, s, want, res.Ref).State)
	seen := f.Other.See(t, res.Ref)
	require.Equal(t, itsm.Acknowledged, seen.State)
	require.Equal(t, f.People[0], seen.Owner)
	want.Version, want.State = 3, itsm.Resolved
	require.Equal(t, itsm.Resolved, sync1(t, s, want, res.Ref).State)
	require.Equal(t, itsm.Resolved, f.Other.See(t, res.Ref).State)
}

// start opens a client, its cursor at now.
func start(t *testing.T, f Fixture) (itsm.System, string) {
	t.Helper()
	s := f.Open(t)
	none, cursor, err := s.Changes(t.Context(), "")
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)
	return s, cursor
}

// of are the observations of one key.
func of(list []itsm.Observed, key string) []itsm.Observed {
	var out []itsm.Observed
	for _, o := range list {
		if o.Key == key {
			out = append(out, o)
		}
	}
	return out
}

func othersAcknowledge(t *testing.T, f Fixture) {
	s, cursor := start(t, f)
	want := newTicket()
	res := sync1(t, s, want, itsm.Ref{})
	before := time.Now().Add(-time.Minute)
	f.Other.Acknowledge(t, res.Ref, f.People[0])
	list, next, err := s.Changes(t.Context(), cursor)
	require.NoError(t, err)
	got := of(list, want.Key)
	require.Len(t, got, 1)
	require.Equal(t, itsm.Acknowledged, got[0].State)
	require.Equal(t, f.People[0], got[0].Owner)
	require.Equal(t, f.People[0], got[0].Actor)
	require.Equal(t, res.Ref.ID, got[0].Ref.ID)
	require.WithinRange(t, got[0].At, before, time.Now().Add(time.Minute))
	require.Equal(t, time.UTC, got[0].At.Location())
	list, _, err = s.Changes(t.Context(), next)
	require.NoError(t, err)
	require.Empty(t, of(list, want.Key), "reported once is enough when nothing happened since")
	// The older cursor gives it again: an answer may have been lost.
	list, _, err = f.Open(t).Changes(t.Context(), cursor)
	require.NoError(t, err)
	require.Len(t, of(list, want.Key), 1)
}

func othersResolve(t *testing.T, f Fixture) {
	s, cursor := start(t, f)
	want := newTicket()
	want.State, want.Owner = itsm.Acknowledged, f.People[0]
	res := sync1(t, s, want, itsm.Ref{})
	f.Other.Resolve(t, res.Ref, f.People[1])
	list, _, err := s.Changes(t.Context(), cursor)
	require.NoError(t, err)
	got := of(list, want.Key)
	require.Len(t, got, 1)
	require.Equal(t, itsm.Resolved, got[0].State)
	require.Equal(t, f.People[1], got[0].Actor)
	require.Equal(t, f.People[0], got[0].Owner)
}

func noEcho(t *testing.T, f Fixture) {
	s, cursor := start(t, f)
	want := newTicket()
	res := sync1(t, s, want, itsm.Ref{})
	want.Version, want.State, want.Owner = 2, itsm.Acknowledged, f.People[0]
	want.Notes = []itsm.Note{note("n", "own words")}
	sync1(t, s, want, res.Ref)
	want.Version, want.State = 3, itsm.Resolved
	sync1(t, s, want, res.Ref)
	list, next, err := s.Changes(t.Context(), cursor)
	require.NoError(t, err)
	require.Empty(t, of(list, want.Key))

	// Somebody else's step before ours is theirs, not what we made of it.
	want = newTicket()
	res = sync1(t, s, want, itsm.Ref{})
	f.Other.Acknowledge(t, res.Ref, f.People[1])
	want.Version, want.State = 2, itsm.Resolved
	sync1(t, s, want, res.Ref)
	list, _, err = s.Changes(t.Context(), next)
	require.NoError(t, err)
	got := of(list, want.Key)
	require.Len(t, got, 1)
	require.Equal(t, itsm.Acknowledged, got[0].State)
	require.Equal(t, f.People[1], got[0].Actor)
}

func respectsOthers(t *testing.T, f Fixture) {
	s, cursor := start(t, f)
	want := newTicket()
	res := sync1(t, s, want, itsm.Ref{})
	f.Other.Resolve(t, res.Ref, f.People[0])
	want.Version, want.Notes = 2, []itsm.Note{note("n", "it grew meanwhile")}
	got := sync1(t, s, want, res.Ref)
	require.Equal(t, itsm.Resolved, got.State, "nobody was told of it yet")
	seen := f.Other.See(t, res.Ref)
	require.Equal(t, itsm.Resolved, seen.State)
	require.Equal(t, 1, occurrences(seen, "it grew meanwhile"))
	list, _, err := s.Changes(t.Context(), cursor)
	require.NoError(t, err)
	require.Len(t, of(list, want.Key), 1)
	want.Version = 3
	require.Equal(t, itsm.Open, sync1(t, s, want, res.Ref).State, "decided again, knowing it")
	require.Equal(t, itsm.Open, f.Other.See(t, res.Ref).State)
}

func reopens(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	want.State = itsm.Resolved
	res := sync1(t, s, want, itsm.Ref{})
	require.Equal(t, itsm.Resolved, res.State)
	want.Version, want.State = 2, itsm.Open
	require.Equal(t, itsm.Open, sync1(t, s, want, res.Ref).State)
	require.Equal(t, itsm.Open, f.Other.See(t, res.Ref).State)
}
