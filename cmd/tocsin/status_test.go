package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// push sends samples as the administrator.
func (d daemon) push(t *testing.T, samples ...simulate.Sample) {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(d.dir, "admin.token"))
	require.NoError(t, err)
	body, err := simulate.EncodeV1(samples)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/api/v1/push", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(secret)))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = res.Body.Close()
}

func TestStatusSaysWhatArrives(t *testing.T) {
	d := start(t)
	d.ok(t, "tenant", "apply", "-f", file(t, "- id: acme\n- id: quiet\n- id: idle\n  state: paused\n"))
	sample := func(at time.Time, pairs ...string) simulate.Sample {
		return simulate.Sample{Labels: labels.FromStrings(pairs...), T: at, Value: 1}
	}
	now := time.Now()
	d.push(t, sample(now, "__name__", "payment_transactions_total", "tenant", "acme", "result", "success"),
		sample(now, "__name__", "payment_transaction_total", "tenant", "acme", "result", "success"),
		sample(now.Add(time.Hour), "__name__", "payment_transactions_total", "tenant", "acme", "result", "error"),
		sample(now, "__name__", "up", "tenant", "stranger"))

	var one string
	require.Eventually(t, func() bool {
		one = d.ok(t, "status", "acme")
		return bytes.Contains([]byte(one), []byte("1 match an SLI"))
	}, 10*time.Second, 20*time.Millisecond)
	require.Regexp(t, `state +live`, one)
	require.Regexp(t, `learning +only hard faults`, one)
	require.Contains(t, one, "too_far_ahead 1")
	require.Regexp(t, `no SLI for +payment_transaction_total \(1 samples\)`, one)
	require.Regexp(t, `no series for .*payment_duration`, one)
	var doc tenants.TenantStatus
	require.NoError(t, json.Unmarshal([]byte(d.ok(t, "status", "acme", "--output", "json")), &doc))
	require.Equal(t, int64(2), doc.Usage.Accepted)
	require.NotNil(t, doc.LastSampleAt)

	require.Eventually(t, func() bool { // the history opens behind the serving daemon
		return bytes.Contains([]byte(d.ok(t, "status")), []byte("open"))
	}, 20*time.Second, 20*time.Millisecond)
	all := d.ok(t, "status")
	require.Regexp(t, `tenants +2 live, 0 onboarding, 1 paused, 0 retired`, all)
	require.Regexp(t, `0 blind, 1 never sent, 1 young, 1 unknown`, all)
	require.Regexp(t, `incidents +0 open`, all)
	require.Regexp(t, `deliveries +nothing waits`, all)
	require.Contains(t, all, "takes samples in")
	require.Contains(t, all, "tocsin tenant unknown")
	var health health.StatusAnswer
	require.NoError(t, json.Unmarshal([]byte(d.ok(t, "status", "--output", "json")), &health))
	require.Positive(t, health.SamplesPerSecond)
	require.Equal(t, map[string]int64{"too_far_ahead": 1}, health.Refused)
	require.NotZero(t, health.Disk.Total)
	_, said, code := d.run(t, "status", "stranger")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "tocsin tenant unknown")
}
