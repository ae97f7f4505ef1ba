package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnIdUsedAgainShowsNothingOfTheOneBefore: not to the new tenant's credentials, also
// after a restart; people see it, marked.
func TestAnIdUsedAgainShowsNothingOfTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{"name":"The first"}`)
	}
	push := func(ago time.Duration, v float64, secret string) {
		at := time.Now().Add(-ago)
		for _, id := range []string{"acme", "bolt"} {
			got := r.push(t, r.admin, id, series(at, v, "payment_transactions_total", "result", "error"), series(at, v, "up", "secret", secret))
			require.Equal(t, http.StatusNoContent, got.Status, got.Body)
		}
	}
	push(2*time.Second, 1, "old")
	spans := func(ago time.Duration) {
		got := r.do(t, call{Method: http.MethodPost, Path: "/v1/traces", Token: r.admin, Header: map[string]string{"Content-Type": "application/json"}, Body: spanJSON(time.Now().Add(-ago), 2, "acme")})
		require.Equal(t, http.StatusOK, got.Status, got.Body)
	}
	spans(time.Second)
	was := r.incident(t) // of acme and bolt
	_, bolt := r.token(t, "tenant", time.Time{}, "bolt")
	_, early := r.token(t, "tenant", time.Time{}, "acme", "bolt")
	get := func(token, path string) reply {
		return r.do(t, call{Method: http.MethodGet, Path: path, Token: token})
	}
	require.Equal(t, map[string]string{"acme": "1", "bolt": "1"}, r.query(t, early, "", "up"))
	r.want(t, http.StatusNoContent, http.MethodDelete, "/api/v1/tenants/acme", "")
	require.Equal(t, map[string]string{"bolt": "1"}, r.query(t, early, "", "up"), "nobody has it")
	push(time.Second, 2, "between")
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"name":"The second"}`)
	_, acme := r.token(t, "tenant", time.Time{}, "acme")
	_, both := r.token(t, "tenant", time.Time{}, "acme", "bolt")

	old := func() {
		t.Helper()
		require.Equal(t, map[string]string{"acme": "2", "bolt": "2"}, r.query(t, r.admin, "", "max by (tenant) (up)"))
		require.Empty(t, r.query(t, acme, "", `max_over_time({__name__=~".+"}[1h])`))
		require.Equal(t, map[string]string{"bolt": "2"}, r.query(t, both, "", "max by (tenant) (up)"))
		require.Empty(t, r.query(t, acme, "acme", "up"), "asked for by name too")
		for _, path := range []string{"series?match[]=up", "labels", "label/secret/values", "query_exemplars?query=up"} {
			require.JSONEq(t, `{"status":"success","data":[]}`, get(acme, "/prometheus/api/v1/"+path).Body, path)
		}
		for _, path := range []string{"/api/v1/incidents", "/api/v1/alerts"} {
			require.JSONEq(t, `{"items":[],"next":""}`, get(acme, path).Body, path)
			require.Contains(t, get(bolt, path).Body, was.ID, path)
		}
		require.Equal(t, http.StatusForbidden, get(acme, "/api/v1/incidents/"+was.ID).Status)
		require.Contains(t, get(acme, "/api/v1/tenants/acme/traces").Body, `"traces":[]`)
		require.Contains(t, get(r.admin, "/api/v1/tenants/acme/traces").Body, `"why":"failing"`)
		require.NotContains(t, get(both, "/api/v1/incidents/"+was.ID).Body, "acme", "of what it shares with a neighbour the neighbour's")
		require.Contains(t, get(r.admin, "/api/v1/incidents/"+was.ID).Body, `"former_tenants":["acme"]`)
		page := get(r.admin, "/incidents/"+was.ID).Body
		require.Contains(t, page, "offboarded since")
		require.NotContains(t, page, "The second")
		require.Contains(t, get(acme, "/api/v1/tenants/acme/status").Body, `"last_sample_at":null`, "nor is anything learned of it")
	}
	old()
	require.NoError(t, r.Stop(context.Background()))
	r = start(t, dir)
	old()

	push(0, 3, "new")
	spans(0)
	require.Equal(t, map[string]string{"acme": "3"}, r.query(t, acme, "", "max by (tenant) (max_over_time(up[1h]))"))
	require.Contains(t, get(acme, "/prometheus/api/v1/label/secret/values").Body, `"data":["new"]`)
	require.Contains(t, get(acme, "/api/v1/tenants/acme/traces").Body, `"why":"failing"`)
	require.NoError(t, r.Fire(t.Context(), firing("acme", time.Now().UTC().Add(time.Second))))
	require.Eventually(t, func() bool { return strings.Contains(get(acme, "/api/v1/alerts").Body, "payment_errors") }, 20*time.Second, 50*time.Millisecond)
	require.Contains(t, get(acme, "/api/v1/incidents").Body, `"title":""`)
}

// TestAQueryAsksNothingOfTheOneBefore: what a rule's query looks back upon is the tenant's own.
func TestAQueryAsksNothingOfTheOneBefore(t *testing.T) {
	r, write := reloadRig(t)
	write("policy.yaml", strings.Replace(queuePolicy, "(queue_length) > 100", "(max_over_time(queue_length[1h])) > 100", 1))
	r.reload(t, http.StatusOK)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{"features":["queues"]}`)
	}
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", queues(time.Now().Add(-time.Second), 140)...).Status)
	r.want(t, http.StatusNoContent, http.MethodDelete, "/api/v1/tenants/acme", "")
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"features":["queues"]}`)
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", queues(time.Now(), 7)...).Status)
	alerts := func() string { return r.want(t, http.StatusOK, http.MethodGet, "/api/v1/alerts", "").Body }
	require.Eventually(t, func() bool { r.Ask(t.Context()); return strings.Contains(alerts(), `"bolt"`) }, 20*time.Second, 50*time.Millisecond)
	r.Hold("acme")() // it has answered too
	require.NotContains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=tenant/acme", "").Body, "alert.firing")
}
