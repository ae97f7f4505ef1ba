package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/cmd/tocsin/steering"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// TestAPolicyIsRolledOutFromTheCommandLine does as somebody who changes the policy:
// plan, apply and wait, look, take back.
func TestAPolicyIsRolledOutFromTheCommandLine(t *testing.T) {
	d := start(t)
	tenants := file(t, "- {id: acme, name: Acme Travel, expected_tpm: 500, features: [refunds]}\n- {id: bolt, expected_tpm: 5}\n")
	d.ok(t, "tenant", "apply", "-f", tenants)
	shown := d.ok(t, "policy", "show")
	builtIn, err := profiles.Default()
	require.NoError(t, err)
	require.Equal(t, string(builtIn.Text), shown)

	quick := shown + "\nevolution: {stages: [50, 100], stage_for: 1m}\n"
	require.Contains(t, d.ok(t, "policy", "apply", "-f", file(t, quick), "--reason", "quicker rollouts", "--now"), "policy revision 2 is in force for every tenant; tocsin policy rollback")
	require.Contains(t, d.ok(t, "policy", "apply", "-f", file(t, quick), "--reason", "again"), "in force already")

	next := file(t, strings.Replace(quick, "name: refund_errors\n", "name: refund_errors\n    sensitivity: quiet\n", 1))
	out, _, code := d.run(t, "policy", "plan", "-f", next, "--exit-code")
	require.Equal(t, steering.ExitChanges, code, "a script can ask whether anything changes")
	require.Contains(t, out, "1 of 2 tenant(s) would have another profile, against policy revision 2")
	require.Regexp(t, `acme +Acme Travel +500 +refund_errors: sensitivity quiet, before: balanced`, out)
	require.Regexp(t, `bolt +5 +nothing`, out)
	require.Contains(t, out, "STAGES, EACH IN SHADOW FOR 1m FIRST")
	require.Contains(t, d.ok(t, "policy", "plan", "-f", next, "--tenants", tenants), "1 of 2 tenant(s) would have another profile\n")
	pinned := file(t, quick+"pins: [{tenant: bolt, tier: large, reason: it grows, by: ada}]\n")
	for _, more := range [][]string{nil, {"--tenants", tenants, "--against", file(t, quick)}} {
		out, _, code = d.run(t, append([]string{"policy", "plan", "-f", pinned, "--exit-code"}, more...)...)
		require.Equal(t, steering.ExitChanges, code)
		require.Contains(t, out, "1 of 2 tenant(s) would have another profile")
		require.Contains(t, out, "\nSETTINGS\nthe pin of tenant bolt is added: tier large, by ada: it grows\n")
	}
	out, _, code = d.run(t, "policy", "plan", "-f", file(t, strings.Replace(quick, "stage_for: 1m", "stage_for: 2m", 1)), "--exit-code")
	require.Equal(t, steering.ExitChanges, code)
	require.Contains(t, out, "\nSETTINGS\nevolution.stage_for: 2m0s, before: 1m0s\n")
	_, errOut, code := d.run(t, "policy", "plan", "-f", next, "--against", next)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "--tenants")
	_, errOut, code = d.run(t, "policy", "plan", "-f", file(t, strings.ReplaceAll(quick, "kind: errors", "kind: magic")))
	require.Equal(t, exitFailure, code)
	require.Greater(t, strings.Count(errOut, "kind must be"), 3, "all faults at once")

	once := file(t, strings.Replace(quick, "\nevolution: {", "\nimpact: {day: {tenants: 3.5}}\nevolution: {", 1))
	require.Contains(t, d.ok(t, "policy", "plan", "-f", file(t, quick), "--tenants", tenants, "--against", once), "0 of 2 tenant(s) would have another profile\n", "it may be what an earlier release took")
	_, errOut, _ = d.run(t, "policy", "plan", "-f", once, "--tenants", tenants)
	require.Contains(t, errOut, "impact.day.tenants: the value must be a whole number")

	bad := file(t, strings.Replace(strings.Replace(quick, "version: 1", "version: one", 1), "stage_for: 1m", "stage_for: 1s", 1))
	for _, how := range [][]string{{"plan"}, {"apply", "--reason", "x"}, {"plan", "--tenants", tenants}} {
		_, errOut, _ = d.run(t, append(append([]string{"policy"}, how...), "-f", bad)...)
		lines := strings.Split(errOut, "\n")
		require.Len(t, lines, 5, "one fault on a line, as tocsin check prints them: %s", errOut)
		require.Regexp(t, `^`+regexp.QuoteMeta(bad)+`:\d+: version: the value must be a whole number$`, lines[0])
		require.Regexp(t, `^`+regexp.QuoteMeta(bad)+`:\d+: evolution.stage_for must be at least 1m0s$`, lines[1])
		require.Regexp(t, `^tocsin: .* has 2 fault\(s\)$`, lines[2])
		require.Contains(t, lines[3], "  hint: ")
	}

	var said bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(t.Context(), []string{"policy", "apply", "-f", next, "--reason", "fewer pages", "--wait", "--every", "20ms", "--server", d.url, "--token-file", filepath.Join(d.dir, "admin.token")}, &said, &said)
	}()
	require.Eventually(t, func() bool { return strings.Contains(d.ok(t, "policy", "status"), "revision 3") }, 30*time.Second, 20*time.Millisecond)
	_, errOut, code = d.run(t, "policy", "apply", "-f", file(t, quick+"# another\n"), "--reason", "x")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "tocsin policy rollback")
	require.Contains(t, d.ok(t, "policy", "apply", "-f", next, "--reason", "a pipeline that ran twice"), "revision 3")
	require.Contains(t, d.ok(t, "policy", "apply", "-f", next, "--reason", "it cannot wait", "--now"), "policy revision 3 is in force")
	require.Zero(t, <-done, said.String())
	require.Contains(t, said.String(), "run it in shadow until")
	require.Contains(t, said.String(), "done: every tenant has policy revision 3")
	require.Contains(t, d.ok(t, "policy", "status"), "policy revision 3 is in force")
	require.Regexp(t, `3 .* api .* in force +fewer pages
 +refund_errors: sensitivity quiet, before: balanced`, d.ok(t, "policy", "revisions"))
	require.Regexp(t, `quicker rollouts
 +evolution.stage_for: 1m0s, before: 24h0m0s
 +evolution.stages: 50 100, before: 1 10 100`, d.ok(t, "policy", "revisions"))

	_, errOut, code = d.run(t, "policy", "rollback", "--reason", "x", "--to", "9")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "tocsin policy revisions")
	d.ok(t, "profile", "freeze", "acme", "--reason", "an audit")
	require.Equal(t, `policy revision 2 is in force for every tenant but 1 whose profile is frozen or pinned at a revision: they keep theirs until that ends
  acme (Acme Travel): frozen by token:admin: an audit
`, d.ok(t, "policy", "rollback", "--reason", "too quiet"))
	d.ok(t, "profile", "pin", "bolt", "--tier", "large", "--reason", "it grows")
	out = d.ok(t, "policy", "plan", "-f", file(t, strings.Replace(quick, "name: payment_errors\n", "name: payment_errors\n    sensitivity: early\n", 1)+"pins: [{tenant: bolt, tier: micro, reason: it shrinks, by: eve}]\n"))
	require.Contains(t, out, "1 of 2 tenant(s) would have another profile, against policy revision 2")
	require.Contains(t, out, `
STAYS WHERE A PERSON OR THE POLICY KEEPS IT
acme (Acme Travel): frozen by token:admin: an audit
bolt: pinned at tier large by token:admin: it grows
`)
	require.Regexp(t, `acme +Acme Travel +500 +nothing
 +it is frozen by token:admin: an audit
bolt +bolt +5 +payment_errors: sensitivity early, before: balanced
 +it is pinned at tier large by token:admin: it grows
`, out)
	require.Contains(t, d.ok(t, "why", "policy"), "too quiet")
	require.NotContains(t, d.ok(t, "policy", "show"), "sensitivity: quiet")
	require.Contains(t, d.ok(t, "policy", "show", "--revision", "3"), "sensitivity: quiet")
}
