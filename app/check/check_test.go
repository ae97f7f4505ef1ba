package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
)

const good = `external_url: https://tocsin.example.com
policy_files: [policy.yaml]
catalog_files: [catalog.yaml]
live_teams: [payments]
heartbeat: {url: https://beats.example.com/x}
channels:
  - {name: mail, kind: smtp, address: 'smtp.example.com:587', from: t@example.com, password_file: secret}
`

const owners = `teams:
  - {id: payments, schedule: rota, escalation: [{after: 5m, person: cleo}], last_resort: {person: ada}}
services:
  - {id: payments, team: payments, runbook: https://wiki.example.com, dashboard: https://grafana.example.com/d/p}
people:
  - {id: ada, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, contacts: [{channel: mail, to: bo@example.com}]}
  - {id: cleo, contacts: [{channel: mail, to: cleo@example.com}]}
schedules:
  - id: rota
    layers: [{start: "2026-01-05T09:00", unit: week, every: 1, members: [ada, bo, cleo]}]
`

const rules = `version: 1
environments: [production]
volume: {sli: payments}
slis: [{name: payments, total: {metric: m}, bad: {match: {result: [error]}}}]
rules:
  - {name: a, kind: errors, sli: payments, service: payments, severity: critical, summary: s, runbook_url: https://r}
`

// lasting is the beginning of an entry of the calendar.
const lasting = "calendar: [{name: a, effect: hold_pages, weekly: {days: [sun]}, why: w, by: b, "

// edit is one change to the good files.
type edit struct{ file, old, new string }

func run(t *testing.T, edits ...edit) []string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"tocsin.yaml": good, "catalog.yaml": owners, "policy.yaml": rules, "secret": "s"}
	for _, e := range edits {
		require.Contains(t, files[e.file], e.old)
		files[e.file] = strings.Replace(files[e.file], e.old, e.new, 1)
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	_, faults := check.File(filepath.Join(dir, "tocsin.yaml"))
	var out []string
	for _, f := range faults {
		out = append(out, f.String())
	}
	return out
}

func TestGoodFilesHaveNoFault(t *testing.T) {
	require.Empty(t, run(t))
	require.Empty(t, run(t, edit{"policy.yaml", "version: 1\n", "version: 1\n" + lasting + "services: [payments], environments: [production], countries: [de]}]\n"}))
}

func TestEachFaultAndWarningIsFoundWhereItStands(t *testing.T) {
	for _, c := range []struct {
		edit
		want string
	}{
		{edit{"tocsin.yaml", "external_url: https://tocsin.example.com\n", ""}, "tocsin.yaml: external_url is missing, and something outside is live"},
		{edit{"tocsin.yaml", "https://tocsin.example.com", "http://127.0.0.1:9480"}, "tocsin.yaml:1: external_url is an address of this machine only"},
		{edit{"tocsin.yaml", "https://tocsin.example.com", "http://localhost"}, "tocsin.yaml:1: external_url is an address of this machine only"},
		{edit{"tocsin.yaml", "https://tocsin.example.com", "http://tocsin.example.com"}, "tocsin.yaml:1: warning: external_url is http"},
		{edit{"tocsin.yaml", "policy.yaml", "absent.yaml"}, "tocsin.yaml:2: the policy file cannot be read: there is no such file"},
		{edit{"tocsin.yaml", "[catalog.yaml]", "[catalog.yaml, absent.yaml]"}, "tocsin.yaml:3: the catalog file cannot be read: there is no such file"},
		{edit{"tocsin.yaml", "[payments]", "[paymens]"}, "tocsin.yaml:4: live_teams names the team paymens, which is not in the catalog"},
		{edit{"tocsin.yaml", "heartbeat: {url: https://beats.example.com/x}\n", ""}, "tocsin.yaml: warning: heartbeat is missing"},
		{edit{"tocsin.yaml", "https://beats", "beats"}, "tocsin.yaml:5: heartbeat: url must be an http or https address"},
		{edit{"tocsin.yaml", "live_teams: [payments]\n", ""}, "tocsin.yaml: warning: live_teams is empty"},
		{edit{"tocsin.yaml", "password_file: secret", "password_file: absent"}, "tocsin.yaml:7: password_file cannot be read: there is no such file"},
		{edit{"tocsin.yaml", "kind: smtp", "kind: pigeon"}, "tocsin.yaml:7: channels[0] (mail): kind must be log, smtp or webhook"},
		{edit{"tocsin.yaml", "live_teams", "live_temas"}, "tocsin.yaml:4: unknown key live_temas; did you mean live_teams?"},
		{edit{"catalog.yaml", "schedule: rota", "schedule: rota, itsm: {system: rt}"}, "catalog.yaml:2: team payments: itsm.system is not under itsm.systems"},
		{edit{"catalog.yaml", "mail, to: bo", "male, to: bo"}, "catalog.yaml:7: a contact of person bo uses a channel that tocsin.yaml does not list"},
		{edit{"catalog.yaml", ", last_resort: {person: ada}", ""}, "catalog.yaml:2: warning: team payments: the escalation ends without a last resort"},
		{edit{"catalog.yaml", ", escalation: [{after: 5m, person: cleo}], last_resort: {person: ada}", ""}, "catalog.yaml:2: warning: team payments: nobody else is called"},
		{edit{"catalog.yaml", "schedule: rota", "oncall: [ada]"}, "catalog.yaml:2: warning: team payments: one person is always on call"},
		{edit{"catalog.yaml", ", runbook: https://wiki.example.com", ""}, "catalog.yaml:4: warning: service payments: no runbook"},
		{edit{"catalog.yaml", "{channel: mail, to: bo@example.com}", "{channel: log}"}, "catalog.yaml:7: warning: person bo: reached by tocsin's log only"},
		{edit{"catalog.yaml", "ada, bo, cleo", "ada, bo"}, "catalog.yaml:10: warning: schedule rota: 2 on a rota"},
		{edit{"catalog.yaml", "schedule: rota", "oncall: [ada, bo]"}, "catalog.yaml:10: warning: schedule rota: no team names it"},
		{edit{"policy.yaml", "[production]", "[staging]"}, "policy.yaml:2: warning: environments does not list the environment of tocsin.yaml"},
		{edit{"policy.yaml", "service: payments", "service: paymetns"}, "policy.yaml:6: rule a: nobody owns it: its service is not in the catalog"},
		{edit{"catalog.yaml", ", dashboard: https://grafana.example.com/d/p", ""}, "policy.yaml:6: rule a: it has no dashboard"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\noverrides: [{tenant: a, off: true, until: 2026-01-01T00:00:00Z, reason: r, by: b}]\n"}, "policy.yaml:2: warning: the override of tenant a has ended and is not applied"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\noverrides:\n  - {tenant: a, severity: info, until: 2099-01-01T00:00:00Z, reason: r, by: b}\n  - {tenant: a, severity: critical, until: 2099-01-01T00:00:00Z, reason: r, by: b}\n"}, "policy.yaml:4: warning: the override of tenant a contradicts overrides[0]"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\noverrides: [{tenant: a, off: true, until: 2099-01-01T00:00:00Z, reason: r, by: b}]\n"}, "policy.yaml:2: warning: the override of tenant a: it lasts until 2099-01-01, 90 days or more from now"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\npins: [{tenant: a, revision: 1, until: 2026-01-01T00:00:00Z, reason: r, by: b}]\n"}, "policy.yaml:2: warning: the pin of tenant a has ended"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\ncalendar: [{name: a, effect: hold_pages, starts_at: 2025-01-01T00:00:00Z, ends_at: 2025-01-02T00:00:00Z, why: w, by: b}]\n"}, "policy.yaml:2: warning: the entry a is over"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\ncalendar:\n  - {name: a, effect: hold_pages, why: w, by: b, dates: {days: [2025-11-28, 2025-12-24..2025-12-26]}}\n"}, "policy.yaml:3: warning: the entry a never holds any more: none of its days is to come"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\ncalendar:\n  - {name: a, effect: hold_pages, why: w, by: b, starts_at: 2026-01-01, ends_at: 2099-01-02, dates: {days: [06-31]}}\n"}, "policy.yaml:3: calendar[0] (a): dates.days[0]: there is no such day: June has 30"},
		{edit{"policy.yaml", "rules:\n", "rules:\n  - {name: g, kind: absent, sensitivity: early, sli: payments, service: payments, severity: info, summary: s, runbook_url: https://r}\n"}, "policy.yaml:6: warning: rule g: sensitivity is of no use with kind absent"},
		{edit{"policy.yaml", "https://r", "wiki/x"}, "policy.yaml:6: rule a: runbook_url must be an http or https address"},
		{edit{"policy.yaml", "https://r", "'javascript:alert(2)'"}, "policy.yaml:6: rule a: runbook_url must be an http or https address"},
		{edit{"policy.yaml", "summary: s", "summary: s, dashboard_url: 'javascript:alert(1)'"}, "policy.yaml:6: rule a: dashboard_url must be an http or https address"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\n" + lasting + "services: [nope]}]\n"}, "policy.yaml:2: warning: the entry a names the service nope, which is not in the catalog"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\n" + lasting + "environments: [prd]}]\n"}, "policy.yaml:2: warning: the entry a names the environment prd, which neither"},
		{edit{"policy.yaml", "version: 1\n", "version: 1\n" + lasting + "countries: [germany]}]\n"}, "policy.yaml:2: warning: the entry a names a country by germany"},
		{edit{"policy.yaml", "kind: errors", "kind: magic"}, "policy.yaml:6: rules[0] (a): kind must be one of"},
	} {
		got := run(t, c.edit)
		require.Condition(t, func() bool {
			for _, g := range got {
				if strings.HasPrefix(g, c.want) {
					return true
				}
			}
			return false
		}, "%s -> %s: want %q, got\n%s", c.old, c.new, c.want, strings.Join(got, "\n"))
	}
}

func TestAnOverrideWithoutAnEndHasNotEnded(t *testing.T) {
	got := run(t, edit{"policy.yaml", "version: 1\n", "version: 1\noverrides: [{tenant: a, off: true, reason: r, by: b}]\n"})
	require.Len(t, got, 1)
	require.Contains(t, got[0], "until is missing")
}

func TestAQueryThatDropsTheTenantIsRefused(t *testing.T) {
	asks := edit{"policy.yaml", "rules:\n", "rules:\n  - {name: q, kind: promql, expr: 'sum by (shop) (rate(x[5m])) > 1', service: payments, severity: info, summary: s, runbook_url: https://r}\n"}
	require.Equal(t, []string{"policy.yaml:6: rule q: no series that expr gives has the label tenant, so that nothing could be told of a tenant; sum by (…) drops it: add tenant to the list"}, run(t, asks))
	require.Empty(t, run(t, asks, edit{"tocsin.yaml", "external_url", "labels: {tenant: shop}\nexternal_url"}), "its name is the configuration's")
	require.Empty(t, run(t, asks, edit{"policy.yaml", "by (shop)", "by (tenant, shop)"}))
}

func TestAllFilesFaultsComeAtOnceInOrder(t *testing.T) {
	require.Equal(t, []string{
		"tocsin.yaml:7: channels[0] (mail): kind must be log, smtp or webhook",
		"policy.yaml:1: version must be 1",
		"policy.yaml:6: rules[0] (a): kind must be one of errors",
		"catalog.yaml:2: teams[0].escalation[0].after: the value must be a duration like 5m",
	}, cutKinds(run(t, edit{"tocsin.yaml", "kind: smtp", "kind: pigeon"}, edit{"catalog.yaml", "after: 5m", "after: hunter2"},
		edit{"policy.yaml", "version: 1", "version: 2"}, edit{"policy.yaml", "kind: errors", "kind: hunter2"})), "and no value is repeated")
}

func TestATypeHidesNothingOfThePolicyThatOtherFilesContradict(t *testing.T) {
	require.Equal(t, []string{
		"policy.yaml:2: environments: the value must be a list",
		"policy.yaml:6: rules[0].objective: the value must be a number",
		"policy.yaml:6: rule a: nobody owns it: its service is not in the catalog, so that the first team listed would get its incidents; add the service or correct the name",
	}, run(t, edit{"policy.yaml", "[production]", "production"}, edit{"policy.yaml", "service: payments,", "service: payment, objective: hunter2,"}))
	require.Equal(t, []string{"policy.yaml:6: rules[0].service: the value must be a text"}, run(t, edit{"policy.yaml", "service: payments,", "service: [payment],"}))

	_, faults := check.Policy("p", []byte(strings.Replace(rules, "service: payments, severity: critical", "service: payment, severity: [x]", 1)), config.Default(), catalog.Default())
	require.Len(t, faults, 2, "by the API too")
}

// cutKinds leaves out the kinds that are added with time.
func cutKinds(lines []string) []string {
	for i, l := range lines {
		if before, _, ok := strings.Cut(l, "one of errors"); ok {
			lines[i] = before + "one of errors"
		}
	}
	return lines
}

func TestASecretThatOthersCanReadIsToldOf(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("s"), 0o600))
	require.NoError(t, os.Chmod(secret, 0o644))
	c, err := config.Parse("t.yaml", []byte("channels:\n  - {name: mail, kind: smtp, address: 'a:1', from: a@b.example, password_file: "+secret+"}\n"))
	require.NoError(t, err)
	_, faults := check.All(c)
	require.Contains(t, faults, fault.Fault{File: "t.yaml", Line: 2, Field: "channels[0].password_file", Level: fault.Warning, Message: "password_file can be read by others (0644); chmod 600 it"})
}
