package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var named = regexp.MustCompile(`"customer":"(cus_[0-9a-f]+)"`)

// oneCustomer requires that somebody who fails at two replicas is one customer to both.
func oneCustomer(t *testing.T, tenant, sender string, replicas ...*rig) {
	t.Helper()
	names := func(r *rig) []string {
		var out []string
		for _, m := range named.FindAllStringSubmatch(r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+tenant+"/traces", "").Body, -1) {
			out = append(out, m[1])
		}
		return out
	}
	traces, known := 0, 0
	for _, at := range replicas {
		require.Eventually(t, func() bool { // in the first seconds there is no key yet
			traces++
			now := time.Now()
			got := at.do(t, call{Method: http.MethodPost, Path: "/v1/traces", Token: sender, Header: map[string]string{"Content-Type": "application/json"},
				Body: fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"payments"}},{"key":"tenant.id","value":{"stringValue":%q}}]},"scopeSpans":[{"spans":[
					{"traceId":"%032x","spanId":"%016x","name":"POST /payments","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{"code":2},"attributes":[{"key":"customer.id","value":{"stringValue":"jo@example.com"}}]}]}]}]}`,
					tenant, traces, traces, now.Add(-time.Millisecond).UnixNano(), now.UnixNano())})
			require.Equal(t, http.StatusOK, got.Status, got.Body)
			return len(names(at)) > known
		}, 20*time.Second, 200*time.Millisecond)
		known = len(names(at))
	}
	for _, r := range replicas {
		all := names(r)
		require.GreaterOrEqual(t, len(all), len(replicas))
		for _, name := range all {
			require.Equal(t, all[0], name, "whichever replica it failed at")
		}
		require.Eventually(t, func() bool {
			body := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+tenant+"/status", "").Body
			return regexp.MustCompile(`"customers":\{"by":"spans","this_hour":1,`).MatchString(body)
		}, 10*time.Second, 100*time.Millisecond)
	}
}
