package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// FuzzParse: a policy is refused with words, or can be compiled for everybody.
func FuzzParse(f *testing.F) {
	f.Add(builtIn)
	f.Add([]byte(twoTeams))
	f.Add([]byte(base + sizes + "features: {refunds: {implies: [a.x]}, a.*: {slice: country, implies: [refunds]}}\n"))
	f.Add([]byte(base + sizes + "overrides: [{tenant: acme, off: true, until: 2026-06-01, reason: r, by: b}]\npins: [{tenant: acme, tier: small, reason: r, by: b}]\n"))
	for _, seed := range []string{"", "version: 2\nrules: [{name: r, kind: magic}]", "slis: [{total: {match: {a: [*x]}}}]", "features: {a.*: {slice: b}, '*': {}, '': {title: x}}", "version: 1\n<<: [*a]\n", "environments: {a: b}"} {
		f.Add([]byte(seed))
	}
	t1 := tenant.Tenant{ID: "acme", Features: []string{"country.de", "payouts", "refunds"}, State: tenant.Onboarding}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("policy.yaml", text)
		if err != nil {
			require.True(t, problem.Is(err, problem.Invalid), "%v", err)
			return
		}
		all, _ := Compile(p, tenant.Tenant{ID: tenant.Product, Features: features(p)}, observed(3))
		require.Len(t, all, len(p.Rules))
		rules, reasons := Compile(p, t1, observed(3))
		require.Len(t, reasons, len(rules))
		Unruled(p, t1)
		require.Empty(t, Compare(rules, rules).Words, "no difference to itself")
		again, err := Parse("policy.yaml", p.Text)
		require.NoError(t, err)
		require.Equal(t, p.Sha, again.Sha)
	})
}
