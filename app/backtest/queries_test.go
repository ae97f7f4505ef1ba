package backtest_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const queuePolicy = `version: 1
environments: [production]
volume: {sli: payments}
slis: [{name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}}]
rules:
  - {name: queue_grows, kind: promql, expr: 'max by (tenant, queue) (queue_length) > 100', for: 5m, service: payments, severity: critical, features: [queues], summary: s, runbook_url: https://r}
`

// queueDirectory records four hours of a payment counter and a queue that is too long
// from the second hour on, for forty minutes, of each tenant.
func queueDirectory(t *testing.T, ids ...string) recorded.Source {
	t.Helper()
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.StripeSize = 1 << 10
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	for at := begin; at.Before(begin.Add(4 * time.Hour)); at = at.Add(15 * time.Second) {
		app := db.Appender(t.Context())
		minutes := at.Sub(begin).Minutes()
		length := 10.0
		if minutes >= 60 && minutes < 100 {
			length = 300
		}
		for _, id := range ids {
			_, err := app.Append(0, labels.FromStrings("__name__", "payment_transactions_total", "tenant", id, "result", "success"), at.UnixMilli(), minutes*60)
			require.NoError(t, err)
			_, err = app.Append(0, labels.FromStrings("__name__", "queue_length", "tenant", id, "queue", "out"), at.UnixMilli(), length)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, db.Close())
	src, err := recorded.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

// TestQueriesRingInABacktestAsLive: for who opted in, after its time, and with an override
// as long as that lasts.
func TestQueriesRingInABacktestAsLive(t *testing.T) {
	src := queueDirectory(t, "acme", "bolt", "calm")
	from, to, err := src.Span(t.Context())
	require.NoError(t, err)
	p, err := profiles.Parse("p", []byte(queuePolicy+"overrides: [{tenant: bolt, rule: queue_grows, off: true, until: "+begin.Add(80*time.Minute).Format(time.RFC3339)+", reason: r, by: b}]\n"))
	require.NoError(t, err)
	require.True(t, backtest.Asks(p))
	o := backtest.Options{Policy: p, Catalog: catalog.Default(), Tenants: []tenant.Tenant{{ID: "acme", Features: []string{"queues"}}, {ID: "bolt", Features: []string{"queues"}}, {ID: "calm"}}}
	o.Queries, err = backtest.Ask(t.Context(), src.(recorded.Stored), o, from, to)
	require.NoError(t, err)
	r, err := backtest.New(o, from)
	require.NoError(t, err)
	require.NoError(t, backtest.Run(t.Context(), src, from, to, nil, r))
	lines := r.Lines()
	require.Len(t, lines, 2)
	require.Equal(t, "acme", lines[0].Tenant)
	require.Equal(t, map[string]string{"queue": "out"}, lines[0].Slice)
	require.Equal(t, begin.Add(60*time.Minute), lines[0].OnsetAt)
	require.Equal(t, begin.Add(65*time.Minute), lines[0].StartsAt)
	require.Equal(t, begin.Add(100*time.Minute), *lines[0].EndsAt)
	require.True(t, lines[0].Pages)
	require.Equal(t, "bolt", lines[1].Tenant)
	require.WithinDuration(t, begin.Add(85*time.Minute), lines[1].StartsAt, time.Minute, "its override has ended, and five minutes are over")

	o.Queries = nil
	r, err = backtest.New(o, from)
	require.NoError(t, err)
	require.NoError(t, backtest.Run(t.Context(), src, from, to, nil, r))
	require.Empty(t, r.Lines(), "a source that cannot be asked leaves them out")
}
