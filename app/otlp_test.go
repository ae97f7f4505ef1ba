package app_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/otlp"
)

// otlpJSON is a request of one counter of each tenant.
func otlpJSON(at time.Time, v int, tenants ...string) string {
	var out []string
	for _, id := range tenants {
		out = append(out, fmt.Sprintf(`{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":%q}}]},"scopeMetrics":[{"metrics":[{"name":"seen","sum":{"aggregationTemporality":2,"isMonotonic":true,`+
			`"dataPoints":[{"timeUnixNano":"%d","asInt":"%d"}]}}]}]}`, id, at.UnixNano(), v))
	}
	return `{"resourceMetrics":[` + strings.Join(out, ",") + `]}`
}

// TestOTLPIsThereAfterARestart: what was answered with success is in the journal
// and is read from there as it was taken, whatever the token may do later.
func TestOTLPIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	_, sender := r.token(t, "sender", time.Time{}, "acme")
	send := func(path, org, body string) reply {
		h := map[string]string{"Content-Type": "application/json"}
		if org != "" {
			h["X-Scope-OrgID"] = org
		}
		return r.do(t, call{Method: http.MethodPost, Path: path, Token: sender, Header: h, Body: body})
	}
	now := time.Now().Add(-time.Second)
	got := send("/v1/metrics", "", otlpJSON(now, 3, "acme", "bolt"))
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `"rejectedDataPoints":"1"`)
	require.Contains(t, got.Body, "of a tenant the token or X-Scope-OrgID does not cover")
	require.Equal(t, http.StatusOK, send("/otlp/v1/metrics", "acme", otlpJSON(now.Add(time.Second), 4, "acme")).Status)
	require.Equal(t, http.StatusForbidden, send("/v1/metrics", "bolt", otlpJSON(now, 9, "acme")).Status)
	require.Equal(t, http.StatusBadRequest, send("/v1/metrics", "", "{").Status)
	require.Equal(t, map[string]string{"acme": "4"}, r.query(t, r.admin, "", "seen_total"))
	require.NoError(t, r.Stop(context.Background()))
	r = start(t, dir)
	require.Equal(t, map[string]string{"acme": "4"}, r.query(t, r.admin, "", "seen_total"))
	require.Equal(t, map[string]string{"acme": "2"}, r.query(t, r.admin, "", "count_over_time(seen_total[1m])"))
}

// TestOTLPThatIsLateOrTwice: what a sender's clock or its retries spoil is
// counted where somebody sees it, and spoils nothing else.
func TestOTLPThatIsLateOrTwice(t *testing.T) {
	r := start(t, t.TempDir())
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	h := map[string]string{"Content-Type": "application/json"}
	now := time.Now().Add(-time.Second)
	body := func(at time.Time) string {
		return strings.Replace(otlpJSON(at, 3, "acme"), `"name":"seen"`, `"name":"payment.transactions"`, 1)
	}
	for _, c := range []struct {
		at   time.Time
		says string
	}{
		{now, `{"partialSuccess":{}}`},
		{now, `{"partialSuccess":{}}`},
		{now.Add(-30 * time.Second), `{"partialSuccess":{}}`},
		{now.Add(-24 * time.Hour), `{"partialSuccess":{}}`},
		{now.Add(24 * time.Hour), `too far ahead of now`},
	} {
		got := r.do(t, call{Method: http.MethodPost, Path: "/v1/metrics", Token: r.admin, Header: h, Body: body(c.at)})
		require.Equal(t, http.StatusOK, got.Status)
		require.Contains(t, got.Body, c.says)
	}
	require.Equal(t, map[string]string{"acme": "3"}, r.query(t, r.admin, "", "count_over_time(payment_transactions_total[2d])"), "each moment once, the late ones too")
	var status struct {
		Series int
		Late   int64 `json:"late_samples"`
	}
	require.Eventually(t, func() bool {
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/status", "").into(t, &status)
		return status.Late >= 3
	}, 20*time.Second, 20*time.Millisecond)
	require.EqualValues(t, 3, status.Late, "the second, the one half a minute late and the one a day late")
}

// TestAStopDoesNotWaitForACallThatNeverEnds: its sender sends again later.
func TestAStopDoesNotWaitForACallThatNeverEnds(t *testing.T) {
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Options{StoragePath: dir, ListenAddress: "127.0.0.1:0", OTLPAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	raw, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	conn, err := grpc.NewClient(a.OTLPAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+strings.TrimSpace(string(raw)))
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, otlp.Metrics.Method())
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, a.Stop(context.Background()))
	require.Less(t, time.Since(began), 15*time.Second)
	require.Error(t, s.RecvMsg(&emptypb.Empty{}))
}
