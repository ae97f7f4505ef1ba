package reference_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/docs/schemas"
	"github.com/tocsin-alerting/tocsin/internal/reference"
	"github.com/tocsin-alerting/tocsin/profiles"
)

const sound = `version: 1
environments: [production]
volume: {sli: payments}
slis:
  - name: payments
    noun: card payments
    source: metrics
    total: {metric: payments_total}
    bad: {match: {result: [error]}}
    prior: 0.01
rules:
  - name: payment_errors
    kind: errors
    sli: payments
    service: payments
    severity: critical
    sensitivity: quiet
    summary: More payments fail than usual
    runbook_url: https://wiki.example.com/errors
  - {name: moved, kind: traffic, direction: both, sli: payments, service: payments, severity: info, summary: 0900, runbook_url: none}
  - {name: spent, kind: burn_rate, objective: 0.99, sli: payments, service: payments, severity: info, summary: Spent, runbook_url: none}
  - {name: asked, kind: promql, expr: vector(1), for: 10m, service: payments, severity: info, summary: Asked, runbook_url: none}
tiers:
  - {name: small, slices: 4}
  - {name: large, from_tpm: 60}
evolution: {grow_after: 24h, margin: 0.2, promote: person, stages: [1, 100], shadow_pages_per_week: 2}
impact: {day: {share: 0.005, tenants: 2}, night: {from: "22:00", to: "07:00"}, least_weight: 0.1, grown: 2}
overrides:
  - {tenant: acme, severity: warning, until: 2030-06-30, reason: It moves, by: ada}
pins:
  - {tenant: acme, tier: large, reason: It moves, by: ada}
calendar:
  - {name: easter, effect: widen, factor: 2, dates: {days: [12-24..12-26]}, why: Easter, by: ada}
  - {name: nights, effect: deny_changes, weekly: {days: [fri], from: "18:00"}, why: Nobody looks, by: ada}
  - {name: once, effect: hold_pages, starts_at: 2030-06-07T01:00:00Z, ends_at: 2030-06-08, why: It moves, by: ada}
`

// TestThePolicysSchemaRefusesWhatTheReaderRefuses takes one thing of a sound policy
// for another, and asks both.
func TestThePolicysSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	s := compile(t, "policy")
	read := func(text string) bool { _, faults := profiles.Check("policy", []byte(text)); return len(faults) == 0 }
	require.NoError(t, s.Validate(document(t, []byte(sound))))
	require.True(t, read(sound))
	for _, c := range [][2]string{
		{"version: 1", "version: 2"},
		{"noun: card payments", "noun: Payments"},
		{"noun: card payments", "noun: payments by many a card"},
		{"version: 1\n", ""},
		{"environments: [production]", "environments: []"},
		{"volume: {sli: payments}\n", ""},
		{"{sli: payments}", "{}"},
		{"source: metrics", "source: logs"},
		{"    bad: {match: {result: [error]}}\n", ""},
		{"prior: 0.01", "prior: 0.5"},
		{"name: payment_errors", "name: Payment-Errors"},
		{"kind: errors", "kind: error"},
		{"    kind: errors\n", ""},
		{"    sli: payments\n", ""},
		{"    service: payments\n", ""},
		{"severity: critical", "severity: crit"},
		{"severity: critical", "severity: true"},
		{"    severity: critical\n", ""},
		{"sensitivity: quiet", "sensitivity: loud"},
		{"direction: both", "direction: up"},
		{"    summary: More payments fail than usual\n", ""},
		{"summary: More payments fail than usual", "summary:"},
		{"summary: More payments fail than usual", `summary: ""`},
		{"    runbook_url: https://wiki.example.com/errors\n", ""},
		{"objective: 0.99, ", ""},
		{"objective: 0.99", "objective: 99"},
		{"expr: vector(1), ", ""},
		{"for: 10m", "for: -10m"},
		{"for: 10m", "for: soon"},
		{"slices: 4", "slices: 65"},
		{"slices: 4", "slices: 0"},
		{"share: 0.005", "share: 0"},
		{"tenants: 2", "tenants: 0"},
		{"least_weight: 0.1", "least_weight: 0"},
		{"grown: 2", "grown: 1"},
		{"from_tpm: 60", "from_tpm: -10"},
		{"grow_after: 24h", "grow_after: -24h"},
		{"margin: 0.2", "margin: 1"},
		{"promote: person", "promote: robot"},
		{"stages: [1, 100]", "stages: [0, 100]"},
		{"shadow_pages_per_week: 2", "shadow_pages_per_week: -1"},
		{"share: 0.005", "share: 1.5"},
		{"tenants: 2", "tenants: -1"},
		{`from: "22:00"`, `from: "24:00"`},
		{`to: "07:00"`, `to: 7am`},
		{"least_weight: 0.1", "least_weight: 2"},
		{"tenant: acme, severity", "tenant: a b, severity"},
		{"severity: warning, ", ""},
		{"until: 2030-06-30, ", ""},
		{"until: 2030-06-30", "until: 2030-13-01"},
		{"until: 2030-06-30", "until: tomorrow"},
		{"tier: large, ", ""},
		{"by: ada}\npins", "by: \"\"}\npins"},
		{"effect: widen", "effect: wide"},
		{"factor: 2, ", ""},
		{"factor: 2", "factor: 2000"},
		{"days: [12-24..12-26]", "days: [12-32]"},
		{"days: [fri]", "days: [friday]"},
		{`from: "18:00"`, `from: "18"`},
		{", ends_at: 2030-06-08", ""},
		{"why: Easter, ", ""},
	} {
		require.Contains(t, sound, c[0])
		bad := strings.Replace(sound, c[0], c[1], 1)
		require.Error(t, s.Validate(document(t, []byte(bad))), "the schema takes %q", c)
		require.False(t, read(bad), "the reader takes %q", c)
	}
}

func TestThePolicysSchemaTakesTheBuiltInPolicyAndNoNull(t *testing.T) {
	s := compile(t, "policy")
	raw, err := os.ReadFile(filepath.Join(root, "profiles/payments.yaml"))
	require.NoError(t, err)
	require.NoError(t, s.Validate(document(t, raw)))
	for _, kind := range schemas.Kinds() {
		for key, p := range all(schemaOf(t, kind), "") {
			types, _ := p["type"].([]any)
			require.NotContains(t, types, "null", "%s: %s", kind, key)
		}
	}
}

func TestEveryKeyOfThePolicyIsDescribed(t *testing.T) {
	found := all(schemaOf(t, "policy"), "")
	require.Greater(t, len(found), 100)
	for key, p := range found {
		require.NotEmpty(t, p["description"], "%s: give its field a comment", key)
	}
}

// A type or key of the program that is called otherwise would leave its lines unused.
func TestWhatIsNarrowedIsThere(t *testing.T) {
	require.Empty(t, reference.Unused())
}

func schemaOf(t *testing.T, kind string) map[string]any {
	t.Helper()
	raw, err := schemas.Files.ReadFile(kind + ".json")
	require.NoError(t, err)
	return document(t, raw).(map[string]any)
}

// all are the keys below a schema with what it says of each.
func all(s map[string]any, prefix string) map[string]map[string]any {
	out := map[string]map[string]any{}
	add := func(of map[string]map[string]any) {
		for k, v := range of {
			out[k] = v
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for k, v := range properties {
		p := v.(map[string]any)
		out[prefix+k] = p
		add(all(p, prefix+k+"."))
	}
	for _, of := range []string{"items", "additionalProperties"} {
		if p, ok := s[of].(map[string]any); ok {
			add(all(p, prefix))
		}
	}
	return out
}
