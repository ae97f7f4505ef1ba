package profiles

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// once is what earlier releases took and this one refuses of a new policy. A check that
// comes later has its line here, for policies are stored that fail it.
const once = base + `tiers: [{name: small, slices: 3.9, sensitivity: quiet}, {name: large, from_tpm: 100, slices: 0}]
evolution: {grow_after: 0s, stages: []}
impact: {day: {share: 0, tenants: 2.5}, least_weight: 0}
overrides: [{tenant: acme, rule: payment_errors, severity: warning, until: 2030-01-01, reason: ' ', by: ' '}]
pins: [{tenant: acme, tier: small, reason: ' ', by: ' '}]
calendar: [{name: sundays, effect: hold_revisions, weekly: {days: [sun]}, why: ' ', by: ' '}]
`

func TestWhatAnEarlierReleaseTookMeansWhatItMeant(t *testing.T) {
	text := strings.Replace(once, "summary: s, runbook_url: r, features", "summary: ' ', runbook_url: r, features", 1)
	_, err := Parse("p", []byte(text))
	require.ErrorContains(t, err, "p has 14 fault(s)", "a new one is refused")

	p, err := Stored("p", []byte(text))
	require.NoError(t, err)
	require.Len(t, p.Mend(), 14)
	for _, f := range p.Mend() {
		require.Equal(t, fault.Warning, f.Level)
		require.Positive(t, f.Line)
	}
	require.Equal(t, []int{3, 0}, []int{p.Tiers[0].Slices, p.Tiers[1].Slices}, "decimals are cut off")
	require.Equal(t, 2, p.Impact.Day.Tenants)
	require.Equal(t, 24*time.Hour, p.Evolution.GrowAfter)
	require.Equal(t, []float64{1, 10, 100}, p.Evolution.Stages)
	require.InDelta(t, 0.1, p.Impact.LeastWeight, 0)
	in, _ := p.Calendar().Holds("sundays", time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	require.True(t, in, "the calendar holds")
	e, _ := p.Calendar().Active(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), calendar.HoldRevisions, calendar.Scope{})
	require.Equal(t, [2]string{"not said", "not said"}, [2]string{e.Why, e.By})
	rules, _ := Compile(p, tenant.Tenant{ID: "acme", Features: []string{"refunds"}}, Observation{Overrides: p.InForce("acme", time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))})
	require.Len(t, rules, 2)

	sound, err := Stored("p", []byte(base+sizes))
	require.NoError(t, err)
	require.Empty(t, sound.Mend())
	for old, bad := range map[string]string{
		"version: 1": "version: 0", "kind: traffic": "kind: ' '", "name: refund_errors": "name: ' '", "slices: 3.9": "slices: many",
		"severity: warning": "severity: loud", "weekly: {days: [sun]}": "weekly: {days: [' ']}", "grow_after: 0s": "grow_after: 5m",
	} {
		require.Contains(t, text, old)
		_, err := Stored("p", []byte(strings.Replace(text, old, bad, 1)))
		require.ErrorContains(t, err, "p has 1 fault(s)", "no release took %s", bad)
	}
}
