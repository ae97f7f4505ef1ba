package catalog_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

const owners = `teams:
  - id: payments
    name: Payments
    schedule: primary
    escalation: [{after: 10m, person: ben}]
    itsm: {system: rt, queue: payments}
  - id: acquiring
    kind: specialist
    oncall: [ben]
    false_pages_per_week: 0.5
services:
  - id: payments
    team: payments
    runbook: https://wiki.example.com/payments
    calls: [alpha]
integrations:
  - {id: alpha, team: acquiring, vendor_desk: "+49 30 1"}
`

const rota = `people:
  - id: anna
    time_zone: Europe/Berlin
    itsm_user: aberg
    contacts: [{channel: mail, to: anna@example.com}, {channel: log}]
  - id: ben
    contacts: [{channel: log}]
schedules:
  - id: primary
    time_zone: Europe/Berlin
    layers:
      - {start: "2026-01-05T09:00", unit: week, every: 1, members: [anna, ben]}
`

func TestSeveralFilesAreOneCatalog(t *testing.T) {
	c, err := catalog.Parse(catalog.File{Name: "owners.yaml", Text: []byte(owners)}, catalog.File{Name: "empty.yaml"}, catalog.File{Name: "rota.yaml", Text: []byte(rota)})
	require.NoError(t, err)
	team, why := c.Owner("payments")
	require.Equal(t, "team payments owns service payments", why)
	require.InDelta(t, catalog.DefaultFalsePages, team.FalsePagesPerWeek, 0)
	require.Equal(t, "product", team.Kind)
	require.Equal(t, 10*time.Minute, team.Escalation[0].After)
	acquiring, _ := c.Team("acquiring")
	require.InDelta(t, 0.5, acquiring.FalsePagesPerWeek, 0)
	ben, _ := c.Person("ben")
	require.Equal(t, "UTC", ben.TimeZone)
	require.Equal(t, "ben", ben.Name)
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "null")
	require.Empty(t, c.ChannelFaults(map[string]string{"mail": "smtp", "log": "log"}))
	err = c.ChannelFaults(map[string]string{"mail": "log", "log": "smtp"}).Problem("", "")
	require.ErrorContains(t, err, "goes by mail")
	require.ErrorContains(t, c.ChannelFaults(map[string]string{"log": "log"}).Problem("", ""), "does not list")
}

func TestTheBuiltInCatalogIsUsable(t *testing.T) {
	c := catalog.Default()
	team, _ := c.Owner("payments")
	require.Equal(t, catalog.TeamID("payments"), team.ID)
	require.Equal(t, []catalog.PersonID{"oncall"}, team.OnCall)
	p, ok := c.Person("oncall")
	require.True(t, ok)
	require.Equal(t, []catalog.Contact{{Channel: "log"}}, p.Contacts)
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "null")
	empty, err := catalog.Parse()
	require.NoError(t, err)
	require.Empty(t, empty.Teams)
}

// Each fault is found where it stands. The text is the whole catalog with one
// thing changed; the files are read as one, so line numbers are those of both.
func TestFaultsNameFileLineAndWhatToDo(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "name: Payments", "nmae: Payments", "c.yaml:3: unknown key nmae; did you mean name?"},
		{"not YAML", "teams:", "teams: [", "c.yaml:"},
		{"wrong kind", "every: 1", "every: [1]", "c.yaml:29: schedules[0].layers[0].every: the value must be a whole number"},
		{"wrong duration", "after: 10m", "after: soon", "the value must be a duration like 5m"},
		{"second document", "people:", "---\npeople:", "more than one YAML document"},
		{"no id", "  - id: acquiring\n    kind", "  - kind", "c.yaml:7: an entry of teams has no id"},
		{"bad id", "id: acquiring", "id: a b", "c.yaml:7: the id is not usable"},
		{"id twice", "id: acquiring", "id: payments", "c.yaml:7: the id is used twice in teams, first at c.yaml:2"},
		{"unknown schedule", "schedule: primary", "schedule: second", "c.yaml:4: the team's schedule is not listed"},
		{"unknown person on call", "oncall: [ben]", "oncall: [zoe]", "c.yaml:9: oncall names a person who is not listed"},
		{"nobody to call", "oncall: [ben]", "oncall: []", "c.yaml:7: the team owns something and nobody of it could be called"},
		{"team kind", "kind: specialist", "kind: guild", "c.yaml:8: kind must be one of product, operations, enabler, specialist"},
		{"no budget", "false_pages_per_week: 0.5", "false_pages_per_week: 0", "c.yaml:10: false_pages_per_week must be more than 0"},
		{"sensitivity", "false_pages_per_week: 0.5", "sensitivity: nervous", "c.yaml:10: sensitivity must be quiet, balanced or early"},
		{"negative budget", "false_pages_per_week: 0.5", "false_pages_per_week: -1", "c.yaml:10: false_pages_per_week must be more than 0"},
		{"step of nobody", "after: 10m, person: ben", "after: 10m", "c.yaml:5: an escalation step names either"},
		{"step of both", "after: 10m, person: ben", "after: 10m, person: ben, schedule: primary", "c.yaml:5: an escalation step names either"},
		{"step at once", "after: 10m", "after: 0s", "c.yaml:5: an escalation step needs after"},
		{"step of a stranger", "person: ben", "person: zoe", "c.yaml:5: the step's person is not listed"},
		{"runbook of words", "runbook: https://wiki.example.com/payments", "runbook: not a url", "c.yaml:14: runbook must be an http or https address"},
		{"dashboard that is a script", "runbook: https://wiki.example.com/payments", "dashboard: 'javascript:alert(1)'", "c.yaml:14: dashboard must be an http or https address"},
		{"status page without a host", "vendor_desk: \"+49 30 1\"", "status_page: 'https:/status'", "c.yaml:17: status_page must be an http or https address"},
		{"integration's runbook", "vendor_desk: \"+49 30 1\"", "runbook: wiki/alpha", "c.yaml:17: runbook must be an http or https address"},
		{"unknown team", "team: payments\n", "team: nobody\n", "c.yaml:13: a service belongs to exactly one team"},
		{"no team", "    team: payments\n", "", "c.yaml:12: a service belongs to exactly one team"},
		{"unknown integration", "calls: [alpha]", "calls: [beta]", "c.yaml:15: calls names an integration that is not listed"},
		{"integration's team", "team: acquiring", "team: nobody", "c.yaml:17: the integration's team is not listed"},
		{"bad zone", "time_zone: Europe/Berlin\n    itsm", "time_zone: Berlin\n    itsm", "c.yaml:20: time_zone is not known"},
		{"bad mail address", "to: anna@example.com", "to: Anna <anna@example.com>", "c.yaml:22: to is not a mail address"},
		{"mail without address", "channel: mail, to: anna@example.com", "channel: mail", "c.yaml:22: to is not a mail address"},
		{"contact without channel", "- id: ben\n    contacts: [{channel: log}]", "- id: ben\n    contacts: [{to: x}]", "c.yaml:24: the contact names no channel"},
		{"no contact", "- id: ben\n    contacts: [{channel: log}]", "- id: ben", "c.yaml:23: the person has no contact"},
		{"schedule's zone", "id: primary\n    time_zone: Europe/Berlin", "id: primary\n    time_zone: Local", "c.yaml:27: time_zone is not known"},
		{"bad start", "2026-01-05T09:00", "2026-01-05", "c.yaml:29: start must be a local date and time"},
		{"bad unit", "unit: week", "unit: month", "c.yaml:29: unit must be one of hour, day, week"},
		{"bad every", "every: 1", "every: 0", "c.yaml:29: every must be at least 1"},
		{"no members", "members: [anna, ben]", "members: []", "c.yaml:29: the layer has no members"},
		{"unknown member", "members: [anna, ben]", "members: [anna, zoe]", "c.yaml:29: members names a person who is not listed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := owners + rota
			require.Contains(t, text, c.old)
			_, err := catalog.Parse(catalog.File{Name: "c.yaml", Text: []byte(strings.Replace(text, c.old, c.new, 1))})
			require.ErrorContains(t, err, c.want)
			require.True(t, problem.Is(err, problem.Invalid))
			require.NotEmpty(t, problem.From(err).Hint)
		})
	}
}

const times = `teams:
  - id: ops
    oncall: [ben]
    escalation: [{after: 7m, person: anna}]
    escalation_rounds: 2
    unreachable_after: 3m
    silent_after: 1h
    last_resort: {team: chiefs}
    working_hours:
      time_zone: Europe/Berlin
      hours: [{days: [mon, fri], from: 09:00, to: 17:00}]
  - {id: chiefs, oncall: [anna]}
people:
  - {id: anna, contacts: [{channel: log}]}
  - {id: ben, contacts: [{channel: log}]}
schedules:
  - id: primary
    layers:
      - {start: "2026-01-05T09:00", unit: week, every: 1, members: [anna, ben], hours: [{from: 22:00, to: 24:00}]}
    overrides:
      - {person: ben, instead: anna, from: 2026-02-01T00:00, to: 2026-02-02T00:00, reason: swap}
`

func TestHoursAndOverrides(t *testing.T) {
	c, err := catalog.Parse(catalog.File{Name: "c.yaml", Text: []byte(times)})
	require.NoError(t, err)
	require.Equal(t, []catalog.Hours{{Days: []string{"mon", "fri"}, From: "09:00", To: "17:00"}}, c.Teams[0].WorkingHours.Hours)
	require.Equal(t, 7*time.Minute, c.Teams[0].LastResort.After, "as the last step waited")
	require.Equal(t, catalog.DefaultAfter, c.Teams[1].LastResort.After)
	require.Equal(t, 1, c.Teams[1].EscalationRounds)
	require.Equal(t, "24:00", c.Schedules[0].Layers[0].Hours[0].To)
	require.Equal(t, catalog.PersonID("anna"), c.Schedules[0].Overrides[0].Instead)
	for _, f := range []struct{ old, new, want string }{
		{"escalation_rounds: 2", "escalation_rounds: 11", "c.yaml:5: escalation_rounds must be from 1 to 10"},
		{"unreachable_after: 3m", "unreachable_after: 1s", "c.yaml:6: unreachable_after must be"},
		{"silent_after: 1h", "silent_after: 1m", "c.yaml:7: silent_after must be"},
		{"{team: chiefs}", "{team: chiefs, person: anna}", "c.yaml:8: last_resort names either"},
		{"{team: chiefs}", "{after: 5m}", "c.yaml:8: last_resort names either"},
		{"{team: chiefs}", "{person: zoe}", "c.yaml:8: the last resort is not listed"},
		{"{team: chiefs}", "{team: nobody}", "c.yaml:8: the last resort is not listed"},
		{"{team: chiefs}", "{team: ops}", "c.yaml:8: a team cannot be its own last resort"},
		{"chiefs, oncall: [anna]", "chiefs", "c.yaml:8: nobody of the last resort could be called"},
		{"{team: chiefs}", "{team: chiefs, after: -1s}", "c.yaml:8: after of the last resort"},
		{"time_zone: Europe/Berlin", "time_zone: Mars", "c.yaml:10: time_zone is not known"},
		{"hours: [{days: [mon, fri], from: 09:00, to: 17:00}]", "hours: []", "c.yaml:11: working_hours lists no hours"},
		{"mon, fri", "mon, freitag", "c.yaml:11: a day must be one of mon"},
		{"from: 09:00", "from: 9", "c.yaml:11: from must be a time of day"},
		{"to: 17:00", "to: 25:00", "c.yaml:11: to must be a time of day"},
		{"from: 22:00", "from: 24:00", "c.yaml:19: from must be a time of day"},
		{"person: ben, instead", "person: zoe, instead", "c.yaml:21: the override's person is not listed"},
		{"instead: anna", "instead: zoe", "c.yaml:21: instead names a person who is not listed"},
		{"from: 2026-02-01T00:00", "from: 2026-02-01", "c.yaml:21: from must be a local date and time"},
		{"to: 2026-02-02T00:00", "to: then", "c.yaml:21: to must be a local date and time"},
		{"to: 2026-02-02T00:00", "to: 2026-01-02T00:00", "c.yaml:21: to must be after from"},
		{", reason: swap", "", "c.yaml:21: an override needs a reason"},
	} {
		require.Contains(t, times, f.old)
		_, err := catalog.Parse(catalog.File{Name: "c.yaml", Text: []byte(strings.Replace(times, f.old, f.new, 1))})
		require.ErrorContains(t, err, f.want)
	}
}

func TestAllFaultsComeAtOnceAndNoValueIsRepeated(t *testing.T) {
	text := strings.NewReplacer("kind: specialist", "kind: hunter2", "unit: week", "unit: hunter2", "to: anna@example.com", "to: hunter2@", "schedule: primary", "schedule: hunter2").Replace(owners + rota)
	_, err := catalog.Parse(catalog.File{Name: "c.yaml", Text: []byte(text)})
	require.ErrorContains(t, err, "4 fault(s)")
	require.NotContains(t, err.Error(), "hunter2")
	_, err = catalog.Parse(catalog.File{Name: "a.yaml", Text: []byte("teams: [{id: a, oops: 1, wrong: 2}]")}, catalog.File{Name: "b.yaml", Text: []byte("people: [{id: p, contacts: hunter2}]")})
	require.ErrorContains(t, err, "3 fault(s)")
	require.ErrorContains(t, err, "b.yaml:1: people[0].contacts: the value must be a list")
	require.NotContains(t, err.Error(), "hunter2")
	_, err = catalog.Parse(catalog.File{Name: "a.yaml", Text: []byte(owners)}, catalog.File{Name: "b.yaml", Text: []byte(rota + "services: [{id: payments, team: acquiring}]")})
	require.ErrorContains(t, err, "b.yaml:13: the id is used twice in services, first at a.yaml:12")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(owners + rota))
	f.Add([]byte("teams: &t [{id: a}]\nservices: *t"))
	f.Add([]byte("<<: {teams: [{id: a},{id: a}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := catalog.Parse(catalog.File{Name: "f", Text: text})
		if (c == nil) == (err == nil) {
			t.Fatal("either a catalog or an error")
		}
	})
}
