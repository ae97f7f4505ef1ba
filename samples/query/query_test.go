package query

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/history/historytest"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestFenceHoldsWhateverTheQuerySays(t *testing.T) {
	s := historytest.Town(t)
	q := New(s.Queryable(), Options{})
	for _, f := range []Fence{{Tenants: []tenant.ID{"acme"}}, {Tenants: []tenant.ID{"acme", "b.lt"}}, {}} {
		for _, query := range []string{
			`m`, `m{tenant="bolt"}`, `m{tenant=~".+"}`, `m{tenant!="acme"}`, `m{tenant="acme"} or m{tenant="bolt"}`, `m or {__name__=~"only_.+"}`,
			`{__name__=~".+"}`, `{tenant=~"bolt|acme2"}`, `m{tenant=~"acme|bolt|b.lt"} offset 1s`, `last_over_time(m[5m])`,
			`label_replace(m, "x", "$1", "tenant", "(.*)")`, `max by (tenant) (max_over_time(m[2m:15s]))`, `m and on() only_bolt`, `m unless on(tenant) m{tenant="acme"}`,
			`m * on(tenant) group_left m`, `topk(10, m)`, `count by (tenant) ({__name__!=""})`, `only_bolt`, `only_acme2 @ 1772625600`,
		} {
			for _, run := range []func() (*Result, error){
				func() (*Result, error) { return q.Instant(t.Context(), f, Ask{Query: query}, historytest.Noon) },
				func() (*Result, error) {
					return q.Range(t.Context(), f, Ask{Query: query}, historytest.Noon.Add(-time.Minute), historytest.Noon, 15*time.Second)
				},
			} {
				res, err := run()
				require.NoError(t, err, query)
				for _, ls := range seen(res) {
					require.Contains(t, f.Tenants, tenant.ID(ls.Get("tenant")), query)
				}
				if query == "m" {
					require.Len(t, seen(res), len(f.Tenants))
				}
			}
		}
		// What is not seen does not show by its effect on a sum or on absent either.
		res, err := q.Instant(t.Context(), f, Ask{Query: `count({__name__=~".+"}) or vector(0)`}, historytest.Noon)
		require.NoError(t, err)
		require.Equal(t, float64(2*len(f.Tenants)), res.Value.(promql.Vector)[0].F)
		res, err = q.Instant(t.Context(), f, Ask{Query: `absent(only_bolt{tenant="bolt"})`}, historytest.Noon)
		require.NoError(t, err)
		require.Len(t, res.Value, 1, "absent does not tell that it exists")
	}
	res, err := q.Instant(t.Context(), Fence{Any: true}, Ask{Query: "m"}, historytest.Noon)
	require.NoError(t, err)
	require.Len(t, res.Value, 4)

	fq, err := Fence{Tenants: []tenant.ID{"acme"}}.Around(s.Queryable(), "tenant").Querier(0, historytest.Noon.UnixMilli())
	require.NoError(t, err)
	defer func() { require.NoError(t, fq.Close()) }()
	values, _, err := fq.LabelValues(t.Context(), "tenant", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"acme"}, values)
	names, _, err := fq.LabelValues(t.Context(), "__name__", nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", "only.*"))
	require.NoError(t, err)
	require.Equal(t, []string{"only_acme"}, names)
	all, _, err := fq.LabelNames(t.Context(), nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "only_bolt"))
	require.NoError(t, err)
	require.Empty(t, all)
}

func seen(r *Result) []labels.Labels {
	out := []labels.Labels{}
	switch v := r.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	case promql.Matrix:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	}
	return out
}

func TestAnchoredCountsTheFirstEvents(t *testing.T) {
	s := historytest.Open(t)
	historytest.Put(t, s, historytest.Series("acme", "c", historytest.Noon, 15*time.Second, 5, 5, 9, 10)) // born with 5, and 5 more
	q := New(s.Queryable(), Options{})
	res, err := q.Instant(t.Context(), Fence{Any: true}, Ask{Query: `sum(increase(c[40s] anchored))`}, historytest.Noon)
	require.NoError(t, err)
	require.Equal(t, 5.0, res.Value.(promql.Vector)[0].F)
}

func TestCounts(t *testing.T) {
	s := historytest.Open(t)
	add := func(id tenant.ID, method, result string, values ...float64) {
		b := historytest.Series(id, "payment_transactions_total", historytest.Noon, time.Minute, values...)
		lb := labels.NewBuilder(b.Series[0].Labels)
		b.Series[0].Labels = lb.Set("method", method).Set("result", result).Labels()
		historytest.Put(t, s, b)
	}
	add("acme", "card", "success", 0, 10, 20, 40)
	add("acme", "card", "error", 0, 1, 1, 4)
	add("acme", "sepa", "error", 0, 0, 7, 7)
	add("bolt", "card", "error", 0, 100, 200, 300)
	spec := sli.Spec{Name: "payments", Metric: "payment_transactions_total", Bad: []sli.Match{{Label: "result", Values: []string{"error"}}}}
	sel := sli.Selection{"tenant": "acme", "environment": "production"}
	q := New(s.Queryable(), Options{})
	at := func(m int) time.Time { return historytest.Noon.Add(time.Duration(m) * time.Minute) }

	got, err := q.Counts(t.Context(), Fence{Any: true}, spec, sel, nil, at(-3), historytest.Noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{{at(-2), 11, 1}, {at(-1), 17, 7}, {at(0), 23, 3}}, got)
	got, err = q.Counts(t.Context(), Fence{Any: true}, spec, sel, sli.Slice{{Label: "method", Value: "card"}}, at(-3), historytest.Noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{{at(-2), 11, 1}, {at(-1), 10, 0}, {at(0), 23, 3}}, got)
	got, err = q.Counts(t.Context(), Fence{Tenants: []tenant.ID{"bolt"}}, spec, sel, nil, at(-3), historytest.Noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{}, got)
	got, err = q.Counts(t.Context(), Fence{Any: true}, spec, sel, nil, at(-60), at(-30), time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{}, got, "no data is not no traffic")
}

func TestRangeResultOutlivesTheQuery(t *testing.T) {
	s := historytest.Town(t)
	q := New(s.Queryable(), Options{})
	ask := func(query string) promql.Matrix {
		res, err := q.Range(t.Context(), Fence{Any: true}, Ask{Query: query}, historytest.Noon.Add(-30*time.Second), historytest.Noon, 15*time.Second)
		require.NoError(t, err)
		return res.Value.(promql.Matrix)
	}
	first := ask(`m{tenant="bolt"}`)
	for range 50 {
		ask(`m{tenant="acme"} + 1000`)
	}
	require.Equal(t, []promql.FPoint{{T: historytest.Noon.UnixMilli() - 30_000, F: 1}, {T: historytest.Noon.UnixMilli() - 15_000, F: 2}, {T: historytest.Noon.UnixMilli(), F: 3}}, first[0].Floats)
}

func TestCountsRefusesNoStep(t *testing.T) {
	q := New(historytest.Open(t).Queryable(), Options{})
	_, err := q.Counts(t.Context(), Fence{Any: true}, sli.Spec{Metric: "m"}, nil, nil, historytest.Noon, historytest.Noon, 0)
	require.True(t, problem.Is(err, problem.Malformed))
}

func TestAQueryWaitsForWhatWasAccepted(t *testing.T) {
	s := historytest.Open(t)
	q := New(s.Queryable(), Options{Settle: s.Flush})
	for i := range 50 { // without settling the writer loses some of these races
		at := historytest.Noon.Add(time.Duration(i) * time.Second)
		require.NoError(t, s.Append(t.Context(), historytest.Series("acme", "m", at, 0, float64(i)), nil))
		res, err := q.Instant(t.Context(), Fence{Any: true}, Ask{Query: "m"}, at)
		require.NoError(t, err)
		require.Len(t, res.Value, 1)
		require.Equal(t, float64(i), res.Value.(promql.Vector)[0].F)
	}
	stuck := New(s.Queryable(), Options{Settle: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, Timeout: time.Millisecond})
	_, err := stuck.Instant(t.Context(), Fence{Any: true}, Ask{Query: "m"}, historytest.Noon)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
}

func TestTheFenceHoldsForInfo(t *testing.T) {
	s := historytest.Town(t)
	historytest.PutSecrets(t, s)
	q := New(s.Queryable(), Options{})
	acme := Fence{Tenants: []tenant.ID{"acme"}}

	res, err := q.Instant(t.Context(), acme, Ask{Query: `info(up_total)`}, historytest.Noon)
	require.NoError(t, err)
	require.Equal(t, "of acme", res.Value.(promql.Vector)[0].Metric.Get("secret"))
	_, err = q.Instant(t.Context(), Fence{Any: true}, Ask{Query: `info(up_total{tenant="acme"}, {secret=~".+"})`}, historytest.Noon)
	require.Error(t, err, "without the fence info looks at both")
	res, err = q.Instant(t.Context(), acme, Ask{Query: `info(up_total, {secret="of bolt"})`}, historytest.Noon)
	require.NoError(t, err)
	require.Empty(t, res.Value)
}
