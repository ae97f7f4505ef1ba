package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
)

// TestAProfileIsSteeredByTheAPI: explained, overridden, pinned, taken back, frozen.
func TestAProfileIsSteeredByTheAPI(t *testing.T) {
	r := start(t, t.TempDir())
	const of = "/api/v1/tenants/acme/profile"
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"features": ["refunds"], "expected_tpm": 20}`)
	ask := func(method, path, body string) (a tenants.ExplainAnswer) {
		t.Helper()
		r.want(t, http.StatusOK, method, of+path, body).into(t, &a)
		return a
	}
	rules := func(a tenants.ExplainAnswer) (out []string) {
		for _, x := range a.Profile.Rules {
			out = append(out, x.Name)
		}
		return out
	}
	a := ask(http.MethodGet, "/explain", "")
	require.Len(t, a.Revisions, 1)
	require.Contains(t, strings.Join(a.Standing, " "), "By what was promised it is in tier medium (from 10 to 100 transactions a minute): its volume is not known yet")
	require.Contains(t, rules(a), "refund_errors")

	until := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	a = ask(http.MethodPost, "/overrides", `{"rule": "refund_errors", "off": true, "until": "`+until+`", "reason": "a migration"}`)
	require.NotContains(t, rules(a), "refund_errors")
	require.Contains(t, strings.Join(a.Standing, " "), "overrides refund_errors (off): a migration")
	for _, bad := range []string{`{"rule": "refund_errors", "off": true, "reason": "x"}`, `{"rule": "nope", "off": true, "until": "` + until + `", "reason": "x"}`, `{"until": "` + until + `", "reason": "x"}`} {
		r.want(t, http.StatusUnprocessableEntity, http.MethodPost, of+"/overrides", bad)
	}
	require.Contains(t, rules(ask(http.MethodDelete, "/overrides?rule=refund_errors", "")), "refund_errors")
	r.want(t, http.StatusNotFound, http.MethodDelete, of+"/overrides?rule=refund_errors", "")

	r.want(t, http.StatusUnprocessableEntity, http.MethodPost, of+"/pin", `{"tier": "nope", "reason": "x"}`)
	r.want(t, http.StatusUnprocessableEntity, http.MethodPost, of+"/pin", `{"revision": 99, "reason": "x"}`)
	a = ask(http.MethodPost, "/pin", `{"tier": "large", "reason": "large from Friday on"}`)
	require.Equal(t, "large", a.Profile.Revision.Observation.Tier)
	require.Contains(t, a.Standing[0], "It is pinned at tier large")
	require.Contains(t, a.Standing[1], "it would be in tier medium")
	a = ask(http.MethodPost, "/rollback", `{"reason": "not yet"}`)
	require.Equal(t, "medium", a.Profile.Revision.Observation.Tier)
	require.Contains(t, a.Profile.Revision.Cause, "pinned at revision 3")
	ask(http.MethodPost, "/unpin", `{"reason": "go on"}`)
	r.want(t, http.StatusConflict, http.MethodPost, of+"/unpin", `{"reason": "again"}`)
	ask(http.MethodPost, "/freeze", `{"reason": "an audit"}`)
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/tenants/acme/features/payouts", "")
	require.NotContains(t, rules(ask(http.MethodGet, "/explain", "")), "payout_errors")
	require.Contains(t, rules(ask(http.MethodPost, "/thaw", `{"reason": "it is over"}`)), "payout_errors")
	r.want(t, http.StatusConflict, http.MethodPost, of+"/promote", `{"reason": "x"}`)
	r.want(t, http.StatusNotFound, http.MethodPost, "/api/v1/tenants/nobody/profile/pin", `{"tier": "large", "reason": "x"}`)
}
