package backtest_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// tiered has a rule of its own for tenants with 80 payments a minute and more.
func tiered(t *testing.T, extra string) *profiles.Policy {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	text := regexp.MustCompile(`(?m)^tiers:\n(?:[ #].*\n)+`).ReplaceAllString(string(p.Text), "")
	text = strings.Replace(text, "\nrules:\n", `
tiers:
  - {name: few, from_tpm: 0}
  - {name: many, from_tpm: 80}
evolution: {grow_after: 1h, shrink_after: 1h, shadow_for: 1h}
rules:
  - {name: many_errors, kind: errors, sli: payments, service: payments, severity: critical, summary: A large tenant fails, runbook_url: "https://example.com/r", tiers: [many]}
`, 1)
	p, err = profiles.Parse("test", []byte(text+extra))
	require.NoError(t, err)
	return p
}

// TestTiersFollowTheRecordedVolume: and pins, and what was recorded of the profiles.
func TestTiersFollowTheRecordedVolume(t *testing.T) {
	src := recording(t)
	with := func(follow bool, extra string, records ...backtest.Record) backtest.Options {
		o := options(t)
		o.Policy, o.Follow, o.Profiles = tiered(t, extra), follow, records
		for i := range o.Tenants {
			o.Tenants[i].ExpectedTPM = 10
		}
		return o
	}
	turns := func(id tenant.ID, at time.Duration, before, after string) backtest.Record {
		return backtest.Record{Tenant: id, Turns: []backtest.Turn{{At: begin, Tier: before}, {At: begin.Add(at), Tier: after}}}
	}
	off := turns("bolt", 20*time.Hour, "few", "many")
	off.Turns[1].Overrides = []profiles.Override{{Tenant: "bolt", Rule: "many_errors", Off: true, Until: begin.Add(40 * time.Hour), Reason: "r", By: "eve"}}
	rs := replay(t, src,
		with(false, ""), with(true, ""),
		with(true, "pins: [{tenant: acme, tier: few, reason: a test, by: eve}]\n"),
		with(true, "pins: [{tenant: acme, tier: few, until: 2026-03-02T20:00:00Z, reason: a test, by: eve}]\n"),
		with(true, "calendar: [{name: sale, effect: hold_revisions, starts_at: 2026-03-01T00:00:00Z, ends_at: 2026-03-09T00:00:00Z, tenants: [bolt], why: a sale, by: eve}]\n"),
		with(true, "", turns("acme", 20*time.Hour, "few", "many"), turns("bolt", 29*time.Hour, "many", "few"), turns("calm", 20*time.Hour, "few", "many")),
		with(true, "", off))
	for i, want := range [][]string{nil, {"acme", "bolt"}, {"bolt"}, {"acme", "bolt"}, {"acme"}, {"acme", "calm"}, {"acme"}} {
		var got []string
		for _, l := range rs[i].Lines() {
			if l.Rule == "many_errors" && !slices.Contains(got, l.Tenant) {
				got = append(got, l.Tenant)
			}
		}
		slices.Sort(got)
		require.Equal(t, want, got, "replay %d", i)
	}
}

func TestARecordOfProfilesIsChecked(t *testing.T) {
	got, err := backtest.ReadRecords(strings.NewReader(`{"tenant":"a","turns":[{"at":"2026-03-02T00:00:00Z","tier":"many"},{"at":"2026-03-01T00:00:00Z","tier":"few"}]}` + "\n\n"))
	require.NoError(t, err)
	require.Equal(t, "few", got[0].Turns[0].Tier)
	for _, bad := range []string{"x", "{}", `{"tenant":"a"}` + "\n" + `{"tenant":"a"}`} {
		_, err := backtest.ReadRecords(strings.NewReader(bad))
		require.ErrorContains(t, err, "of the profiles' record")
	}
}
