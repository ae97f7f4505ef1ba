package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

func TestFeaturesAreSwitchedUnderARevision(t *testing.T) {
	r := start(t, t.TempDir())
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	do := func(method, match string) reply {
		return r.do(t, call{Method: method, Path: "/api/v1/tenants/acme/features/refunds", Token: r.admin, Header: map[string]string{"If-Match": match}})
	}
	require.Equal(t, http.StatusConflict, do(http.MethodPost, `"9"`).Status)
	require.Equal(t, http.StatusBadRequest, do(http.MethodPost, `"x"`).Status)
	got := do(http.MethodPost, `"1"`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, `"2"`, got.Header.Get("ETag"))
	require.Contains(t, got.Body, `"refund_errors"`)
	require.Equal(t, `"2"`, do(http.MethodPost, "").Header.Get("ETag"), "opting in twice is no new revision")
	require.Equal(t, http.StatusConflict, do(http.MethodDelete, `"1"`).Status)
	got = do(http.MethodDelete, `"2"`)
	require.Equal(t, `"3"`, got.Header.Get("ETag"))
	require.NotContains(t, got.Body, `"refund_errors"`)
	r.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/tenants/acme/features/NOT-ONE", "")
	r.want(t, http.StatusNotFound, http.MethodPost, "/api/v1/tenants/nobody/features/refunds", "")

	var list struct {
		Items []struct {
			Number  int
			Cause   string
			Author  string
			Reasons []string
			Diff    struct {
				Words          []string
				Added, Removed []struct{ Name string }
			}
		}
	}
	got = r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile/revisions", "")
	got.into(t, &list)
	require.NotContains(t, got.Body, "null,")
	require.Len(t, list.Items, 3)
	require.Equal(t, "onboarded", list.Items[0].Cause)
	require.NotEmpty(t, list.Items[0].Diff.Added, "at first all is added")
	require.Equal(t, "the tenant opted in to refunds", list.Items[1].Cause)
	require.Equal(t, "refund_errors", list.Items[1].Diff.Added[0].Name)
	require.Equal(t, "refund_errors", list.Items[2].Diff.Removed[0].Name)
	require.Equal(t, "token:admin", list.Items[2].Author)
	require.Equal(t, http.StatusConflict, r.do(t, call{Method: http.MethodDelete, Path: "/api/v1/tenants/acme", Token: r.admin, Header: map[string]string{"If-Match": `"1"`}}).Status)
	require.Equal(t, http.StatusNoContent, r.do(t, call{Method: http.MethodDelete, Path: "/api/v1/tenants/acme", Token: r.admin, Header: map[string]string{"If-Match": `"3"`}}).Status)
}

// TestNamesThatNobodyKnowsAreTold: they are taken, as the policy may come later, and the
// answer says so; to opt out of what neither the tenant has nor the policy knows is refused.
func TestNamesThatNobodyKnowsAreTold(t *testing.T) {
	r := start(t, t.TempDir())
	got := r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"services":["paymetns"],"countries":["germany"],"features":["payuots"]}`)
	require.Contains(t, got.Body, "nothing of the service paymetns is watched: neither policy nor catalog knows it; did you mean payments?")
	require.Contains(t, got.Body, "the country germany is not named by two letters")
	require.Contains(t, got.Body, "the policy does not know it; did you mean payouts?")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodPost, "/api/v1/tenants/acme/features/refnds", "").Body, "feature refnds: the policy does not know it; did you mean refunds?")
	got = r.want(t, http.StatusUnprocessableEntity, http.MethodDelete, "/api/v1/tenants/acme/features/payuot", "")
	require.Contains(t, got.Body, "did you mean payuots?")
	require.NotContains(t, r.want(t, http.StatusOK, http.MethodDelete, "/api/v1/tenants/acme/features/payuots", "").Body, "payouts?")
	r.want(t, http.StatusOK, http.MethodDelete, "/api/v1/tenants/acme/features/payouts", "")

	r, write := reloadRig(t)
	write("catalog.yaml", strings.Replace(reloadCatalog, "services: [", "services: [{id: settlement, team: payments}, ", 1))
	r.reload(t, http.StatusOK)
	require.NotContains(t, r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"services":["payments","settlement"]}`).Body, "nothing of the service")
}

// TestAPurgeErasesOneTenant: series, records, the incident that was its alone
// and the picture are gone, also after a restart that reads the journal again;
// neighbours and the ledger stay.
func TestAPurgeErasesOneTenant(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	now := time.Now()
	push := func(r *rig) {
		for i, id := range []string{"acme", "bolt"} {
			got := r.push(t, r.admin, id, series(now, float64(i+1), "payment_transactions_total", "result", "error"), series(now, 1, "up"))
			require.Equal(t, http.StatusNoContent, got.Status, got.Body)
		}
	}
	push(r)
	require.Equal(t, map[string]string{"acme": "1", "bolt": "2"}, r.query(t, r.admin, "", "payment_transactions_total"))

	at := now.UTC().Truncate(time.Second)
	mine := firing("acme", at)
	require.NoError(t, r.Fire(t.Context(), mine))
	var list struct {
		Items []struct {
			ID, State string
			Dashboard struct{ Blob string }
		}
	}
	picture := ""
	require.Eventually(t, func() bool {
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents", "").into(t, &list)
		if len(list.Items) == 1 {
			picture = "/api/v1/incidents/" + list.Items[0].ID + "/picture"
			return r.do(t, call{Method: http.MethodGet, Path: picture, Token: r.admin}).Status == http.StatusOK
		}
		return false
	}, 30*time.Second, 50*time.Millisecond)
	ends := func(at time.Time) {
		mine.State, mine.EndsAt, mine.AsOf = alert.Resolved, &at, at
		require.NoError(t, r.Fire(t.Context(), mine))
		require.Eventually(t, func() bool {
			var doc struct {
				State  string
				Ticket struct {
					Desired   int `json:"desired_version"`
					Delivered int `json:"delivered_version"`
				}
			}
			r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+list.Items[0].ID, "").into(t, &doc)
			return doc.State == "resolved" && doc.Ticket.Delivered == doc.Ticket.Desired
		}, 30*time.Second, 50*time.Millisecond)
	}
	ends(at.Add(time.Second))
	mine.State, mine.EndsAt, mine.AsOf = alert.Firing, nil, at.Add(2*time.Second) // it is opened again, with a picture of its own
	require.NoError(t, r.Fire(t.Context(), mine))
	require.Eventually(t, func() bool {
		return r.state(t, list.Items[0].ID) == "open" && r.do(t, call{Method: http.MethodGet, Path: picture, Token: r.admin}).Status == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	ends(at.Add(3 * time.Second))

	r.want(t, http.StatusBadRequest, http.MethodDelete, "/api/v1/tenants/acme?purge=yes", "")
	var erased struct{ Series, Records, Incidents, Pictures, Kept int }
	r.want(t, http.StatusOK, http.MethodDelete, "/api/v1/tenants/acme?purge=true", "").into(t, &erased)
	require.Equal(t, 2, erased.Series)
	require.Equal(t, 1, erased.Incidents)
	require.Equal(t, 2, erased.Pictures, "of both openings")
	require.Zero(t, erased.Kept)
	require.GreaterOrEqual(t, erased.Records, 3)
	gone := func(r *rig) {
		require.Equal(t, map[string]string{"bolt": "2"}, r.query(t, r.admin, "", "payment_transactions_total"))
		r.want(t, http.StatusNotFound, http.MethodGet, "/api/v1/tenants/acme", "")
		r.want(t, http.StatusNotFound, http.MethodGet, "/api/v1/tenants/acme/profile/revisions", "")
		require.Equal(t, http.StatusNotFound, r.do(t, call{Method: http.MethodGet, Path: picture, Token: r.admin}).Status)
		require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/why/acme", "").Body, "of tenant acme were erased: 2 series")
	}
	gone(r)
	require.NoError(t, r.Stop(t.Context()))
	r = start(t, dir)
	gone(r)

	got := r.push(t, r.admin, "acme", series(now.Add(time.Second), 7, "payment_transactions_total", "result", "error"))
	require.Equal(t, http.StatusNoContent, got.Status, got.Body)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/unknown-tenants", "").Body, `"acme"`, "who goes on sending is unknown")
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	require.Equal(t, map[string]string{"acme": "7", "bolt": "2"}, r.query(t, r.admin, "", "payment_transactions_total"), "what comes after the purge is kept")
}

// TestAPurgeTakesExemplars: they lead to traces of the tenant's customers.
func TestAPurgeTakesExemplars(t *testing.T) {
	r := start(t, t.TempDir())
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
		body := fmt.Sprintf(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":%q}}]},"scopeMetrics":[{"metrics":[{"name":"payment.transactions","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"%[2]d","asInt":"1","exemplars":[{"timeUnixNano":"%[2]d","asInt":"1","traceId":"%032x","spanId":"00000000000000aa"}]}]}}]}]}]}`,
			id, time.Now().UnixNano(), id)
		got := r.do(t, call{Method: http.MethodPost, Path: "/v1/metrics", Token: r.admin, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
		require.Equal(t, http.StatusOK, got.Status, got.Body)
	}
	exemplars := func() string {
		return r.do(t, call{Method: http.MethodGet, Path: "/prometheus/api/v1/query_exemplars?query=payment_transactions_total", Token: r.admin}).Body
	}
	acme, bolt := fmt.Sprintf("%032x", "acme"), fmt.Sprintf("%032x", "bolt")
	require.Eventually(t, func() bool { return strings.Contains(exemplars(), acme) && strings.Contains(exemplars(), bolt) }, 20*time.Second, 50*time.Millisecond)
	r.want(t, http.StatusOK, http.MethodDelete, "/api/v1/tenants/acme?purge=true", "")
	require.NotContains(t, exemplars(), acme)
	require.Contains(t, exemplars(), bolt)
}
