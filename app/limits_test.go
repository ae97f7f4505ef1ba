package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/config"
)

func TestUnknownTenantsAreOnboardedWhereThatIsAutomatic(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) { c.Onboarding, c.Limits.Tenants = "automatic", 1 })
	now := time.Now()
	got := r.push(t, r.admin, "", series(now, 1, "payment_transactions_total", "tenant", "acme", "result", "success"))
	require.Equal(t, http.StatusNoContent, got.Status, got.Body)
	require.Eventually(t, func() bool {
		return r.do(t, call{Method: http.MethodGet, Path: "/api/v1/tenants/acme", Token: r.admin}).Status == http.StatusOK
	}, 10*time.Second, 50*time.Millisecond)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/why/acme", "").Body, "onboarding is automatic")
	require.NotContains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/unknown-tenants", "").Body, "acme")

	got = r.push(t, r.admin, "", series(now, 1, "payment_transactions_total", "tenant", "bolt", "result", "success"))
	require.Equal(t, http.StatusNoContent, got.Status, "one too many is stored all the same: %s", got.Body)
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "limits.tenants") }, 10*time.Second, 50*time.Millisecond)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/unknown-tenants", "").Body, "bolt")
	r.want(t, http.StatusTooManyRequests, http.MethodPut, "/api/v1/tenants/bolt", `{}`)
}

// TestABodyThatDoesNotArriveHoldsNothing: a sender that stops half-way is
// answered when its time is over, and its neighbours do not notice.
func TestABodyThatDoesNotArriveHoldsNothing(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) { c.Limits.RequestTime = time.Second })
	for path, kind := range map[string]string{"/api/v1/push": "application/x-protobuf", "/api/v1/tokens": "application/json", "/v1/metrics": "application/x-protobuf"} {
		c, err := net.Dial("tcp", r.Addr())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n{ ", path, r.admin, kind)
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err, path)
		_ = res.Body.Close()
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, path)
	}
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", series(time.Now(), 1, "up")).Status)
}
