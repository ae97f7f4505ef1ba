package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

const queuePolicy = reloadPolicy + `  - name: queue_grows
    kind: promql
    expr: max by (tenant, environment, queue) (queue_length) > 100
    service: payments
    severity: warning
    features: [queues]
    summary: A queue grows
    runbook_url: https://r
  - {name: nobodys, kind: promql, expr: sum(queue_length) > 0, service: payments, severity: critical, summary: It keeps no tenant, runbook_url: https://r}
`

// queues is a gauge that two tenants and nobody send.
func queues(now time.Time, length float64) (out []simulate.Sample) {
	for _, id := range []string{"acme", "bolt", ""} {
		kv := []string{"queue", "out", "environment", "production"}
		if id != "" {
			kv = append(kv, "tenant", id)
		}
		out = append(out, series(now, length, "queue_length", kv...))
	}
	return out
}

// TestAQueryIsARule: who opted in is told of what a query gives, and who did not is not.
func TestAQueryIsARule(t *testing.T) {
	r, write := reloadRig(t)
	write("policy.yaml", queuePolicy)
	r.reload(t, http.StatusOK)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"features":["queues"]}`)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/bolt", `{}`)
	_, sender := r.token(t, "sender", time.Time{}, "*")
	alerts := func() string { return r.want(t, http.StatusOK, http.MethodGet, "/api/v1/alerts", "").Body }

	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", queues(time.Now(), 7)...).Status)
	r.Ask(t.Context())
	require.Never(t, func() bool { return strings.Contains(alerts(), "queue_grows") }, 200*time.Millisecond, 20*time.Millisecond)

	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", queues(time.Now(), 140)...).Status)
	require.Eventually(t, func() bool { r.Ask(t.Context()); return strings.Contains(alerts(), "queue_grows") }, 20*time.Second, 50*time.Millisecond)
	body := alerts()
	require.Contains(t, body, `"kind":"promql"`)
	require.Contains(t, body, `its query gave 140`)
	require.Contains(t, body, `"queue":"out"`)
	require.NotContains(t, body, "bolt", "who did not opt in has no such rule")
	require.Eventually(t, func() bool {
		return strings.Contains(r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents", "").Body, "payments with queue out raise queue_grows for acme")
	}, 20*time.Second, 50*time.Millisecond)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile", "").Body, "nothing is counted, so that it takes no part in the team's budget")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile/explain", "").Body, `"words":"what its query gives, asked once a minute: at once"`)
	page := r.want(t, http.StatusOK, http.MethodGet, "/tenants/acme", "").Body
	require.Regexp(t, `(?s)id="asked".*queue_grows.*what its query gives, asked once a minute: at once.*[Bb]roken`, page)
	require.Regexp(t, `series that are not used.*nobodys`, r.log.String())

	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", queues(time.Now(), 9)...).Status)
	require.Eventually(t, func() bool { r.Ask(t.Context()); return strings.Contains(alerts(), `"state":"resolved"`) }, 20*time.Second, 50*time.Millisecond)

	// Opting out ends what fires, although the query gives it still.
	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", queues(time.Now(), 150)...).Status)
	require.Eventually(t, func() bool { r.Ask(t.Context()); return strings.Contains(alerts(), `its query gave 150`) }, 20*time.Second, 50*time.Millisecond)
	r.want(t, http.StatusOK, http.MethodDelete, "/api/v1/tenants/acme/features/queues", "")
	require.Eventually(t, func() bool {
		r.Ask(t.Context())
		return strings.Contains(alerts(), "no longer evaluated: the rule no longer applies to the tenant")
	}, 20*time.Second, 50*time.Millisecond)
}
