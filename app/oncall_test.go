package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/rota"
)

const company = `
teams:
  - {id: payments, name: Payments, schedule: weekly}
  - {id: acquiring, schedule: office}
  - {id: lone, oncall: [cyd]}
people:
  - {id: ada, name: Ada Lindqvist, time_zone: Europe/Stockholm, contacts: [{channel: log}]}
  - {id: bo, name: Bo Martins, time_zone: Europe/Lisbon, contacts: [{channel: log}]}
  - {id: cyd, name: Cyd Novak, time_zone: Europe/Prague, contacts: [{channel: log}]}
schedules:
  - id: weekly
    time_zone: Europe/Berlin
    layers: [{start: 2026-01-05T09:00, unit: week, every: 1, members: [ada, bo]}]
  - id: office
    time_zone: Europe/Berlin
    layers: [{start: 2026-01-05T09:00, unit: week, every: 1, members: [cyd], hours: [{days: [mon], from: "09:00", to: "10:00"}]}]
`

// begin runs an app on a configuration and a catalog.
func begin(t *testing.T, dir, yaml, catalog string) *rig {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tocsin.yaml"), []byte("catalog_files: [catalog.yaml]\n"+yaml), 0o600))
	c, err := config.Load(filepath.Join(dir, "tocsin.yaml"))
	require.NoError(t, err)
	r := &rig{dir: filepath.Join(dir, "data"), log: &logs{}}
	r.App, err = app.New(t.Context(), app.Options{Config: c, StoragePath: r.dir, ListenAddress: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(r.dir, "admin.token"))
	require.NoError(t, err)
	r.admin = strings.TrimSpace(string(raw))
	return r
}

type onCallList struct{ Items []duty.OnCallAnswer }

func TestWhoIsOnCallIsAnswered(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, dir, "live_teams: [payments]\n", company)
	var list onCallList
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall?at=2026-01-06T12:00:00Z", "").into(t, &list)
	require.Len(t, list.Items, 3)
	acquiring, lone, payments := list.Items[0], list.Items[1], list.Items[2]
	require.Nil(t, acquiring.Now)
	require.Contains(t, acquiring.Problem, "has nobody at this time")
	require.Equal(t, "cyd", lone.Now.Person)
	require.Nil(t, lone.Next)
	require.True(t, payments.Live && !lone.Live)
	require.Equal(t, "Ada Lindqvist", payments.Now.PersonName)
	require.Equal(t, time.Date(2026, 1, 12, 8, 0, 0, 0, time.UTC), *payments.Now.Until)
	require.Equal(t, "bo", payments.Next.Person)
	require.Equal(t, *payments.Now.Until, payments.Next.From)

	var shifts struct{ Items []duty.ShiftAnswer }
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall/shifts?schedule=weekly&from=2026-01-06T00:00:00Z&to=2026-01-20T00:00:00Z", "").into(t, &shifts)
	require.Len(t, shifts.Items, 3)
	require.Equal(t, "Bo Martins", shifts.Items[1].PersonName)
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall/shifts?person=cyd&from=2026-01-05T00:00:00Z&to=2026-02-01T00:00:00Z", "").into(t, &shifts)
	require.Len(t, shifts.Items, 4, "an hour each Monday")
	for path, status := range map[string]int{
		"/api/v1/oncall?team=none":               http.StatusNotFound,
		"/api/v1/oncall?at=noon":                 http.StatusUnprocessableEntity,
		"/api/v1/oncall/shifts":                  http.StatusBadRequest,
		"/api/v1/oncall/shifts?schedule=none":    http.StatusNotFound,
		"/api/v1/oncall/shifts?person=zoe":       http.StatusNotFound,
		"/api/v1/oncall/overrides?schedule=none": http.StatusNotFound,
		"/api/v1/oncall/shifts?schedule=weekly&from=2026-01-06T00:00:00Z&to=2028-01-06T00:00:00Z": http.StatusUnprocessableEntity,
	} {
		r.want(t, status, "GET", path, "")
	}
}

func TestAnOverrideIsMadeKeptAndTakenBack(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, dir, "live_teams: [payments]\n", company)
	to := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	for _, bad := range []string{`{"team":"lone","person":"ada","to":"` + to + `","reason":"x"}`, `{"team":"payments","schedule":"weekly","person":"ada","to":"` + to + `","reason":"x"}`,
		`{"schedule":"weekly","person":"ada","to":"` + to + `"}`, `{"schedule":"weekly","person":"ada","to":"tomorrow","reason":"x"}`, `{"schedule":"weekly","person":"zoe","to":"` + to + `","reason":"x"}`} {
		got := r.want(t, http.StatusUnprocessableEntity, "POST", "/api/v1/oncall/overrides", bad)
		require.NotContains(t, got.Body, "zoe", "a rejected value is not echoed")
	}
	var made rota.Override
	r.want(t, http.StatusCreated, "POST", "/api/v1/oncall/overrides", `{"team":"payments","person":"cyd","to":"`+to+`","reason":"Ada is ill"}`).into(t, &made)
	require.Equal(t, "token:admin", made.Author)
	who := func(r *rig) *duty.TurnAnswer {
		var list onCallList
		r.want(t, http.StatusOK, "GET", "/api/v1/oncall?team=payments", "").into(t, &list)
		return list.Items[0].Now
	}
	require.Equal(t, "cyd", who(r).Person)
	require.Equal(t, made.ID, who(r).Override.ID)
	require.Contains(t, who(r).Reason, "Ada is ill")

	require.NoError(t, r.Stop(context.Background()))
	r = begin(t, dir, "live_teams: [payments]\n", company)
	require.Equal(t, "cyd", who(r).Person, "it survives a restart")
	r.want(t, http.StatusNoContent, "DELETE", "/api/v1/oncall/overrides/"+made.ID, "")
	require.Contains(t, []string{"ada", "bo"}, who(r).Person)
	r.want(t, http.StatusConflict, "DELETE", "/api/v1/oncall/overrides/"+made.ID, "")
	r.want(t, http.StatusNotFound, "DELETE", "/api/v1/oncall/overrides/ovr_0", "")
	var all struct{ Items []rota.Override }
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall/overrides", "").into(t, &all)
	require.Empty(t, all.Items, "what is over is shown on request only")
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall/overrides?all=true", "").into(t, &all)
	require.Len(t, all.Items, 1)
	var then onCallList
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall?team=payments&at="+url.QueryEscape(made.From.Add(time.Millisecond).Format(time.RFC3339Nano)), "").into(t, &then)
	require.Equal(t, "cyd", then.Items[0].Now.Person, "who was on call stays true")

	ledger := r.want(t, http.StatusOK, "GET", "/api/v1/ledger?subject=schedule/weekly", "").Body
	require.Contains(t, ledger, "oncall.override_added")
	require.Contains(t, ledger, "Cyd Novak is on call in schedule weekly in place of whoever would be")
	require.Contains(t, ledger, "oncall.override_removed")
	require.Contains(t, r.want(t, http.StatusOK, "GET", "/api/v1/why/"+made.ID, "").Body, "Ada is ill")
}

func TestACalendarIsReadByItsSignedAddress(t *testing.T) {
	r := begin(t, t.TempDir(), "", company)
	var made duty.CalendarAnswer
	r.want(t, http.StatusCreated, "POST", "/api/v1/oncall/calendars", `{"schedule":"weekly"}`).into(t, &made)
	u, err := url.Parse(made.URL)
	require.NoError(t, err)
	got := r.do(t, call{Method: "GET", Path: u.RequestURI()})
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Contains(t, got.Header.Get("Content-Type"), "text/calendar")
	c, err := ics.ParseCalendar(bytes.NewReader([]byte(got.Body)))
	require.NoError(t, err)
	require.Greater(t, len(c.Events()), 20)
	first, err := c.Events()[1].GetStartAt()
	require.NoError(t, err)
	require.Equal(t, time.Monday, first.Weekday())
	for _, line := range strings.Split(got.Body, "\r\n") {
		require.LessOrEqual(t, len(line), 75, "lines are folded")
	}
	for _, p := range []string{strings.Replace(u.RequestURI(), "weekly.ics", "office.ics", 1), strings.Replace(u.RequestURI(), ".ics", "", 1), u.Path, u.RequestURI() + "x"} {
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: p}).Status, p)
	}
	r.want(t, http.StatusUnprocessableEntity, "POST", "/api/v1/oncall/calendars", `{}`)
	r.want(t, http.StatusNotFound, "POST", "/api/v1/oncall/calendars", `{"person":"zoe"}`)
	require.NotContains(t, r.log.String(), u.Query().Get("key"))
}

func TestAnIncidentSaysWhoWasAskedAndIsGivenBack(t *testing.T) {
	catalog := strings.Replace(company, "{id: payments, name: Payments, schedule: weekly}",
		"{id: payments, name: Payments, oncall: [ada], escalation: [{after: 1h, person: bo}], last_resort: {person: cyd}}\n  - {id: other, schedule: weekly}", 1) + "services: [{id: payments, team: payments}]\n"
	r := begin(t, t.TempDir(), "live_teams: [payments]\n", catalog)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, "PUT", "/api/v1/tenants/"+id, `{}`)
	}
	in := r.incident(t)
	path := "/api/v1/incidents/" + in.ID
	asked := func() duty.EscalationAnswer {
		var a duty.EscalationAnswer
		r.want(t, http.StatusOK, "GET", path+"/escalation", "").into(t, &a)
		return a
	}
	a := asked()
	require.Equal(t, "calling", a.Phase)
	require.Equal(t, 1, a.Step)
	require.Len(t, a.Asked, 1)
	require.Equal(t, "Ada Lindqvist", a.Asked[0].Name)
	require.Equal(t, a.Asked[0].At.Add(time.Hour), *a.NextAt)
	require.Equal(t, "Bo Martins, step 2 of 2, is called when nobody acknowledges within 60 min", a.Why)
	var list onCallList
	r.want(t, http.StatusOK, "GET", "/api/v1/oncall?team=payments", "").into(t, &list)
	require.Len(t, list.Items[0].Chain, 3)
	require.True(t, list.Items[0].Chain[2].LastResort)
	require.InDelta(t, 3600, list.Items[0].Chain[1].AfterSeconds, 0)

	r.want(t, http.StatusConflict, "POST", path+"/release", "")
	r.want(t, http.StatusOK, "POST", path+"/acknowledge", `{"person":"ada"}`)
	require.Equal(t, "ended", asked().Phase)
	require.Nil(t, asked().NextAt)
	r.want(t, http.StatusOK, "POST", path+"/release", `{"person":"ada","note":"on a train"}`)
	require.Equal(t, "open", r.state(t, in.ID))
	a = asked()
	require.Equal(t, 2, a.Step, "others than who gave it back")
	require.Equal(t, "given back by Ada Lindqvist (api): on a train", a.Asked[0].Result)
	r.want(t, http.StatusNotFound, "GET", "/api/v1/incidents/inc_0/escalation", "")
}
