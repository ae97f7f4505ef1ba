package app_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
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

// TestEvaluationThatLagsIsNotBuried: what waits in memory is bounded; senders are
// told to come again, and nothing that was accepted is lost.
func TestEvaluationThatLagsIsNotBuried(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) { c.Limits.WaitingSamples = 2 })
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	begin := time.Now().Add(-time.Minute)
	push := func(i int) reply {
		return r.push(t, r.admin, "", series(begin.Add(time.Duration(i)*time.Second), float64(i), counted, "tenant", "acme", "result", "success"))
	}
	release := r.Hold("acme")
	defer release()
	for i := range 3 {
		require.Equal(t, http.StatusNoContent, push(i).Status)
	}
	got := push(3)
	require.Equal(t, http.StatusServiceUnavailable, got.Status)
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	require.Contains(t, got.Body, "lags")
	release()
	require.Eventually(t, func() bool { return push(3).Status == http.StatusNoContent }, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		st := r.tenantStatus(t, "acme")
		return st.LastSampleAt != nil && st.LastSampleAt.Equal(begin.Add(3*time.Second).UTC().Truncate(time.Millisecond))
	}, 10*time.Second, 10*time.Millisecond)
	require.Zero(t, r.tenantStatus(t, "acme").LateSamples)
}

// TestAFullJournal: senders are told to wait, and people's work goes on.
func TestAFullJournal(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) { c.Limits.JournalBytes = 64 << 10 })
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	in := r.incident(t)
	var got reply
	for i := range 200 {
		text := make([]byte, 3000)
		for j := range text { // what snappy cannot make smaller
			text[j] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[rand.IntN(62)]
		}
		if got = r.push(t, r.admin, "", series(time.Now(), float64(i), "m", "tenant", "acme", "x", string(text))); got.Status != http.StatusNoContent {
			break
		}
	}
	require.Equal(t, http.StatusTooManyRequests, got.Status, got.Body)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Contains(t, got.Body, "journal")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/status", "").Body, "the journal is")
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/incidents/"+in.ID+"/acknowledge", `{}`)
}
