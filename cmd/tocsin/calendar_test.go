package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
)

// TestWhatWasAnnouncedAndWhatProfilesWere does as somebody who asks what holds now, and
// takes the profiles' record along for a backtest.
func TestWhatWasAnnouncedAndWhatProfilesWere(t *testing.T) {
	d := start(t)
	d.ok(t, "tenant", "apply", "-f", file(t, "- {id: acme, name: Acme Travel, expected_tpm: 500, timezone: Europe/Berlin, countries: [DE]}\n- {id: bolt, expected_tpm: 5, countries: [FR]}\n"))
	require.Contains(t, d.ok(t, "calendar"), "nothing is announced")
	require.Contains(t, d.ok(t, "profile", "waiting"), "nothing waits for a person")

	until := time.Now().Add(time.Hour).UTC().Truncate(time.Minute)
	next := strconv.Itoa(time.Now().Year() + 1)
	text := d.ok(t, "policy", "show") + `
calendar:
  - {name: freeze, effect: hold_revisions, starts_at: 2020-01-01T00:00:00Z, ends_at: ` + until.Format(time.RFC3339) + `, why: the peak, by: ada}
  - {name: fair, effect: widen, factor: 3, dates: {days: ["` + next + `-05-01"], time_zone: Europe/Berlin}, countries: [DE], why: a fair, by: bo}
overrides: [{tenant: acme, rule: payment_errors, severity: warning, until: ` + until.Format(time.RFC3339) + `, reason: theirs, by: ada}]
`
	d.ok(t, "policy", "apply", "-f", file(t, text), "--reason", "the peak", "--now")
	out := d.ok(t, "calendar")
	require.Regexp(t, `freeze +holds until `+until.Format(time.RFC3339)+` +no profile is proposed or promoted.* everybody: 2 tenant\(s\) +the peak \(ada\)`, out)
	require.Regexp(t, `fair +from `+next+`-04-30T22:00:00Z +3 times .* country DE: 1 tenant\(s\)`, out)
	require.NotContains(t, d.ok(t, "calendar", "bolt"), "fair")
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	require.Contains(t, d.ok(t, "calendar", "acme"), "until "+until.In(berlin).Format("2006-01-02 15:04")+" Europe/Berlin")
	_, _, code := d.run(t, "calendar", "nobody")
	require.Equal(t, exitFailure, code)

	d.ok(t, "profile", "override", "acme", "--rule", "payment_latency", "--off", "--for", "1h", "--reason", "a migration")
	records, err := backtest.ReadRecords(strings.NewReader(d.ok(t, "profile", "export")))
	require.NoError(t, err)
	require.Len(t, records, 2)
	turns := records[0].Turns
	last := turns[len(turns)-1]
	require.Equal(t, "large", last.Tier)
	require.Len(t, last.Overrides, 1, "those of the policy are the policy's to say")
	require.Equal(t, "payment_latency", last.Overrides[0].Rule)
	require.Empty(t, turns[0].Overrides)

	d.ok(t, "profile", "override", "bolt", "--severity", "info", "--until", next+"-12-24", "--reason", "a trial")
	require.Contains(t, d.ok(t, "profile", "explain", "bolt"), next+"-12-24")
	_, said, code := d.run(t, "profile", "override", "bolt", "--off", "--until", "Christmas", "--reason", "a trial")
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, "write 2026-12-24 or")
}
