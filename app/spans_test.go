package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spanJSON is a request of n server spans of a tenant that ended at a time, one of
// them with an error.
func spanJSON(at time.Time, n int, tenant string) string {
	var out []string
	for i := range n {
		status := ""
		if i == 0 {
			status = `,"status":{"code":2}`
		}
		out = append(out, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","name":"POST /payments for jo@example.com","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"%s}`,
			i+1, i+1, at.Add(-50*time.Millisecond).UnixNano(), at.UnixNano(), status))
	}
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"payments"}},{"key":"tenant.id","value":{"stringValue":%q}}]},"scopeSpans":[{"spans":[%s]}]}]}`,
		tenant, strings.Join(out, ","))
}

// TestSpansAreThereAfterARestart: what was answered with success counts once,
// whatever part of it the series held when the daemon stopped, and the tenant's
// status goes on.
func TestSpansAreThereAfterARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a step is written")
	}
	dir := t.TempDir()
	r := start(t, dir)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	_, sender := r.token(t, "sender", time.Time{}, "acme")
	send := func(r *rig, body string) reply {
		return r.do(t, call{Method: http.MethodPost, Path: "/v1/traces", Token: sender, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
	}
	began := time.Now()
	require.Equal(t, http.StatusOK, send(r, spanJSON(began.Add(-50*time.Second), 5, "acme")).Status) // its step is over: due at once
	require.Equal(t, http.StatusOK, send(r, spanJSON(began, 7, "acme")).Status)                      // due in half a minute
	got := send(r, spanJSON(began, 3, "bolt"))
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `"rejectedSpans":"3"`)
	require.Equal(t, http.StatusBadRequest, send(r, "{").Status)
	traces := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/traces", "")
	require.Contains(t, traces.Body, `"why":"failing"`)
	require.Contains(t, traces.Body, "[mail]")
	require.NotContains(t, traces.Body, "jo@example.com")
	require.NoError(t, r.Stop(context.Background()))

	r = start(t, dir)
	status := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/status", "")
	require.Contains(t, status.Body, `"source":"spans"`)
	require.Eventually(t, func() bool {
		return r.query(t, r.admin, "", `sum by (tenant) (traces_spanmetrics_calls_total)`)["acme"] == "12"
	}, 60*time.Second, 500*time.Millisecond, "each span once")
	require.Equal(t, "2", r.query(t, r.admin, "", `sum by (tenant) (traces_spanmetrics_calls_total{status="error"})`)["acme"])
}
