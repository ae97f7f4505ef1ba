package check_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/profiles"
)

// TestAQueryOfNobodyIsKnown holds what is said of queries against what Prometheus' engine
// gives for them.
func TestAQueryOfNobodyIsKnown(t *testing.T) {
	storage := promqltest.LoadedStorage(t, `load 1m
  x{tenant="acme", route="a"} 1 2 3 4 5 6
  x{tenant="bolt", route="b"} 1 2 3 4 5 6
  y{tenant="acme", route="a"} 2 2 2 2 2 2
  all{route="a"} 1 1 1 1 1 1
  b_bucket{tenant="acme", le="1"} 1 1 1 1 1 1
  b_bucket{tenant="acme", le="+Inf"} 2 2 2 2 2 2
`)
	t.Cleanup(func() { _ = storage.Close() })
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	for expr, want := range map[string]string{
		"x": "", "-x": "", "(x)": "", "rate(x[5m]) > 0": "", "0 < rate(x[5m])": "", "x > bool 0": "",
		"sum by (tenant) (x)": "", "sum without (route) (x)": "", "topk(1, x)": "", "count_values by (tenant) (\"v\", x)": "", `count_values("tenant", x)`: "",
		"sum(rate(x[5m])) > 0":                   "sum drops every label: write sum by (tenant) (…)",
		"sum by (route) (x)":                     "sum by (…) drops it: add tenant to the list",
		"sum without (tenant) (x)":               "sum without (…) drops it: take tenant out of the list",
		"max by (tenant) (sum by (route) (x))":   "sum by (…) drops it: add tenant to the list",
		"quantile(0.9, x)":                       "quantile drops every label: write quantile by (tenant) (…)",
		"topk(1, sum by (route) (x))":            "sum by (…) drops it",
		`count_values("v", x)`:                   "count_values drops every label",
		"max_over_time(sum(x)[5m:1m])":           "sum drops every label",
		"sum(x) or x":                            "",
		"x or sum(x)":                            "",
		"sum(x) or count(x)":                     "sum drops every label",
		"sum(x) and on () x":                     "sum drops every label",
		"x and on () sum(x)":                     "",
		"x unless on () vector(1) > 2":           "",
		"x / y":                                  "",
		"x / on (tenant) y":                      "",
		"x / on (route) y":                       "on (…) keeps no other label: add tenant to the list",
		"x / ignoring (route) y":                 "",
		"x / ignoring (tenant) y":                "ignoring (…) drops it: take tenant out of the list",
		"x / sum(y)":                             "sum drops every label",
		"x / on () group_left sum(y)":            "",
		"x / on (tenant) group_left sum(y)":      "sum drops every label",
		"sum(y) / on () group_right x":           "",
		"all * on (route) group_left (tenant) y": "",
		"x * on (route) group_left (tenant) all": "",
		"sum(x) * on () group_left sum(y)":       "sum drops every label",
		"1":                                      "a number is nobody's",
		"1 + 1":                                  "a number is nobody's",
		"time() > bool 0":                        "time has no labels",
		"scalar(x)":                              "scalar has no labels",
		"vector(1)":                              "vector has no labels",
		"hour()":                                 "hour has no labels",
		"hour(x)":                                "",
		"clamp_max(x, 3)":                        "",
		"histogram_quantile(0.5, b_bucket)":      "",
		"histogram_quantile(0.5, sum by (le) (b_bucket))": "sum by (…) drops it",
		"absent(gone)":                                                  "absent gives the labels alone",
		`absent(gone{tenant="acme"})`:                                   "",
		`absent(gone{tenant=~"acme|bolt"})`:                             "absent gives the labels alone",
		`absent_over_time(gone{tenant="acme"}[5m])`:                     "",
		"absent(sum(gone))":                                             "absent gives the labels alone",
		`x{tenant=""}`:                                                  `take tenant="" out`,
		`label_replace(sum(x), "tenant", "acme", "", "")`:               "",
		`label_replace(sum by (route) (x), "r", "$1", "route", "(.*)")`: "sum by (…) drops it",
		`label_join(sum by (route) (x), "tenant", "-", "route")`:        "",
		"sort_desc(sum(x))":                                             "sum drops every label",
	} {
		got := profiles.RuleDoc{Kind: "promql", Expr: expr}.Nobodys("tenant")
		q, err := engine.NewInstantQuery(t.Context(), storage, nil, expr, time.Unix(300, 0))
		require.NoError(t, err, expr)
		res := q.Exec(t.Context())
		require.NoError(t, res.Err, expr)
		v, _ := res.Value.(promql.Vector)
		named := false
		for _, s := range v {
			named = named || s.Metric.Get("tenant") != ""
		}
		q.Close()
		if want == "" {
			require.Empty(t, got, expr)
		} else {
			require.Contains(t, got, want, expr)
			require.False(t, named, "%s gives %s", expr, v)
		}
	}
	require.Empty(t, profiles.RuleDoc{Kind: "promql", Expr: "sum by (customer) (x)"}.Nobodys("customer"))
	require.NotEmpty(t, profiles.RuleDoc{Kind: "promql", Expr: "sum by (tenant) (x)"}.Nobodys("customer"))
	require.Empty(t, profiles.RuleDoc{Kind: "errors", Expr: "1"}.Nobodys("tenant"))
	require.Empty(t, profiles.RuleDoc{Kind: "promql", Expr: "sum by"}.Nobodys("tenant"))
}
