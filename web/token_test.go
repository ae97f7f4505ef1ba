package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var at = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func TestATokenIsStoredAsItsHash(t *testing.T) {
	tok, secret, err := NewToken("prometheus", Sender, []string{"*"}, time.Time{}, at, "token:admin")
	require.NoError(t, err)
	raw, err := json.Marshal(tok)
	require.NoError(t, err)
	require.NotContains(t, string(raw), secret)
	require.NotContains(t, string(raw), secret[len("tsn_"+tok.ID+"_"):])
	require.Equal(t, tok.ID, TokenID(secret))
	p, err := tok.Check(secret, at)
	require.NoError(t, err)
	require.True(t, p.Any)
	require.Equal(t, Sender, p.Role)
	_, err = tok.Check(secret[:len(secret)-1]+"x", at)
	require.True(t, problem.Is(err, problem.Unauthenticated))
	_, other, err := NewToken("prometheus", Sender, []string{"*"}, time.Time{}, at, "token:admin")
	require.NoError(t, err)
	require.NotEqual(t, secret, other)
}

func TestATokenExpires(t *testing.T) {
	tok, secret, err := NewToken("n", Tenant, []string{"acme"}, at.Add(time.Hour), at, "x")
	require.NoError(t, err)
	p, err := tok.Check(secret, at.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, p.Covers("acme"))
	require.False(t, p.Covers("other"))
	require.False(t, p.Covers(tenant.Product))
	_, err = tok.Check(secret, at.Add(time.Hour+time.Second))
	require.True(t, problem.Is(err, problem.Unauthenticated))
	require.ErrorContains(t, err, "expired")
}

func TestBadTokenRequests(t *testing.T) {
	for name, c := range map[string]struct {
		name    string
		role    Role
		tenants []string
	}{
		"no name": {"", Sender, []string{"*"}}, "no role": {"n", "root", []string{"*"}}, "link is no role": {"n", Link, []string{"*"}},
		"no tenants": {"n", Sender, nil}, "not a tenant": {"n", Tenant, []string{"a/b"}}, "the product is nobody's": {"n", Tenant, []string{"_product"}},
	} {
		_, _, err := NewToken(c.name, c.role, c.tenants, time.Time{}, at, "x")
		require.True(t, problem.Is(err, problem.Invalid), name)
	}
	for _, s := range []string{"", "tsn_", "tsn_abc", "tsn_abc_def", "abc_123456789012_x", "Bearer tsn_123456789012_x"} {
		require.Empty(t, TokenID(s), s)
	}
}

func TestSignedLinks(t *testing.T) {
	s := Signer{Key: []byte("0123456789abcdef0123456789abcdef")}
	v := s.Sign(LinkPurpose, "inc_1", at.Add(time.Hour))
	got, err := s.Open(LinkPurpose, v, at)
	require.NoError(t, err)
	require.Equal(t, "inc_1", got)
	_, err = s.Open(LinkPurpose, v, at.Add(2*time.Hour))
	require.ErrorContains(t, err, "expired")
	_, err = s.Open("session", v, at)
	require.Error(t, err, "a link is no session")
	_, err = Signer{Key: []byte("another key, which must not open it")}.Open(LinkPurpose, v, at)
	require.Error(t, err)
	for i := range v { // no character of it may be changed
		if v[i] == '.' {
			continue
		}
		c := "A"
		if v[i] == 'A' {
			c = "B"
		}
		changed := v[:i] + c + v[i+1:]
		if opened, err := s.Open(LinkPurpose, changed, at); err == nil {
			require.Equal(t, got, opened, "only bits that base64 ignores may differ")
			require.True(t, i == len(v)-1 || i == strings.Index(v, ".")-1, "position %d", i)
		}
	}
	require.NotEqual(t, s.FormToken("a"), s.FormToken("b"))
}
