package profiles

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// An override comes before the rule, that before the tier, that before the team; the
// reason says who it was. A team's word is for its own services only.
func TestWhoSaysHowSensitive(t *testing.T) {
	const policy = `
version: 1
environments: [production]
volume: {sli: payments}
tiers: [{name: small}, {name: large, from_tpm: 100, sensitivity: early}]
slis:
  - {name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}, slices: [acquirer]}
rules:
  - {name: open, kind: errors, sli: payments, service: payments, severity: critical, summary: s, runbook_url: https://r}
  - {name: firm, kind: declines, sli: payments, service: payments, severity: warning, sensitivity: balanced, summary: s, runbook_url: https://r}
  - {name: burns, kind: burn_rate, sli: payments, service: payments, severity: critical, summary: s, runbook_url: https://r, objective: 0.99}
  - {name: others, kind: errors, sli: payments, service: payouts, severity: critical, summary: s, runbook_url: https://r}
`
	p, err := Parse("p", []byte(policy))
	require.NoError(t, err)
	o := Observation{Tenants: 2, Budgets: map[string]Budget{"payments": {Team: "pay", FalsePagesPerWeek: 2, Sensitivity: rule.Quiet}, "payouts": {Team: "out", FalsePagesPerWeek: 2}}}
	of := func(o Observation) (got, why map[string]string) {
		rules, reasons := Compile(p, tenant.Tenant{ID: "acme"}, o)
		got, why = map[string]string{}, map[string]string{}
		for i, r := range rules {
			got[r.Name], why[r.Name] = string(r.Sensitivity), reasons[i]
		}
		return got, why
	}
	got, why := of(o)
	require.Equal(t, map[string]string{"open": "quiet", "firm": "balanced", "burns": "", "others": ""}, got)
	require.Contains(t, why["open"], "; quiet, says team pay for its services")
	require.Contains(t, why["firm"], "; balanced, says the rule")
	require.NotContains(t, why["burns"], "says")
	require.NotContains(t, why["others"], "says")

	o.Tier = "large"
	got, why = of(o)
	require.Equal(t, map[string]string{"open": "early", "firm": "balanced", "burns": "", "others": "early"}, got)
	require.Contains(t, why["open"], "; early, says tier large")

	o.Overrides = []Override{{Tenant: "acme", Rule: "open", Sensitivity: "quiet", Until: time.Now(), Reason: "a campaign", By: "ann"}}
	got, why = of(o)
	require.Equal(t, "quiet", got["open"])
	require.Contains(t, why["open"], "by ann: a campaign")

	loud := o
	loud.Budgets = map[string]Budget{"payments": {Team: "pay", FalsePagesPerWeek: 2, Sensitivity: rule.Early}, "payouts": {Team: "out", FalsePagesPerWeek: 2}}
	require.False(t, o.Equal(loud), "it is another profile")
	pooled := Pooled(p, "payments", Observation{Tenants: 2, Budgets: loud.Budgets})
	require.Equal(t, rule.Early, pooled[0].Sensitivity, "over all tenants too")
}
