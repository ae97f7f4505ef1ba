package profiles

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/sli"
)

func TestWhoFails(t *testing.T) {
	p, err := Default()
	require.NoError(t, err)
	require.Equal(t, []string{"customer.id"}, p.SpanCustomer(), "the built-in policy reads it where it is present")
	call := map[string]string{"service": "payments", "span_kind": "server", "status": "error"}
	fails := func(p *Policy) bool {
		for _, s := range p.SpanFailures() {
			if s.IsTotal(func(l string) string { return call[l] }) && s.IsBad(func(l string) string { return call[l] }) {
				return true
			}
		}
		return false
	}
	require.True(t, fails(p))
	call["status"] = "ok"
	require.False(t, fails(p))

	p, err = Parse("p", []byte(spanPolicy))
	require.NoError(t, err)
	require.False(t, fails(p))
	call["status"] = "error"
	require.True(t, fails(p))
	require.Equal(t, []string{"customer.id"}, p.SpanCustomer())
	for text, want := range map[string][]string{"customer: [enduser.id, customer.id]": {"enduser.id", "customer.id"}, "customer: []": {}} {
		p, err = Parse("p", []byte(strings.Replace(spanPolicy, "spans:\n", "spans:\n  "+text+"\n", 1)))
		require.NoError(t, err)
		require.Equal(t, want, p.SpanCustomer())
	}

	p, err = Parse("p", []byte(`version: 1
environments: [production]
volume: {sli: a}
slis:
  - {name: a, total: {metric: m}, bad: {match: {x: [y]}}, customers: {label: account}}
`))
	require.NoError(t, err)
	require.Equal(t, &sli.Customers{Match: []sli.Match{}, Label: "account"}, p.SLIs[0].spec().Customers)
	require.Empty(t, p.SpanFailures())
	require.Nil(t, Customers{}.spec())
}

func TestFaultsOfWhoFails(t *testing.T) {
	_, err := Parse("p", []byte(`version: 1
environments: [production]
volume: {sli: a}
spans:
  attributes: {who: [enduser.id], x: [customer.id]}
  customer: [enduser.id, ""]
slis:
  - {name: a, total: {metric: m}, bad: {match: {x: [y]}}, customers: {label: account, metric: n}}
  - {name: b, total: {metric: m}, bad: {match: {x: [y]}}, customers: {match: {x: [y]}}}
  - {name: c, total: {metric: m}, bad: {match: {x: [y]}}, customers: {label: Account}}
  - {name: d, source: spans, bad: {match: {x: [y]}}, customers: {label: account}}
  - {name: e, total: {metric: m}, bad: {match: {x: [y]}}, slices: [account], customers: {label: account}}
  - {name: f, histogram: h, customers: {label: account}}
  - {name: g, total: {metric: m}, bad: {match: {x: [y]}}, customers: {metric: m}}
`))
	require.Error(t, err)
	for _, text := range []string{"spans.attributes.who: enduser.id says who was served", "spans.attributes.x: customer.id says who was served", "spans.customer names no attribute",
		"slis[0] (a): customers.label is of the SLI's own series", "slis[1] (b): customers.metric is missing", "slis[2] (c): customers.label must be lower-case",
		"slis[3] (d): spans say who was served by spans.customer", "slis[4] (e): customers.label says who was served and is no slice",
		"slis[5] (f): customers is another counter", "slis[6] (g): customers is another counter"} {
		require.ErrorContains(t, err, text)
	}
}
