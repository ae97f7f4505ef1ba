package fuzz

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples/promapi/param"
	"github.com/tocsin-alerting/tocsin/sli"
)

// FuzzDashboardQuery: what an address of a dashboard says is read back from the
// address that is made of it.
func FuzzDashboardQuery(f *testing.F) {
	f.Add("tenant=acme&slice=acquirer%3Dalpha&from=2026-03-03T02:00:00Z&to=2026-03-03T03:00:00Z")
	f.Add("at=2026-03-03T02:00:00Z")
	d := dashboards.ForRule(rule.Rule{Name: "payment_errors", Kind: rule.Errors, Service: "payments", Severity: rule.Critical,
		SLI: sli.Spec{Name: "payments", Metric: "payment_transactions_total", Bad: []sli.Match{{Label: "result", Values: []string{"error"}}}, Slices: []string{"acquirer"}}}, "production")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		s, err := dashboards.ParseQuery(q, noon)
		if err != nil {
			require.True(t, problem.Is(err, problem.Invalid))
			return
		}
		u, err := url.Parse(d.PathTo(s))
		require.NoError(t, err)
		again, err := dashboards.ParseQuery(u.Query(), noon)
		require.NoError(t, err)
		require.Equal(t, d.PathTo(s), d.PathTo(again))
	})
}

// FuzzQueryParameters: the parameters of Prometheus' query API.
func FuzzQueryParameters(f *testing.F) {
	for _, seed := range []string{"start=1&end=2.5&step=15s&limit=3", "start=2026-03-03T02:00:00Z&timeout=1h30m", "start=-1e400&end=NaN&step=1e30&limit=-1", "start=%2B292277022399&end=-292273086-05-16T16:47:06Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		form, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		r := &http.Request{Form: form}
		from, to, err := param.Span(r)
		if err == nil {
			require.False(t, from.Before(param.First), "%s", from)
			require.False(t, to.After(param.Last) && to.Sub(param.Last) > time.Second, "%s", to)
		} else {
			require.True(t, problem.Is(err, problem.Malformed))
		}
		if _, err := param.Duration(r, "step"); err != nil {
			require.True(t, problem.Is(err, problem.Malformed))
		}
		n, err := param.Limit(r)
		require.True(t, err != nil || n >= 0)
	})
}
