package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzOpen: only what was signed opens, for its purpose and in its time.
func FuzzOpen(f *testing.F) {
	s := Signer{Key: []byte(strings.Repeat("k", 32))}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	good := s.Sign("incident", "inc_1", now.Add(time.Hour))
	for _, seed := range []string{good, good + "A", "." + good, strings.ToUpper(good), s.Sign("session", "inc_1", now.Add(time.Hour)), s.Sign("incident", "inc_1", now.Add(-time.Hour)),
		Signer{Key: []byte(strings.Repeat("x", 32))}.Sign("incident", "inc_2", now.Add(time.Hour)), "", ".", "e30.e30"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		subject, err := s.Open("incident", value, now)
		if err == nil {
			require.Equal(t, "inc_1", subject)
			body, _, _ := strings.Cut(value, ".")
			signed, _, _ := strings.Cut(good, ".")
			// Base64 ignores line ends and the last bits: another text, the same bytes.
			require.Equal(t, signed[:len(signed)-1], strings.NewReplacer("\r", "", "\n", "").Replace(body)[:len(signed)-1])
		}
	})
}

// FuzzCredentials: what a request says of who asks and what it saw is refused or
// understood, and never more than it is.
func FuzzCredentials(f *testing.F) {
	tok, secret, err := NewToken("x", Sender, []string{"acme"}, time.Time{}, time.Now(), "test")
	require.NoError(f, err)
	f.Add(secret, `"1"`)
	f.Add("tsn_000000000000_", "*")
	f.Add("tsn__", "W/\"2\"")
	f.Add("", "-1")
	f.Fuzz(func(t *testing.T, text, match string) {
		if id := TokenID(text); id != "" {
			require.Len(t, id, 12)
			require.True(t, strings.HasPrefix(text, "tsn_"+id+"_"))
		}
		if _, err := tok.Check(text, time.Now()); err == nil {
			require.Equal(t, secret, text)
		}
		n, err := IfMatch(&http.Request{Header: http.Header{"If-Match": {match}}})
		require.True(t, err != nil && n == 0 || err == nil && n >= 0)
	})
}
