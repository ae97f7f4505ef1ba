package tenancy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

func TestAnExplanationSaysThatNothingIsSeen(t *testing.T) {
	told := func(a tenants.ExplainAnswer) string {
		var out []string
		for _, r := range explainRows(a) {
			out = append(out, strings.Join(r, "  "))
		}
		return strings.Join(out, "\n")
	}
	a := tenants.ExplainAnswer{Sees: []tenants.Sight{{Rule: "payment_objective", Environment: "production"},
		{Rule: "payment_errors", Environment: "production", RatePerMinute: 12, Words: "a total failure: after 45 seconds"},
		{Rule: "payment_traffic", Environment: "production", Words: "lost traffic: not while it is young"}}}
	require.Contains(t, told(a), "sees now  payment_errors (production, all, 12 a minute): a total failure: after 45 seconds\n  payment_traffic (production, all): lost traffic")
	same := "a total failure: after 2 minutes"
	a.Sees = append(a.Sees, tenants.Sight{Rule: "refund_errors", Environment: "production", RatePerMinute: 25, Words: same},
		tenants.Sight{Rule: "refund_errors", Environment: "production", RatePerMinute: 13, Words: same, Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}},
		tenants.Sight{Rule: "refund_errors", Environment: "production", RatePerMinute: 25, Words: same, InShadow: true})
	require.Contains(t, told(a), "refund_errors (production, all, acquirer=alpha, 13 to 25 a minute): a total failure: after 2 minutes\n", "once for all that is the same")
	require.Contains(t, told(a), "refund_errors (production, all, 25 a minute, in shadow): a total failure")
	a.Sees = append(a.Sees, tenants.Sight{Rule: "queue_grows", Kind: rule.PromQL, Words: "what its query gives, asked once a minute: after 10 minutes"})
	asks := "\nasks  queue_grows: what its query gives, asked once a minute: after 10 minutes"
	require.Contains(t, told(a), asks)
	a.SeesNothing = "no sample has come since 2026-03-02 12:00 UTC"
	require.Contains(t, told(a), "sees now  nothing: no sample has come since 2026-03-02 12:00 UTC\nwould see  payment_errors")
	require.Contains(t, told(a), asks, "it asks all the same")
}

func TestARevisionNamesItsAuthorOnce(t *testing.T) {
	of := func(author, cause string) string {
		rows := explainRows(tenants.ExplainAnswer{Revisions: []profiles.Revision{{Triple: profiles.Triple{Number: 4, Author: author, Cause: cause}}}})
		return rows[len(rows)-1][1]
	}
	require.Contains(t, of("token:ops", "token:ops overrides payment_errors: a trial"), "Z, token:ops overrides")
	require.Contains(t, of("tocsin", "an override has ended"), "Z, tocsin: an override has ended")
}
