package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
)

// daemon is a tocsin to run commands against.
type daemon struct {
	url, dir string
}

func start(t *testing.T) daemon {
	t.Helper()
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Options{StoragePath: dir, ListenAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	return daemon{a.URL(), dir}
}

// run runs the command line and gives its output and exit code.
func (d daemon) run(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	args = append(args, "--server", d.url, "--token-file", filepath.Join(d.dir, "admin.token"))
	code = run(t.Context(), args, &o, &e)
	return o.String(), e.String(), code
}

func (d daemon) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, errOut, code := d.run(t, args...)
	require.Zero(t, code, "%v: %s", args, errOut)
	return out
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tenants.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestTenantsAreAppliedFromAFile(t *testing.T) {
	d := start(t)
	f := file(t, "- id: acme\n  name: Acme Travel\n  timezone: Europe/Berlin\n- id: bolt\n")
	require.Regexp(t, `acme +created`, d.ok(t, "tenant", "apply", "-f", f))
	again := d.ok(t, "tenant", "apply", "-f", f)
	require.Regexp(t, `acme +unchanged`, again, "applying twice changes nothing")
	require.NotContains(t, again, "created")
	changed := file(t, "- id: acme\n  name: Acme Travel\n  timezone: Europe/Berlin\n  opt_ins: [{feature: refunds, at: 2026-02-01T00:00:00Z}]\n- id: bolt\n")
	out := d.ok(t, "tenant", "apply", "-f", changed)
	require.Regexp(t, `acme +changed`, out)
	require.Regexp(t, `bolt +unchanged`, out)
	require.NotContains(t, out, "but")
	require.Regexp(t, `but +nothing of the service paymetns is watched: .*; did you mean payments\?`, d.ok(t, "tenant", "apply", "-f", file(t, "- id: bolt\n  services: [paymetns]\n")))
	d.ok(t, "tenant", "apply", "-f", changed)
	require.Contains(t, d.ok(t, "tenant", "revisions", "acme"), "refund_errors is added")
	require.Contains(t, d.ok(t, "tenant", "get", "acme"), "refunds since 2026-02-01")
	require.NotContains(t, d.ok(t, "tenant", "opt-out", "acme", "refunds", "--reason", "sold: no shop & no card"), "refund_errors")
	require.Contains(t, d.ok(t, "tenant", "revisions", "acme"), "the tenant opted out of refunds: sold: no shop & no card")
	require.Contains(t, d.ok(t, "tenant", "opt-in", "acme", "no.such"), "no rule follows")
	require.Contains(t, d.ok(t, "tenant", "list"), "Acme Travel")
	require.Contains(t, d.ok(t, "tenant", "get", "acme"), "payment_errors")
	require.Contains(t, d.ok(t, "tenant", "status", "acme"), "last sample")
	require.Contains(t, d.ok(t, "why", "acme"), "profile.assigned")

	only := file(t, "- id: acme\n  name: Acme Travel\n  timezone: Europe/Berlin\n")
	require.Contains(t, d.ok(t, "tenant", "apply", "-f", only), "--prune", "nothing is removed without being asked for")
	require.Contains(t, d.ok(t, "tenant", "list"), "bolt")
	_, errOut, code := d.run(t, "tenant", "apply", "--prune", "-f", only)
	require.Equal(t, exitFailure, code, "it is listed first")
	require.Contains(t, errOut, "bolt")
	require.Contains(t, errOut, "--yes")
	require.Contains(t, d.ok(t, "tenant", "list"), "bolt")
	require.Regexp(t, `bolt +offboarded`, d.ok(t, "tenant", "apply", "--prune", "--yes", "-f", only))
	require.NotContains(t, d.ok(t, "tenant", "list"), "bolt")
	_, errOut, code = d.run(t, "tenant", "delete", "--purge", "acme")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "--yes")
	require.Eventually(t, func() bool { // the history opens behind the serving daemon
		out, _, code := d.run(t, "tenant", "delete", "--purge", "--yes", "acme")
		return code == 0 && strings.Contains(out, "erased")
	}, 20*time.Second, 50*time.Millisecond)
	require.Contains(t, d.ok(t, "why", "acme"), "tenant.purged")
}

func TestAFileWithFaultsAppliesNothing(t *testing.T) {
	d := start(t)
	_, errOut, code := d.run(t, "tenant", "apply", "-f", file(t, "- id: good\n- id: bad one\n- id: zone\n  timezone: Mars\n- id: good\n"))
	require.Equal(t, exitFailure, code)
	for _, want := range []string{":2: id", ":4: zone: timezone", ":5: good: id", "nothing was applied"} {
		require.Contains(t, errOut, want)
	}
	_, errOut, code = d.run(t, "tenant", "apply", "-f", file(t, "- id: good\n  colour: red\n"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "colour")
	require.NotContains(t, d.ok(t, "tenant", "list"), "good")
}

func TestATokenIsShownOnceAndCanBeRevoked(t *testing.T) {
	d := start(t)
	secret := strings.TrimSpace(d.ok(t, "token", "create", "--name", "prometheus", "--role", "sender", "--tenants", "*"))
	require.True(t, strings.HasPrefix(secret, "tsn_"))
	list := d.ok(t, "token", "list")
	require.Contains(t, list, "prometheus")
	require.NotContains(t, list, secret)

	own := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(own, []byte(secret), 0o600))
	var out, errOut bytes.Buffer
	code := run(t.Context(), []string{"tenant", "list", "--server", d.url, "--token-file", own}, &out, &errOut)
	require.Equal(t, exitFailure, code, "a sender may not read")
	require.NotContains(t, errOut.String(), secret)

	var tokens []struct{ ID, Name string }
	require.NoError(t, json.Unmarshal([]byte(d.ok(t, "token", "list", "--output", "json")), &tokens))
	for _, x := range tokens {
		if x.Name == "prometheus" {
			d.ok(t, "token", "revoke", x.ID)
		}
	}
	require.NotContains(t, d.ok(t, "token", "list"), "prometheus")
}

func TestExitCodesAndHints(t *testing.T) {
	var out, errOut bytes.Buffer
	require.Equal(t, exitUsage, run(t.Context(), []string{"tenant", "fly"}, &out, &errOut))
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, busy.Close()) }()
	for _, flag := range []string{"--otlp.listen-address", "--otlp.listen"} {
		errOut.Reset()
		require.Equal(t, exitFailure, run(t.Context(), []string{"serve", "--storage.path", t.TempDir(), "--web.listen-address", "127.0.0.1:0", flag, busy.Addr().String()}, &out, &errOut))
		require.Contains(t, errOut.String(), "choose another with --otlp.listen-address")
	}
	errOut.Reset()
	require.Equal(t, exitFailure, run(t.Context(), []string{"tenant", "list", "--token-file", filepath.Join(t.TempDir(), "none")}, &out, &errOut))
	require.Contains(t, errOut.String(), "--token-file")
	errOut.Reset()
	require.Equal(t, exitFailure, run(t.Context(), []string{"serve", "--config.file", file(t, "enviroment: x\n"), "--storage.path", t.TempDir()}, &out, &errOut))
	require.Contains(t, errOut.String(), "enviroment")
	out.Reset()
	require.Zero(t, run(t.Context(), []string{"--help"}, &out, &errOut))
	require.Contains(t, out.String(), "tenant")

	d := start(t)
	_, said, code := d.run(t, "why", "inc_nothing")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "hint:")
	require.Contains(t, d.ok(t, "itsm", "check", "register"), "can be used")
}

func TestServeDrainsOnASignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, errOut bytes.Buffer
	dir := t.TempDir()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--storage.path", dir, "--web.listen-address", "127.0.0.1:0", "--otlp.listen-address", "127.0.0.1:0"}, &out, &errOut)
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "admin.token")); return err == nil }, 20*time.Second, 20*time.Millisecond)
	info, err := os.Stat(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	secret, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	cancel()
	select {
	case code := <-done:
		require.Zero(t, code, errOut.String())
	case <-time.After(30 * time.Second):
		t.Fatal("serve did not stop")
	}
	require.Contains(t, errOut.String(), "stopped")
	require.NotContains(t, errOut.String(), strings.TrimSpace(string(secret)))
}

func TestCheckSaysEverythingAtOnce(t *testing.T) {
	here := func(args ...string) (string, string, int) {
		var o, e bytes.Buffer
		code := run(t.Context(), args, &o, &e)
		return o.String(), e.String(), code
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	bad := write("bad.yaml", "enviroment: production\nretention: {samples: soon}\n")
	out, errOut, code := here("check", "--config.file", bad)
	require.Equal(t, exitFailure, code)
	require.Empty(t, errOut)
	require.Equal(t, "bad.yaml:1: unknown key enviroment; did you mean environment?\nbad.yaml:2: retention.samples: the value must be a duration like 5m\n2 error(s), 0 warning(s)\n", out)
	out, _, code = here("check", "--config.file", bad, "--output", "json")
	require.Equal(t, exitFailure, code)
	var doc checked
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, 2, doc.Errors)
	require.Equal(t, "retention.samples", doc.Faults[1].Field)
	require.Equal(t, 2, doc.Faults[1].Line)
	out, _, code = here("check", "--config", write("good.yaml", "environment: production\n"), "--output", "json")
	require.Equal(t, exitOK, code, "a warning is no failure")
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, 1, doc.Warnings)
	_, errOut, code = here("check", "--config.file", filepath.Join(dir, "absent.yaml"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "--config.file")
	out, _, code = here("schema", "catalog")
	require.Equal(t, exitOK, code)
	require.True(t, json.Valid([]byte(out)))
	_, errOut, code = here("schema", "nothing")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "config, catalog, policy, tenants")
}
