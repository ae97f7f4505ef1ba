package dashboards

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// TestEachKindHasPanelsOfItsOwn runs the panels of the kinds beside errors.
func TestEachKindHasPanelsOfItsOwn(t *testing.T) {
	st := promqltest.LoadedStorage(t, `
load 15s
  payment_transactions_total{environment="production",tenant="acme",acquirer="alpha",result="success"} 0+60x40
  payment_transactions_total{environment="production",tenant="acme",acquirer="alpha",result="declined"} 0+20x40
  payment_duration_seconds_bucket{environment="production",tenant="acme",acquirer="alpha",le="0.5"} 0+50x40
  payment_duration_seconds_bucket{environment="production",tenant="acme",acquirer="alpha",le="1.0"} 0+90x40
  payment_duration_seconds_bucket{environment="production",tenant="acme",acquirer="alpha",le="+Inf"} 0+100x40
`)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	run := func(q string) (out []float64) {
		query, err := engine.NewInstantQuery(context.Background(), st, nil, q, time.Unix(600, 0))
		require.NoError(t, err, q)
		defer query.Close()
		vec, err := query.Exec(context.Background()).Vector()
		require.NoError(t, err, q)
		for _, s := range []promql.Sample(vec) {
			out = append(out, math.Round(s.F*1e3)/1e3)
		}
		return out
	}
	counts := sli.Spec{Metric: "payment_transactions_total", Bad: []sli.Match{{Label: "result", Values: []string{"declined"}}}, Slices: []string{"acquirer"}}
	times := sli.Spec{Metric: sli.Buckets("payment_duration_seconds"), Histogram: "payment_duration_seconds", Slices: []string{"acquirer"}}
	of := func(kind rule.Kind, s sli.Spec) []Panel {
		return ForRule(rule.Rule{Name: string(kind), Kind: kind, SLI: s, Service: "payments"}, "production").For("acme", nil).Panels
	}

	declines := of(rule.Declines, counts)
	require.Equal(t, "Declined", declines[0].Title)
	require.Equal(t, []float64{.25}, run(declines[0].Queries[0].PromQL))
	require.Equal(t, "Declined by acquirer", declines[2].Title)

	latency := of(rule.Latency, times)
	require.Equal(t, "Duration", latency[0].Title)
	require.Equal(t, "p50", latency[0].Queries[0].Legend)
	require.Equal(t, []float64{.5}, run(latency[0].Queries[0].PromQL))
	require.Equal(t, []float64{400}, run(latency[1].Queries[0].PromQL))
	require.Equal(t, []float64{1}, run(latency[2].Queries[0].PromQL), "p95 by acquirer lies above the highest edge")

	traffic := of(rule.Traffic, counts)
	require.Equal(t, []float64{320}, run(traffic[0].Queries[0].PromQL))
	require.Equal(t, "a week before", traffic[0].Queries[1].Legend)
	require.Empty(t, run(traffic[0].Queries[1].PromQL))
	require.Equal(t, []float64{320}, run(traffic[1].Queries[0].PromQL))

	bad, total := times.At(1).PromQLPlain(time.Minute, sli.Selection{"tenant": "acme"}, nil)
	require.Equal(t, []float64{40}, run(bad), "1.0 is the edge 1")
	require.Equal(t, []float64{400}, run(total))
}
