package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// TestABacktestTellsWhatWouldHaveRung runs the command over a Prometheus data
// directory in which an acquirer fails, beside the rule that its users have.
func TestABacktestTellsWhatWouldHaveRung(t *testing.T) {
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	broke := begin.Add(26 * time.Hour)
	g, err := simulate.New(simulate.Options{Seed: 3, Start: begin, Tick: 5 * time.Second,
		Tenants: []simulate.Tenant{{ID: "acme", TPS: 3, Methods: []simulate.Share{{Name: "card", Weight: 1}}, Countries: []simulate.Share{{Name: "DE", Weight: 1}},
			Acquirers: []simulate.Share{{Name: "alpha", Weight: 1}, {Name: "beta", Weight: 1}}}},
		Faults: []simulate.Fault{{Kind: simulate.AcquirerDown, Acquirer: "alpha", From: broke, To: broke.Add(20 * time.Minute)}}})
	require.NoError(t, err)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.StripeSize = 16<<20, 1<<10
	db, err := tsdb.Open(data, nil, nil, o, nil)
	require.NoError(t, err)
	for at := begin.Add(30 * time.Second); at.Before(broke.Add(time.Hour)); at = at.Add(30 * time.Second) {
		app := db.Appender(t.Context())
		for _, s := range g.Snapshot(at) {
			_, err := app.Append(0, s.Labels, at.UnixMilli(), s.Value)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, db.Compact(t.Context()))
	require.NoError(t, db.Close())
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	tenants := file("tenants.yaml", "- id: acme\n")
	rules := file("rules.yaml", `groups:
  - name: payments
    interval: 1m
    rules:
      - alert: TooManyErrors
        expr: sum by (tenant) (rate(payment_transactions_total{result="error"}[5m])) / sum by (tenant) (rate(payment_transactions_total[5m])) > 0.4
        for: 5m
`)
	faults := file("incidents.csv", fmt.Sprintf("start,end,name,tenant\n%s,%s,alpha down,acme\n%s,%s,nothing really,acme\n",
		broke.Format(time.RFC3339), broke.Add(20*time.Minute).Format(time.RFC3339), begin.Format(time.RFC3339), begin.Add(time.Minute).Format(time.RFC3339)))

	var out, errOut bytes.Buffer
	drawn := filepath.Join(dir, "picture.png")
	code := run(t.Context(), []string{"backtest", "--tenants", tenants, "--input", data, "--rules", rules, "--incidents", faults, "--picture", drawn, "--output", "jsonl"}, &out, &errOut)
	require.Equal(t, exitOK, code, errOut.String())
	raw, err := os.ReadFile(drawn)
	require.NoError(t, err)
	picture, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	require.Equal(t, 2800, picture.Bounds().Dx())
	pages := 0
	for line := range strings.Lines(out.String()) {
		var l struct {
			Tenant, Rule, Severity, Reason string
			Slice                          map[string]string
			StartsAt                       time.Time  `json:"starts_at"`
			EndsAt                         *time.Time `json:"ends_at"`
			Pages                          bool
			Incident                       int
			Hop                            *struct{}
		}
		dec := json.NewDecoder(strings.NewReader(line))
		require.NoError(t, dec.Decode(&l), line)
		require.Equal(t, "acme", l.Tenant)
		require.NotNil(t, l.EndsAt)
		if l.Pages {
			pages++
			require.WithinRange(t, l.StartsAt, broke, broke.Add(90*time.Second))
		}
	}
	require.Equal(t, 1, pages, out.String())
	said := errOut.String()
	for _, want := range []string{"1 page there, 1 of which this policy makes too, 0 gone; 0 added", "this policy: 1 page, 0 of them false; 1 of 2 faults found", "missed  2026-03-02T00:00:00Z  acme  nothing really"} {
		require.Contains(t, said, want)
	}

	out.Reset()
	errOut.Reset()
	require.Equal(t, exitFailure, run(t.Context(), []string{"backtest", "--tenants", tenants, "--input", data, "--from", "2026-03-05T00:00:00Z"}, &out, &errOut))
	require.Contains(t, errOut.String(), "nothing between")
	require.Contains(t, errOut.String(), "recorded is from 2026-03-02T00:00:30Z to 2026-03-03T02:59:30Z")
	errOut.Reset()
	require.Equal(t, exitUsage, run(t.Context(), []string{"backtest", "--tenants", tenants, "--input", data, "--from", "yesterday"}, &out, &errOut))
	require.Contains(t, errOut.String(), "--from: no day and no time; write 2026-03-02 or")
	require.NotContains(t, errOut.String(), "yesterday")
	errOut.Reset()
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	require.Equal(t, exitFailure, run(interrupted, []string{"backtest", "--tenants", tenants, "--input", data, "--from", "2026-03-02"}, &out, &errOut))
	require.Contains(t, errOut.String(), "it was interrupted")
	require.Equal(t, exitFailure, run(t.Context(), []string{"backtest", "--tenants", tenants, "--input", filepath.Join(dir, "nowhere")}, &out, &errOut))
	require.Contains(t, errOut.String(), "OpenMetrics text")
	require.Equal(t, exitUsage, run(t.Context(), []string{"backtest", "--tenants", tenants, "--input", data, "--picture", "picture.gif"}, &out, &errOut))
	require.Contains(t, errOut.String(), ".png or .svg")

	backtest := func(tenants string, more ...string) (int, string) {
		out.Reset()
		errOut.Reset()
		code := run(t.Context(), append([]string{"backtest", "--tenants", tenants, "--input", data, "--to", begin.Add(time.Hour).Format(time.RFC3339)}, more...), &out, &errOut)
		return code, errOut.String()
	}
	code, said = backtest(file("misspelt.yaml", "- id: acmee\n"))
	require.Equal(t, exitFailure, code, "no alerts of nobody read as if all had been well")
	require.Contains(t, said, "its label tenant names others: acme; list those")
	code, said = backtest(tenants, "--config.file", file("tocsin.yaml", "labels: {tenant: merchant}\n"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "its series have no label merchant")
	code, said = backtest(file("two.yaml", "- id: bolt\n- id: corp\n- id: acme\n"), "--incidents", file("others.csv", "start,end,tenant\n2026-03-02T00:10:00Z,2026-03-02T00:20:00Z,dune\n"),
		"--rules", file("all.yaml", "groups: [{name: all, rules: [{alert: Always, expr: vector(1), labels: {tenant: dune}}, {alert: Ever, expr: vector(1), labels: {tenant: bolt}}]}]\n"))
	require.Equal(t, exitOK, code, said)
	for _, want := range []string{"recorded of 2 of the 3 tenants in", ": bolt, corp\n", "whose faults nobody can find: dune", "1 page of ", "and do not count", "1 page there", "0 of 1 faults found\n"} {
		require.Contains(t, said, want)
	}
	_, said = backtest(tenants, "--rules", file("other.yaml", "groups: [{name: all, rules: [{alert: Always, expr: vector(1)}]}]\n"))
	require.Contains(t, said, "1 page there", "what names no tenant concerns all")
}
