package profiles

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func observed(tenants int) Observation {
	return Observation{Tenants: Rounded(tenants), Budgets: map[string]Budget{"payments": {Team: "payments", FalsePagesPerWeek: 2}}}
}

func TestTheBuiltInPolicyWatchesPayments(t *testing.T) {
	p, err := Default()
	require.NoError(t, err)
	rules, reasons := Compile(p, tenant.Tenant{ID: "acme"}, observed(1))
	require.Len(t, reasons, len(rules))
	for _, r := range p.Rules {
		require.NotContains(t, r.Summary, "tenant", "%s: it is what a dashboard and an alert over all tenants say too", r.Name)
	}
	for _, r := range rules {
		require.NotEmpty(t, r.Summary, r.Name)
		require.FileExists(t, "../docs/runbooks/"+r.Name+".md")
		require.Contains(t, r.RunbookURL, "docs/runbooks/"+r.Name+".md")
	}
	r := rules[0]
	require.Equal(t, rule.Declines, rules[1].Kind)
	require.Equal(t, rule.Warning, rules[1].Severity)
	require.Equal(t, rule.Errors, r.Kind)
	require.Equal(t, rule.Critical, r.Severity)
	require.NotEmpty(t, r.Summary)
	require.NotEmpty(t, r.RunbookURL)
	labels := func(m map[string]string) func(string) string { return func(l string) string { return m[l] } }
	for _, c := range []struct {
		labels     map[string]string
		total, bad bool
	}{
		{map[string]string{"result": "error"}, true, true},
		{map[string]string{"result": "declined"}, true, false},
		{map[string]string{"result": "success", "operation": "payment"}, true, false},
		{map[string]string{"result": "error", "operation": "refund"}, false, true},
	} {
		require.Equal(t, c.total, r.SLI.IsTotal(labels(c.labels)), "%v", c.labels)
		require.Equal(t, c.bad, r.SLI.IsBad(labels(c.labels)), "%v", c.labels)
	}
}

func TestTheBudgetIsTheTeams(t *testing.T) {
	p, err := Default()
	require.NoError(t, err)
	for _, tenants := range []int{1, 2, 3, 7, 300, 10_000} {
		rules, _ := Compile(p, tenant.Tenant{ID: "acme"}, observed(tenants))
		month := 2 * 30.0 / 7
		spent := 0.0
		for _, r := range rules {
			spent += r.FalsePages * float64(tenants+1) // one share is the pooled stream's
		}
		require.LessOrEqual(t, spent, month*1.0001, "%d tenants together must not pass the team's budget", tenants)
		require.Greater(t, spent, month/2.1, "%d tenants waste the team's budget", tenants)
	}
	few, _ := Compile(p, tenant.Tenant{ID: "acme"}, observed(5))
	more, _ := Compile(p, tenant.Tenant{ID: "acme"}, observed(6))
	require.Equal(t, few[0].FalseAlarms, more[0].FalseAlarms, "an onboarding does not move everybody's thresholds")
}

const twoTeams = `
version: 1
environments: [production]
volume: {sli: payments}
slis:
  - {name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}, slices: [acquirer]}
  - {name: payouts, total: {metric: payout_total}, bad: {not: {result: [success]}}}
rules:
  - {name: payment_errors, kind: errors, sli: payments, service: payments, severity: critical, summary: s, runbook_url: https://r}
  - {name: payout_errors, kind: errors, sli: payouts, service: payouts, severity: warning, summary: s, runbook_url: https://r, features: [payouts]}
`

func TestFeaturesServicesAndTeams(t *testing.T) {
	p, err := Parse("p", []byte(twoTeams))
	require.NoError(t, err)
	o := Observation{Tenants: 8, Budgets: map[string]Budget{"payments": {Team: "a", FalsePagesPerWeek: 2}, "payouts": {Team: "b", FalsePagesPerWeek: 8}}}
	names := func(x tenant.Tenant) (out []string) {
		rules, _ := Compile(p, x, o)
		for _, r := range rules {
			out = append(out, r.Name)
		}
		return out
	}
	require.Equal(t, []string{"payment_errors"}, names(tenant.Tenant{ID: "a"}))
	require.Equal(t, []string{"payment_errors", "payout_errors"}, names(tenant.Tenant{ID: "a", Features: []string{"payouts"}}))
	require.Equal(t, []string{"payout_errors"}, names(tenant.Tenant{ID: "a", Features: []string{"payouts"}, Services: []string{"payouts"}}))
	rules, _ := Compile(p, tenant.Tenant{ID: "a", Features: []string{"payouts"}}, o)
	require.InDelta(t, 4*rules[0].FalseAlarms, rules[1].FalseAlarms, 1e-9, "each team's own budget")
	require.Empty(t, Pooled(p, "payouts", o), "nothing to pool without slices")
	require.Len(t, Pooled(p, "payments", o), 1)
}

func TestEveryFaultOfAPolicyIsNamedAtOnce(t *testing.T) {
	_, err := Parse("p", []byte(`
version: 2
environments: []
volume: {sli: none}
slis: [{name: Bad, total: {}, bad: {}}]
rules: [{name: r, kind: magic, sli: none, severity: loud, sensitivity: nervous, direction: up, summary: ' ', service: ' '}]
`))
	require.Error(t, err)
	for _, want := range []string{"version", "environments", "volume.sli", "total.metric", "bad.match", "kind", "rules[0] (r): sli", "service", "severity", "sensitivity", "direction", "summary", "runbook_url"} {
		require.Contains(t, err.Error(), want)
	}
	_, err = Parse("p", []byte(`
version: 1
environments: [production]
volume: {sli: took}
slis:
  - {name: took, histogram: duration_seconds_bucket, total: {metric: m}, bad: {match: {a: [b]}}}
  - {name: all, total: {metric: m}, bad: {match: {a: [b]}}}
rules:
  - {name: a, kind: errors, sli: took, service: s, severity: info, summary: s, runbook_url: r}
  - {name: b, kind: latency, sli: all, service: s, severity: info, summary: s, runbook_url: r}
`))
	require.Error(t, err)
	for _, want := range []string{"volume.sli is a histogram", "slis[0] (took): histogram stands instead", "without _bucket",
		"rules[0] (a): its SLI is a histogram", "rules[1] (b): kind latency needs"} {
		require.Contains(t, err.Error(), want)
	}
	_, err = Parse("p", []byte("version: 1\nrulez: []\nslis: [{nam: x}]\n"))
	require.ErrorContains(t, err, "rulez")
	require.ErrorContains(t, err, "nam")
	require.ErrorContains(t, err, "p:2: unknown key rulez; did you mean rules?")
}

func TestRenamingAnSLIKeepsItsIdentity(t *testing.T) {
	p, err := Parse("p", []byte(twoTeams))
	require.NoError(t, err)
	_, err = Parse("p", []byte(strings.ReplaceAll(twoTeams, "name: payments,", "name: renamed,")+"\n"))
	require.Error(t, err, "the references still name the old one")
	q, err := Parse("p", []byte(strings.NewReplacer("name: payments,", "name: renamed,", "sli: payments", "sli: renamed").Replace(twoTeams)))
	require.NoError(t, err)
	id := func(p *Policy) sli.ID {
		rules, _ := Compile(p, tenant.Tenant{ID: "a"}, Observation{})
		return rules[0].SLI.ID()
	}
	require.Equal(t, id(p), id(q))
	require.NotEqual(t, p.Sha, q.Sha)
}
