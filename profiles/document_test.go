package profiles

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// base is a sound policy; what is tried comes after it, from line 11 on.
const base = `version: 1
environments: [production]
volume: {sli: payments}
slis:
  - {name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}, slices: [acquirer, country]}
  - {name: refunds, total: {metric: refunds_total}, bad: {match: {result: [error]}}}
rules:
  - {name: payment_errors, kind: errors, sli: payments, service: payments, severity: critical, summary: s, runbook_url: r}
  - {name: large_only, kind: traffic, sli: payments, service: payments, severity: critical, summary: s, runbook_url: r, tiers: [large]}
  - {name: refund_errors, kind: errors, sli: refunds, service: payments, severity: critical, sensitivity: early, summary: s, runbook_url: r, features: [refunds]}
`

const sizes = "tiers: [{name: small, slices: 3, sensitivity: quiet}, {name: large, from_tpm: 100}]\n"

func TestBadDocumentsAreRefusedWithTheirLine(t *testing.T) {
	const features = "features: {refunds: {title: Refunds}}\n"
	until := "until: 2026-06-01T00:00:00Z, reason: r, by: ada"
	for _, c := range []struct{ text, want string }{
		// Tiers: gaps, overlaps, order, names.
		{"", "p:9: rules[1] (large_only): tiers names one that is not under tiers"},
		{"tiers: [{name: large, from_tpm: 5}]", "p:11: tiers[0] (large): from_tpm of the first tier must be 0"},
		{"tiers:\n  - {name: small}\n  - {name: large, from_tpm: 10}\n  - {name: huge, from_tpm: 10}", "p:14: tiers[2] (huge): from_tpm is that of the tier before"},
		{"tiers:\n  - {name: small}\n  - {name: huge, from_tpm: 50}\n  - {name: large, from_tpm: 10}", "p:14: tiers[2] (large): from_tpm is less than that of the tier before"},
		{"tiers:\n  - {name: large}\n  - {name: large, from_tpm: 10}", "p:13: tiers[1] (large): name is used twice"},
		{"tiers: [{name: large, from_tpm: -1}]", "from_tpm must be a number that is not negative"},
		{"tiers: [{name: large, from_tpm: .nan}]", "from_tpm must be a number that is not negative"},
		{"tiers: [{name: large, slices: 1000}]", "slices must be between 1 and 64"},
		{"tiers: [{name: large, sensitivity: nervous}]", "tiers[0] (large): sensitivity must be"},
		{"tiers: [{name: large, form_tpm: 5}]", "p:11: unknown key form_tpm; did you mean from_tpm?"},
		// Features: circles and unknown ones.
		{sizes + "features:\n  refunds: {implies: [a]}\n  a: {implies: [b]}\n  b: {implies: [a]}", "p:14: features.a: implies goes in a circle: a, then b, then a"},
		{sizes + "features:\n  refunds: {implies: [refunds]}", "p:13: features.refunds: implies goes in a circle: refunds, then refunds"},
		{sizes + "features:\n  country.*: {slice: country, implies: [refunds]}\n  refunds: {implies: [country.de]}", "features.country.*: implies goes in a circle: country.*, then refunds, then country.de"},
		{sizes + "features:\n  refunds: {implies: [wallets]}", "p:13: features.refunds: implies names a feature that is neither"},
		{sizes + "features:\n  country.*: {slice: country}", "p:10: rules[2] (refund_errors): features names one that is not under features"},
		{sizes + features[:len(features)-2] + ", b: {title: B}}", "features.b: no rule lists it"},
		// Burn rates.
		{sizes + rule1("kind: burn_rate"), "p:13: rules[0] (burn): objective must be above 0 and below 1"},
		{sizes + rule1("kind: burn_rate, objective: 1"), "objective must be above 0 and below 1"},
		{sizes + rule1("kind: burn_rate, objective: 99"), "objective must be above 0 and below 1"},
		{sizes + rule1("kind: burn_rate, objective: 0.99, least_events: -1"), "least_events must not be negative"},
		{sizes + rule1("kind: burn_rate, objective: 0.99, sensitivity: early"), "sensitivity is of no use with kind burn_rate"},
		// Queries.
		{sizes + rule1("kind: promql"), "p:13: rules[0] (burn): expr is missing"},
		{sizes + rule1("kind: promql, expr: sum by (tenant (up)"), "expr is no PromQL query"},
		{sizes + rule1("kind: promql, expr: up, for: -1m"), "for must not be negative"},
		{sizes + rule1("kind: promql, expr: up, sensitivity: quiet"), "sensitivity is of no use with kind promql"},
		{sizes + rule1("kind: errors, expr: up"), "expr is for kind promql only"},
		{sizes + rule1("kind: errors, for: 5m"), "for is for kind promql only"},
		{sizes + rule1("kind: errors, objective: 0.99"), "objective is for kind burn_rate only"},
		{sizes + rule1("kind: errors, least_events: 5"), "least_events is for kind burn_rate only"},
		// Overrides and pins.
		{sizes + "overrides:\n  - {tenant: acme, rule: payment_errors, severity: warning, reason: r, by: ada}", "p:13: overrides[0] (acme): until is missing"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, until: 2026-06-01T00:00:00Z, by: ada}", "p:13: overrides[0] (acme): reason is missing"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, until: 2026-06-01T00:00:00Z, reason: r}", "p:13: overrides[0] (acme): by is missing"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, until: 2026-06-01T00:00:00Z, reason: ' ', by: ada}", "reason is missing"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, until: 2026-06-01T00:00:00Z, reason: r, by: ' '}", "by is missing"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, severity: info, " + until + "}", "off leaves no rule"},
		{sizes + "overrides:\n  - {tenant: acme, " + until + "}", "it changes nothing"},
		{sizes + "overrides:\n  - {tenant: acme, rule: none, off: true, " + until + "}", "rule names none of the policy's rules"},
		{sizes + "overrides:\n  - {tenant: _product, severity: info, " + until + "}", "tenant must be the id of one tenant"},
		{sizes + "overrides:\n  - {tenant: acme, severity: loud, " + until + "}", "severity must be"},
		{sizes + "overrides:\n  - {tenant: acme, sensitivity: loud, " + until + "}", "sensitivity must be"},
		{sizes + "overrides:\n  - {tenant: acme, off: true, until: soon, reason: r, by: a}", "p:13: overrides[0].until: the value must be a time like"},
		{sizes + "pins:\n  - {tenant: acme, reason: r, by: a}", "p:13: pins[0] (acme): it needs tier or revision"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, revision: 3, reason: r, by: a}", "it needs tier or revision, and not both"},
		{sizes + "pins:\n  - {tenant: acme, tier: huge, reason: r, by: a}", "tier is not under tiers"},
		{sizes + "pins:\n  - {tenant: acme, revision: -3, reason: r, by: a}", "revision must be the number"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, by: a}", "reason is missing"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, reason: ' ', by: a}", "reason is missing"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, reason: r, by: ' '}", "by is missing"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, reason: r}", "by is missing"},
		{sizes + "pins:\n  - {tenant: acme, tier: small, reason: r, by: a}\n  - {tenant: acme, tier: large, reason: r, by: a}", "p:14: pins[1] (acme): tenant is pinned already"},
		{sizes + "pins:\n  - {tenant: '', tier: small, reason: r, by: a}", "tenant must be the id"},
		// Evolution and impact.
		{sizes + "evolution: {stages: [10, 1, 100]}", "evolution.stages must be percentages that grow"},
		{sizes + "evolution: {stages: [1, 10]}", "evolution.stages must be"},
		{sizes + "evolution: {stages: [0, 100]}", "evolution.stages must be"},
		{sizes + "evolution: {grow_after: 5m}", "p:12: evolution.grow_after must be at least 1h"},
		{sizes + "evolution: {accept_after: 1h}", "evolution.accept_after must be at least 24h"},
		{sizes + "evolution: {promote: always}", "evolution.promote must be record or person"},
		{sizes + "evolution: {margin: 2}", "evolution.margin must be"},
		{sizes + "evolution: {shadow_pages_per_week: -1}", "evolution.shadow_pages_per_week must not"},
		{sizes + "impact: {night: {from: dusk, to: '07:00'}}", "p:12: impact.night.from must be a time of day"},
		{sizes + "impact: {night: {from: '22:00'}}", "impact.night.to must be a time of day"},
		{sizes + "impact: {day: {share: 7}}", "impact.day.share must be between 0 and 1"},
		{sizes + "impact: {night: {loss_per_minute: -1}}", "impact.night.loss_per_minute must not"},
		{sizes + "impact: {night: {tenants: -1}}", "impact.night.tenants must not"},
		{sizes + "impact: {least_weight: 2}", "impact.least_weight must be"},
		{sizes + "impact: {grown: 1}", "impact.grown must be above 1"},
		{sizes + "impact: {grown: .inf}", "impact.grown must be above 1"},
		// A 0 is no default.
		{sizes + "evolution: {grow_after: 0s}", "p:12: evolution.grow_after must be at least 1h0m0s; leave it out for the default"},
		{sizes + "evolution: {shrink_after: 0s}", "evolution.shrink_after must be at least 1h0m0s; leave"},
		{sizes + "evolution: {shadow_for: 0s}", "evolution.shadow_for must be at least 1m0s; leave"},
		{sizes + "evolution: {accept_after: 0s}", "evolution.accept_after must be at least 24h0m0s; leave"},
		{sizes + "evolution: {stage_for: 0s}", "evolution.stage_for must be at least 1m0s; leave"},
		{sizes + "evolution: {stages: []}", "p:12: evolution.stages must be percentages"},
		{sizes + "impact: {day: {share: 0}}", "p:12: impact.day.share must be above 0"},
		{sizes + "impact: {day: {loss_per_minute: 0}}", "p:12: impact.day.loss_per_minute must be above 0"},
		{sizes + "impact: {night: {tenants: 0}}", "p:12: impact.night.tenants must be above 0"},
		{sizes + "impact: {least_weight: 0}", "p:12: impact.least_weight must be above 0 and at most 1; leave"},
		{sizes + "impact: {grown: 0}", "p:12: impact.grown must be above 1, for example 2; leave"},
		{"slis: [{name: payments, total: {metric: m}, bad: {match: {result: [error]}}, prior: 0}]", "slis[0].prior must be above 0"},
		{"tiers: [{name: large, slices: 0}]", "p:11: tiers[0].slices must be between 1 and 64; leave"},
		{sizes + rule1("kind: burn_rate, objective: 0.99, least_events: 0"), "p:13: rules[0].least_events must be above 0"},
	} {
		text := base + c.text + "\n"
		if strings.Contains(c.text, "rules:") { // instead of its own
			head, _, _ := strings.Cut(base, "rules:")
			text = head + "\n\n\n\n" + c.text + "\n"
		} else if strings.HasPrefix(c.text, "slis:") {
			head, _, _ := strings.Cut(base, "slis:")
			text = head + c.text + "\n"
		}
		_, err := Parse("p", []byte(text))
		require.Error(t, err, c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
	_, err := Parse("p", []byte(base+sizes+features))
	require.NoError(t, err, "what they are tried on is sound")
}

func TestTiersSayWhatIsWatchedAndHow(t *testing.T) {
	p, err := Parse("p", []byte(base+sizes))
	require.NoError(t, err)
	require.Equal(t, "small", p.TierOf(0).Name)
	require.Equal(t, "small", p.TierOf(99.9).Name)
	require.Equal(t, "large", p.TierOf(100).Name)
	require.Equal(t, "large", p.TierOf(1e12).Name, "a thousandfold jump ends in the last tier")

	shop := tenant.Tenant{ID: "shop", ExpectedTPM: 20, Features: []string{"refunds"}}
	rules, reasons := Compile(p, shop, Observation{})
	require.Equal(t, []string{"payment_errors", "refund_errors"}, ruleNames(rules))
	require.Equal(t, rule.Quiet, rules[0].Sensitivity, "its tier's")
	require.Equal(t, rule.Early, rules[1].Sensitivity, "its own goes before the tier's")
	require.Equal(t, 3, rules[0].Slices)
	require.Contains(t, reasons[0], "every tenant of service payments has it")

	unknown, _ := Compile(p, tenant.Tenant{ID: "new"}, Observation{})
	require.Equal(t, []string{"payment_errors"}, ruleNames(unknown), "nothing is known of its size: what all have, as usual")
	require.Zero(t, unknown[0].Slices)

	rules, reasons = Compile(p, shop, Observation{Tier: "large"})
	require.Equal(t, []string{"payment_errors", "large_only", "refund_errors"}, ruleNames(rules))
	require.Contains(t, reasons[1], "every tenant of service payments in tier large has it")
	require.Empty(t, rules[0].Sensitivity)
	require.Equal(t, Observation{Tier: "large"}.Equal(Observation{Tier: "small"}), false)

	rules, _ = Compile(p, shop, Observation{Tier: "gone"})
	require.Len(t, rules, 2, "a tier that the policy no longer has: that of the promised volume")
	require.Equal(t, []string{"payment_errors", "large_only"}, ruleNames(Pooled(p, "payments", Observation{})), "what is judged over all tenants is of every size")
	before, _ := Compile(p, shop, Observation{})
	after, _ := Compile(p, shop, Observation{Tier: "large"})
	require.Contains(t, strings.Join(Compare(before, after).Words, "\n"), "values of each label judged at most as many as usual, before: 3")
}

func TestOverridesLastUntilTheirDate(t *testing.T) {
	p, err := Parse("p", []byte(base+sizes+`overrides:
  - {tenant: shop, rule: payment_errors, severity: warning, until: 2026-06-01T00:00:00Z, reason: its acquirer moves, by: ada}
  - {tenant: shop, rule: payment_errors, sensitivity: early, until: 2026-06-01T00:00:00Z, reason: they asked, by: bo}
  - {tenant: shop, rule: refund_errors, off: true, until: 2026-07-01T00:00:00Z, reason: refunds are off, by: ada}
pins:
  - {tenant: shop, tier: small, until: 2026-06-01T00:00:00Z, reason: a sale ends soon, by: ada}
  - {tenant: kiosk, revision: 3, reason: audit, by: ada}
`))
	require.NoError(t, err)
	shop := tenant.Tenant{ID: "shop", Features: []string{"refunds"}}
	may := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	o := Observation{Overrides: p.InForce("shop", may)}
	rules, reasons := Compile(p, shop, o)
	require.Equal(t, []string{"payment_errors"}, ruleNames(rules))
	require.Equal(t, rule.Warning, rules[0].Severity)
	require.Equal(t, rule.Early, rules[0].Sensitivity)
	require.Contains(t, reasons[0], "; warning until 2026-06-01 00:00 UTC, by ada: its acquirer moves; early until 2026-06-01 00:00 UTC, by bo: they asked")
	require.Equal(t, []string{"refund_errors is off until 2026-07-01 00:00 UTC, by ada: refunds are off"}, Suspended(p, shop, o))

	june := Observation{Overrides: p.InForce("shop", may.AddDate(0, 1, 0))}
	require.Len(t, june.Overrides, 1)
	require.False(t, o.Equal(june))
	require.True(t, o.Equal(Observation{Overrides: p.InForce("shop", may)}))
	rules, _ = Compile(p, shop, june)
	require.Equal(t, rule.Critical, rules[0].Severity)
	rules, _ = Compile(p, shop, Observation{Overrides: p.InForce("shop", may.AddDate(0, 2, 0))})
	require.Len(t, rules, 2)
	require.Empty(t, p.InForce("kiosk", may))
	rules, _ = Compile(p, tenant.Tenant{ID: "kiosk"}, o)
	require.Equal(t, rule.Critical, rules[0].Severity, "another tenant's")

	pin, ok := p.Pinned("shop", may)
	require.True(t, ok)
	require.Equal(t, "small", pin.Tier)
	_, ok = p.Pinned("shop", may.AddDate(0, 1, 0))
	require.False(t, ok)
	_, ok = p.Pinned("kiosk", may.AddDate(9, 0, 0))
	require.True(t, ok, "without an end it lasts")
}

func TestFeaturesMayImplyOthers(t *testing.T) {
	p, err := Parse("p", []byte(base+sizes+`features:
  refunds: {title: Refunds}
  country.*: {slice: country}
  marketplace: {title: Marketplaces, implies: [refunds, country.de]}
  platform: {title: Platforms, implies: [marketplace]}
`))
	require.NoError(t, err)
	shop := tenant.Tenant{ID: "shop", Features: []string{"platform"}}
	rules, reasons := Compile(p, shop, Observation{})
	require.Equal(t, []string{"payment_errors", "refund_errors"}, ruleNames(rules))
	require.Contains(t, reasons[1], "the tenant opted in to marketplace, which implies refunds")
	require.Equal(t, "de", rules[0].Always[0].Value)
	require.Empty(t, Unruled(p, shop))
	require.Equal(t, []string{"unheard"}, Unruled(p, tenant.Tenant{Features: []string{"unheard"}}), "a tenant may opt in before the policy knows")
}

func TestEvolutionAndImpactHaveDefaults(t *testing.T) {
	p, err := Parse("p", []byte(base+sizes))
	require.NoError(t, err)
	require.Equal(t, Evolution{GrowAfter: 24 * time.Hour, ShrinkAfter: 168 * time.Hour, Margin: 0.2, ShadowFor: 24 * time.Hour, Promote: ByRecord,
		AcceptAfter: 168 * time.Hour, Stages: []float64{1, 10, 100}, StageFor: 24 * time.Hour}, p.Evolution)
	require.Equal(t, "22:00", p.Impact.Night.From)
	zero, err := Parse("p", []byte(base+sizes+"evolution: {margin: 0, shadow_pages_per_week: 0, stages: , grow_after: }\nimpact: {day: {share: }}\n"))
	require.NoError(t, err)
	require.Zero(t, zero.Evolution.Margin, "what is written counts")
	require.Zero(t, *zero.Evolution.ShadowPagesPerWeek)
	require.Equal(t, 24*time.Hour, zero.Evolution.GrowAfter, "nothing is no zero")
	require.Equal(t, []string{"evolution.margin: 0, before: 0.2", "evolution.shadow_pages_per_week: 0, before: not set"}, Settings(p, zero))
	p, err = Parse("p", []byte(base+sizes+"evolution: {stages: [5, 100], promote: person}\nimpact: {night: {from: '20:00', to: '08:00', share: 0.05, tenants: 4}}\n"))
	require.NoError(t, err)
	require.Equal(t, []float64{5, 100}, p.Evolution.Stages)
	require.Equal(t, Floor{Share: 0.05, Tenants: 4}, p.Impact.Night.Floor())
}

// rule1 is a policy's only rule, of that kind.
func rule1(kind string) string {
	return "rules:\n  - {name: burn, sli: payments, service: payments, severity: warning, summary: s, runbook_url: r, " + kind + "}"
}

func ruleNames(rules []rule.Rule) []string {
	out := []string{}
	for _, r := range rules {
		out = append(out, fmt.Sprint(r.Name))
	}
	return out
}

// TestWhatCountsSaysWhatItCounts: by either source, and as the same SLI.
func TestWhatCountsSaysWhatItCounts(t *testing.T) {
	const text = `version: 1
environments: [production]
volume: {sli: a}
slis:
  - name: a
    noun: wallet payments
    total: {metric: m}
    bad: {match: {x: [y]}}
    beside: {source: spans, bad: {match: {status: [error]}}, total: {match: {service: [a]}}}
`
	p, err := Parse("p", []byte(text))
	require.NoError(t, err)
	spec, _ := p.VolumeSLI()
	require.Equal(t, "wallet payments", spec.Noun)
	plain, err := Parse("p", []byte(strings.ReplaceAll(text, "    noun: wallet payments\n", "")))
	require.NoError(t, err)
	other, _ := plain.VolumeSLI()
	require.Equal(t, other.ID(), spec.ID())
	require.Equal(t, "wallet payments", spec.Beside.Noun)
	for _, bad := range []string{"Refunds", "re_funds", `" refunds"`, "one two three four", "3-d challenges"} {
		_, err = Parse("p", []byte(strings.ReplaceAll(text, "wallet payments", bad)))
		require.ErrorContains(t, err, "slis[0] (a): noun must be one to three lower-case words", bad)
	}
}
