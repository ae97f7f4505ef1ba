package tenant

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAFileOfTenants(t *testing.T) {
	list, err := ParseList("tenants.yaml", []byte(`
- id: acme
  features: [refunds]
  expected_tpm: 900
  onboarded_at: 2026-01-05T09:00:00Z
  opt_ins: [{feature: payouts, at: 2026-02-01T00:00:00Z}]
- id: bolt
`), noon)
	require.NoError(t, err)
	require.Len(t, list, 2)
	acme, err := list[0].Following(Tenant{}, noon).Normalise(noon)
	require.NoError(t, err)
	require.Equal(t, []string{"payouts", "refunds"}, acme.Features, "who opted in has the feature")
	require.Equal(t, []OptIn{{"payouts", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}, {"refunds", acme.OnboardedAt}}, acme.OptIns,
		"a feature without an opt-in was there from the onboarding")
	list, err = ParseList("tenants.yaml", nil, noon)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestEveryFaultOfAFileHasLineAndField(t *testing.T) {
	_, err := ParseList("tenants.yaml", []byte(`- id: good
- id: bad one
- id: zone
  timezone: Mars/Olympus
  currency: euro
- id: good
- id: types
  expected_tpm: secret-number
  priority: maybe
- id: keys
  colour: red
  opt_ins: [{feature: refunds, when: 2026-02-01T00:00:00Z}]
- just text
- id: future
  opt_ins: [{feature: refunds, at: 2036-02-01T00:00:00Z}]
- name: nobody
`), noon)
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	text := err.Error()
	for _, want := range []string{
		"tenants.yaml:2: id: the tenant id is not usable",
		"tenants.yaml:4: zone: timezone is not",
		"tenants.yaml:5: zone: currency is not",
		"tenants.yaml:6: good: id: the id stands on line 1 already",
		"tenants.yaml:8: types: expected_tpm: the value must be a number",
		"tenants.yaml:9: types: priority: the value must be true or false",
		"tenants.yaml:11: keys: unknown key colour",
		"tenants.yaml:12: keys: unknown key when",
		"tenants.yaml:13: this is not a tenant",
		"tenants.yaml:15: future: opt_ins: an opt-in is in the future",
		"tenants.yaml:16: id: the tenant id is not usable",
		"nothing was applied",
	} {
		require.Contains(t, text, want)
	}
	for _, value := range []string{"Mars", "euro", "bad one", "secret-number", "maybe", "red"} {
		require.NotContains(t, strings.ReplaceAll(text, "measured", ""), value, "a rejected value is not repeated")
	}
	for _, bad := range []string{"a: b", "[", "- id: a\n---\n- id: b\n", "- &a [*a]"} {
		_, err = ParseList("tenants.yaml", []byte(bad), noon)
		require.Error(t, err, bad)
		require.Contains(t, err.Error(), "tenants.yaml", bad)
	}
}

func TestWhatIsNoYAMLSaysWhatIsMissing(t *testing.T) {
	_, err := ParseList("tenants.yaml", []byte("- id: a\n  features: [refunds, payouts\n"), noon)
	require.ErrorContains(t, err, "did not find expected ',' or ']'")
	_, err = ParseList("tenants.yaml", []byte("- id: *secret\n"), noon)
	require.ErrorContains(t, err, "unknown anchor … referenced", "a rejected value is not repeated")
}

func TestWhatIsOfAnotherTypeIsNamedByItsKey(t *testing.T) {
	_, err := ParseList("t", []byte(`- {id: x1, expected_tpm: secret}
- {id: y2, name: Y, features: refunds}
- id: z3
  opt_ins:
    - feature: refunds
      at: yesterday
- {id: w4, expected_tmp: 5}
- {id: v5, expected_tpm: 1e300}
`), noon)
	require.Error(t, err)
	for _, want := range []string{
		"t:1: x1: expected_tpm: the value must be a number",
		"t:2: y2: features: the value must be a list",
		"t:6: z3: opt_ins[0].at: the value must be a time like 2026-02-01T00:00:00Z",
		"t:7: w4: unknown key expected_tmp; did you mean expected_tpm?",
		"t:8: v5: expected_tpm must be a number from 0 to 1e15",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "yesterday")
}

func TestWhatADocumentDoesNotSayOfItsPastStays(t *testing.T) {
	first, err := Tenant{ID: "acme", Features: []string{"refunds"}}.Following(Tenant{}, noon).Normalise(noon)
	require.NoError(t, err)
	later := noon.Add(time.Hour)
	second, err := Tenant{ID: "acme", Features: []string{"refunds", "payouts"}}.Following(first, later).Normalise(later)
	require.NoError(t, err)
	require.Equal(t, noon, second.OnboardedAt)
	require.Equal(t, []OptIn{{"payouts", later}, {"refunds", noon}}, second.OptIns)
	third, err := Tenant{ID: "acme", State: Retired}.Following(second, later).Normalise(later)
	require.NoError(t, err)
	require.Empty(t, third.OptIns)
	back, err := Tenant{ID: "acme"}.Following(third, later).Normalise(later)
	require.NoError(t, err)
	require.Equal(t, later, back.OnboardedAt, "who was retired begins anew")
}

func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"", "- id: acme\n  opt_ins: [{feature: refunds, at: 2026-02-01T00:00:00Z}]\n", "- &a {id: a}\n- {<<: *a, id: b}\n", "- [*a]", "- id: [\n", "- id: a\n  labels: {a: 1}\n",
		"- {id: a, expected_tpm: .nan}", "- ? {a: b}\n  : c\n", "- id: a\n  onboarded_at: 9999-99-99\n", "&x [*x]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseList("f", text, noon)
		if err != nil {
			require.NotEqual(t, problem.Internal, problem.From(err).Kind, "%v", err)
			return
		}
		for _, x := range list {
			n, err := x.Following(Tenant{}, noon).Normalise(noon)
			require.NoError(t, err, "a file without faults can be applied")
			again, err := n.Normalise(noon.Add(time.Hour))
			require.NoError(t, err)
			require.Equal(t, n, again)
		}
	})
}
