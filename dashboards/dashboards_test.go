package dashboards

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func payments() rule.Rule {
	return rule.Rule{
		Name: "payment-errors", Kind: rule.Errors, Service: "payments", Severity: rule.Critical, Summary: "Payments fail",
		SLI: sli.Spec{
			Name: "payments", Source: sli.Metrics, Metric: "payment_transactions_total",
			Total: []sli.Match{{Label: "operation", Values: []string{"", "payment"}}},
			Bad:   []sli.Match{{Label: "result", Values: []string{"error"}}}, Slices: []string{"acquirer", "method"},
		},
	}
}

// TestQueriesGiveTheNumbers runs every panel in a real engine.
func TestQueriesGiveTheNumbers(t *testing.T) {
	st := promqltest.LoadedStorage(t, `
load 15s
  payment_transactions_total{environment="production",tenant="acme",acquirer="alpha",method="card",result="success"} 0+75x40
  payment_transactions_total{environment="production",tenant="acme",acquirer="alpha",method="card",result="error"} 0+25x40
  payment_transactions_total{environment="production",tenant="acme",acquirer="beta",method="card",result="success"} 0+100x40
  payment_transactions_total{environment="production",tenant="other",acquirer="alpha",method="card",result="success"} 0+200x40
  payment_transactions_total{environment="staging",tenant="acme",acquirer="alpha",method="card",result="error"} 0+900x40
  payment_transactions_total{environment="production",tenant="idle",acquirer="alpha",method="card",result="success"} 7x40
`)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	run := func(q string) map[string]float64 {
		query, err := engine.NewInstantQuery(context.Background(), st, nil, q, time.Unix(600, 0))
		require.NoError(t, err, q)
		defer query.Close()
		vec, err := query.Exec(context.Background()).Vector()
		require.NoError(t, err, q)
		out := map[string]float64{}
		for _, s := range []promql.Sample(vec) {
			out[s.Metric.String()] = math.Round(s.F*1e6) / 1e6
		}
		return out
	}
	d := ForRule(payments(), "production").For("acme", nil)
	require.Equal(t, map[string]float64{`{}`: 0.125}, run(d.Panels[0].Queries[0].PromQL))
	require.Equal(t, map[string]float64{`{}`: 800}, run(d.Panels[1].Queries[0].PromQL))
	require.Equal(t, "Failing by acquirer", d.Panels[2].Title)
	require.Equal(t, map[string]float64{`{acquirer="alpha"}`: 0.25, `{acquirer="beta"}`: 0}, run(d.Panels[2].Queries[0].PromQL))

	all := ForRule(payments(), "production")
	require.Equal(t, "Failing by tenant", all.Panels[2].Title)
	require.Equal(t, map[string]float64{`{tenant="acme"}`: 0.125, `{tenant="other"}`: 0}, run(all.Panels[2].Queries[0].PromQL))

	beta := all.For("acme", sli.Slice{{Label: "acquirer", Value: "beta"}})
	require.Equal(t, map[string]float64{`{}`: 0}, run(beta.Panels[0].Queries[0].PromQL), "no failures is 0, not absent")
	idle := all.For("idle", nil)
	require.Empty(t, run(idle.Panels[0].Queries[0].PromQL), "no traffic has no ratio")
	for _, p := range beta.Panels {
		require.NotEqual(t, "Failing by acquirer", p.Title)
		for _, q := range p.Queries {
			require.NotContains(t, q.PromQL, "anchored")
		}
	}
}

func TestDashboardIsDeterministic(t *testing.T) {
	one, err := json.Marshal(ForRule(payments(), "production").For("acme", sli.Slice{{Label: "acquirer", Value: "alpha"}}))
	require.NoError(t, err)
	for range 20 {
		again, err := json.Marshal(ForRule(payments(), "production").For("acme", sli.Slice{{Label: "acquirer", Value: "alpha"}}))
		require.NoError(t, err)
		require.Equal(t, string(one), string(again))
	}
}

func TestPathOpensAtTheFiring(t *testing.T) {
	d := ForRule(payments(), "production")
	slice := sli.Slice{{Label: "acquirer", Value: "a=b&c d/é"}, {Label: "method", Value: ""}}
	fired := onset.Add(3 * time.Minute)
	path := d.Path("acme", slice, onset, fired)
	require.True(t, strings.HasPrefix(path, "/dashboards/payment-errors?at=2026-03-03T02%3A12%3A00Z&from=2026-03-03T01%3A09%3A00Z"), path)

	u, err := url.Parse(path)
	require.NoError(t, err)
	s, err := ParseQuery(u.Query(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, Span{Tenant: "acme", Slice: slice, From: onset.Add(-time.Hour), To: fired.Add(30 * time.Minute), At: fired}, s)
	require.Equal(t, path, d.PathTo(s))
	require.Equal(t, path, d.Path("acme", slice, onset, fired))

	// A fault noticed a year late still gives a link that opens.
	u, err = url.Parse(d.Path("acme", nil, onset.AddDate(-1, 0, 0), fired))
	require.NoError(t, err)
	_, err = ParseQuery(u.Query(), fired)
	require.NoError(t, err)
}

func TestParseQueryFillsAndRefuses(t *testing.T) {
	now := onset
	s, err := ParseQuery(url.Values{}, now)
	require.NoError(t, err)
	require.Equal(t, tenant.Product, s.Tenant)
	require.Equal(t, now, s.To)
	require.Equal(t, 90*time.Minute, s.Length())
	s, err = ParseQuery(url.Values{"at": {"2026-03-03T03:12:00+01:00"}}, now)
	require.NoError(t, err)
	require.Equal(t, onset.Add(3*time.Minute), s.At)
	require.Equal(t, onset.Add(-57*time.Minute), s.From)

	for name, q := range map[string]string{
		"tenant": "tenant=a%2Fb", "time": "from=yesterday", "turned": "from=2026-03-03T02:00:00Z&to=2026-03-03T01:00:00Z",
		"long": "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "slice": "slice=acquirer", "label": "slice=a-b%3Dc",
		"twice": "slice=a%3D1&slice=a%3D2", "many": strings.Repeat("slice=a%3D1&", 9), "far": "at=99999-01-01T00:00:00Z",
	} {
		v, err := url.ParseQuery(q)
		require.NoError(t, err)
		_, err = ParseQuery(v, now)
		require.True(t, problem.Is(err, problem.Invalid), "%s: %v", name, err)
	}
}

func TestSpanMovesAndZooms(t *testing.T) {
	s := Span{Tenant: "acme", From: onset, To: onset.Add(time.Hour), At: onset.Add(10 * time.Minute)}
	require.Equal(t, s, s.Later().Earlier())
	require.Equal(t, onset.Add(30*time.Minute), s.Later().From)
	in := s.ZoomIn()
	require.Equal(t, 30*time.Minute, in.Length())
	require.Equal(t, s.At, in.From.Add(15*time.Minute), "the moment of interest stays in the middle")
	require.Equal(t, minSpan, in.ZoomIn().ZoomIn().ZoomIn().Length())
	for range 20 {
		s = s.ZoomOut()
		require.LessOrEqual(t, int(s.Length()/s.Step()), 372)
	}
	require.Equal(t, maxSpan, s.Length())
}
