package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const spanPolicy = `version: 1
environments: [production]
volume: {sli: calls}
spans:
  attributes: {acquirer: [acquirer, payment.acquirer]}
slis:
  - name: calls
    source: spans
    total: {match: {service: [payments], span_kind: [server]}}
    bad: {match: {status: [error]}}
    slices: [acquirer, peer]
    beside:
      source: metrics
      total: {metric: requests_total}
      bad: {match: {code: ["500"]}}
  - name: durations
    source: spans
    histogram: traces_spanmetrics_duration_seconds
rules:
  - {name: failing, kind: errors, sli: calls, service: payments, severity: critical, summary: s, runbook_url: r}
`

func TestAnSLIOfSpans(t *testing.T) {
	p, err := Parse("p", []byte(spanPolicy))
	require.NoError(t, err)
	rules, _ := Compile(p, tenant.Tenant{ID: "a"}, Observation{Tenants: 2})
	s := rules[0].SLI
	require.Equal(t, sli.Spans, s.Source)
	require.Equal(t, "traces_spanmetrics_calls_total", s.Metric, "spans have one counter: it need not be named")
	require.Equal(t, "requests_total", s.Beside.Metric)
	require.Equal(t, s.Slices, s.Beside.Slices)
	alone := s
	alone.Beside = nil
	require.Equal(t, alone.ID(), s.ID(), "what is shown beside it does not change what is counted")
	require.Equal(t, []SpanLabel{{"acquirer", []string{"acquirer", "payment.acquirer"}}}, p.SpanLabels())

	d, err := Default()
	require.NoError(t, err)
	require.Contains(t, d.SpanLabels(), SpanLabel{"method", []string{"method", "payment.method"}})
}

func TestFaultsOfSpans(t *testing.T) {
	_, err := Parse("p", []byte(`version: 1
environments: [production]
volume: {sli: a}
spans:
  attributes: {Bad-Label: [x], status: [y], empty: [], who: [customer.id]}
slis:
  - {name: a, source: logs, total: {metric: m}, bad: {match: {x: [y]}}}
  - {name: b, source: spans, total: {metric: other_total}, bad: {match: {x: [y]}}}
  - {name: c, source: spans, histogram: other_seconds}
  - {name: d, source: metrics, total: {metric: m}, bad: {match: {x: [y]}}, beside: {source: metrics, total: {metric: n}, bad: {match: {x: [y]}}}}
  - {name: e, source: spans, bad: {match: {x: [y]}}, beside: {source: metrics}}
  - {name: f, bad: {match: {x: [y]}}, total: {metric: m}, beside: {source: spans, total: {metric: n}, bad: {match: {x: [y]}}}}
`))
	require.Error(t, err)
	for _, text := range []string{"slis[0] (a): source must be metrics or spans", "slis[1] (b): an SLI of spans counts", "slis[2] (c): the histogram of spans is",
		"slis[3] (d): beside.source must be the other source", "slis[4] (e): beside.total.metric is missing", "slis[4] (e): beside.bad.match is missing",
		"slis[5] (f): beside: spans are counted by", "the label Bad-Label", "every span has the label status", "spans.attributes.empty names no attribute", "spans.attributes.who: customer.id"} {
		require.ErrorContains(t, err, text)
	}
}
