package profiles

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrong lists the faults of a text.
func wrong(text string) (out []string) {
	_, faults := Check("p", []byte(text))
	for _, f := range faults {
		out = append(out, f.String())
	}
	return out
}

func TestAValueOfAnotherTypeHidesNoOtherFault(t *testing.T) {
	text := base + sizes + `evolution: {margin: wide, stages: [10, 1, 100], grow_after: 5m}
impact: {day: {share: 7, tenants: many}}
pins: [{tenant: acme, revision: newest, by: a}]
`
	text = strings.Replace(text, "sensitivity: early", "sensitivity: nervous", 1)
	require.Equal(t, []string{
		"p:10: rules[2] (refund_errors): sensitivity must be quiet, balanced or early",
		"p:12: evolution.margin: the value must be a number",
		"p:12: evolution.grow_after must be at least 1h0m0s",
		"p:12: evolution.stages must be percentages that grow and end with 100, for example [1, 10, 100]",
		"p:13: impact.day.tenants: the value must be a whole number",
		"p:13: impact.day.share must be between 0 and 1: it is a part of the service's volume",
		"p:14: pins[0].revision: the value must be a whole number",
		"p:14: pins[0] (acme): reason is missing: whoever reads the profile asks",
	}, wrong(text))
}

func TestNothingIsSaidThatFollowsFromWhatCouldNotBeRead(t *testing.T) {
	all := base + sizes + "overrides: [{tenant: acme, rule: payment_errors, off: true, until: 2026-06-01, reason: r, by: a}]\n" +
		"pins: [{tenant: acme, tier: small, reason: r, by: a}]\nfeatures: {refunds: {title: R}, country.*: {slice: country}}\n"
	require.Empty(t, wrong(all))
	for _, c := range []struct{ old, new, want string }{
		{"{name: payments,", "{name: [x],", "slis[0].name: the value must be a text"},
		{"{name: payments,", "{nmae: payments,", "unknown key nmae"},
		{"slis:", "slsi:", "unknown key slsi"},
		{"{name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}, slices: [acquirer, country]}", "payments", "slis[0]: the value must be a set"},
		{"slices: [acquirer, country]", "slices: country", "slis[0].slices: the value must be a list"},
		{"name: payment_errors, kind: errors", "name: {}, kind: errors", "rules[0].name: the value must be a text"},
		{"kind: errors, sli: refunds", "knid: errors, sli: refunds", "unknown key knid"},
		{"features: [refunds]}", "features: refunds}", "rules[2].features: the value must be a list"},
		{"tiers: [{name: small, slices: 3, sensitivity: quiet}, {name: large, from_tpm: 100}]", "tiers: {small: {}}", "tiers: the value must be a list"},
		{"{name: large, from_tpm: 100}", "{name: large, from_tpm: many}", "tiers[1].from_tpm: the value must be a number"},
		{"from_tpm: 100", "form_tpm: 100", "unknown key form_tpm"},
		{"version: 1", "version: one", "version: the value must be a whole number"},
		{"volume: {sli: payments}", "volume: payments", "volume: the value must be a set of keys"},
		{"environments: [production]", "environments: production", "environments: the value must be a list"},
		{"until: 2026-06-01", "until: soon", "overrides[0].until: the value must be a time"},
		{"tier: small,", "tier: {},", "pins[0].tier: the value must be a text"},
		{"{title: R}", "R", "features.refunds: the value must be a set of keys"},
		{"country.*: {slice: country}", "country.*: {slcie: country}", "unknown key slcie"},
	} {
		require.Contains(t, all, c.old)
		got := wrong(strings.Replace(all, c.old, c.new, 1))
		require.Len(t, got, 1, "%s: %q", c.new, got)
		require.Contains(t, got[0], c.want)
	}
}
