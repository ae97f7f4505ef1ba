package web

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

// TestSigningOutEndsWhatWasOpenedBefore: to the nanosecond, since a browser signs in
// again within the same millisecond.
func TestSigningOutEndsWhatWasOpenedBefore(t *testing.T) {
	out := at.Add(300 * time.Microsecond)
	tok := Token{ID: "0123456789ab", Role: Admin, Tenants: []string{"*"}, SignedOutAt: out}
	for opened, good := range map[time.Time]bool{out.Add(-time.Nanosecond): false, out: false, out.Add(time.Nanosecond): true} {
		id, got := ParseTokenSession(TokenSession(tok.ID, opened))
		require.Equal(t, tok.ID, id)
		require.True(t, opened.Equal(got))
		_, err := tok.Session(got, at)
		require.Equal(t, good, err == nil, "%v", err)
		require.Equal(t, !good, problem.Is(err, problem.Unauthenticated))
	}
	_, old := ParseTokenSession(tok.ID)
	_, err := tok.Session(old, at)
	require.Error(t, err, "a cookie without a time is the oldest")
	tok.SignedOutAt = time.Time{}
	_, err = tok.Session(old, at)
	require.NoError(t, err)
}

func TestASessionEnds(t *testing.T) {
	s := Session{ID: "x", EndsAt: at}
	require.Equal(t, "x", SessionID(s.Subject()))
	require.Empty(t, SessionID(TokenSession("0123456789ab", at)))
	require.True(t, s.Live(at.Add(-time.Second)))
	require.False(t, s.Live(at))
	s.EndedAt = at.Add(-time.Hour)
	require.False(t, s.Live(at.Add(-time.Second)))
}

func TestAPersonActsForTheirTeams(t *testing.T) {
	p := Principal{Role: Responder, Person: "ada", Teams: []string{"payments", "fraud"}}
	require.NoError(t, p.Acts("fraud"))
	require.True(t, problem.Is(p.Acts("cards"), problem.Forbidden))
	require.True(t, problem.Is(p.Acts(""), problem.Forbidden), "what belongs to nobody")
}
