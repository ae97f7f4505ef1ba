package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/config"
)

const rotaCatalog = `
teams:
  - {id: payments, schedule: weekly}
  - {id: quiet}
people:
  - {id: ada, name: Ada Lindqvist, contacts: [{channel: log}]}
  - {id: bo, name: Bo Martins, contacts: [{channel: log}]}
  - {id: cyd, name: Cyd Novak, contacts: [{channel: log}]}
schedules:
  - {id: weekly, time_zone: Europe/Berlin, layers: [{start: 2026-01-05T09:00, unit: week, every: 1, members: [ada, bo]}]}
`

// withRota is a daemon whose one team has a rota and is observed.
func withRota(t *testing.T) daemon {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(rotaCatalog), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tocsin.yaml"), []byte("catalog_files: [catalog.yaml]\n"), 0o600))
	c, err := config.Load(filepath.Join(dir, "tocsin.yaml"))
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Options{Config: c, StoragePath: dir, ListenAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	return daemon{a.URL(), dir}
}

func TestOnCallIsAskedAndChanged(t *testing.T) {
	d := withRota(t)
	then := d.ok(t, "oncall", "at", "2026-01-06T12:00:00Z")
	require.Regexp(t, `payments +Ada Lindqvist .* observed +on call for team payments by schedule weekly`, then)
	require.Regexp(t, `quiet +nobody .*neither a schedule nor people under oncall`, then)
	require.Regexp(t, `payments +(Ada Lindqvist|Bo Martins)`, d.ok(t, "oncall", "now", "--team", "payments"))
	require.NotContains(t, d.ok(t, "oncall", "now", "--team", "payments"), "quiet")
	require.Regexp(t, `payments +(Ada Lindqvist|Bo Martins)`, d.ok(t, "oncall", "next"))
	shifts := d.ok(t, "oncall", "shifts", "--schedule", "weekly", "--from", "2026-01-05T08:00:00Z", "--to", "2026-01-19T08:00:00Z", "--output", "json")
	var list []struct{ Person string }
	require.NoError(t, json.Unmarshal([]byte(shifts), &list))
	require.Len(t, list, 2)

	to := time.Now().Add(24 * time.Hour).Format("2006-01-02T15:04")
	require.Contains(t, d.ok(t, "oncall", "override", "add", "--team", "payments", "--person", "cyd", "--to", to, "--reason", "Ada is ill"), "whoever would be")
	require.Contains(t, d.ok(t, "oncall", "now"), "Cyd Novak")
	listed := d.ok(t, "oncall", "override", "list")
	require.Contains(t, listed, "Ada is ill")
	id := regexp.MustCompile(`ovr_\w+`).FindString(listed)
	require.Contains(t, d.ok(t, "oncall", "override", "remove", id), id)
	require.NotContains(t, d.ok(t, "oncall", "now"), "Cyd Novak")
	require.NotContains(t, d.ok(t, "oncall", "override", "list"), id)
	require.Contains(t, d.ok(t, "oncall", "override", "list", "--all"), id)
	require.Contains(t, d.ok(t, "oncall", "calendar", "--person", "ada"), "/api/v1/oncall/ada.ics?key=")

	for _, bad := range [][]string{{"oncall", "at", "noon"}, {"oncall", "shifts"}, {"oncall", "shifts", "--schedule", "a", "--person", "b"}, {"oncall", "override", "add", "--person", "cyd", "--to", to}} {
		_, _, code := d.run(t, bad...)
		require.Equal(t, exitUsage, code, "%v", bad)
	}
	_, errOut, code := d.run(t, "oncall", "now", "--team", "none")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "hint:")
}

// press opens the link of the newest page and presses its button.
func (d daemon) press(t *testing.T) string {
	t.Helper()
	var pages struct {
		Items []struct {
			AckURL string `json:"ack_url"`
			State  string
		}
	}
	c := console.Client{Server: d.url, TokenFile: filepath.Join(d.dir, "admin.token")}
	require.Eventually(t, func() bool {
		require.NoError(t, c.Call(t.Context(), http.MethodGet, "/api/v1/pages", nil, &pages))
		return len(pages.Items) > 0 && pages.Items[len(pages.Items)-1].State == "sent"
	}, 20*time.Second, 50*time.Millisecond, "the page is sent")
	link := pages.Items[len(pages.Items)-1].AckURL
	shown := visit(t, http.MethodGet, link, nil)
	field := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(shown)
	require.NotNil(t, field, shown)
	require.Contains(t, shown, "nothing is broken")
	return visit(t, http.MethodPost, link, url.Values{"csrf": {field[1]}})
}

func visit(t *testing.T, method, link string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, b.String())
	return b.String()
}

func TestATeamGoesLiveAfterADrill(t *testing.T) {
	d := withRota(t)
	_, errOut, code := d.run(t, "live", "payments")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "tocsin drill --team payments")
	_, errOut, _ = d.run(t, "live", "payments", "--force")
	require.Contains(t, errOut, "needs a reason")
	_, errOut, code = d.run(t, "drill", "--team", "quiet")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "nobody is on call")

	type result struct {
		out, err string
		code     int
	}
	done := make(chan result, 1)
	go func() {
		out, errOut, code := d.run(t, "drill", "--team", "payments")
		done <- result{out, errOut, code}
	}()
	shown := d.press(t)
	require.Contains(t, shown, "You have it")
	require.NotContains(t, shown, "Incident")
	got := <-done
	require.Zero(t, got.code, got.err)
	require.Contains(t, got.out, "passed")
	require.Contains(t, got.err, "waiting for the acknowledgement until")

	require.Contains(t, d.ok(t, "live", "payments"), "a drill has passed")
	require.Regexp(t, `payments +\w+ \w+ .* live `, d.ok(t, "oncall", "now"))
	require.Contains(t, d.ok(t, "observe", "payments", "--reason", "moving house"), "nobody of it is paged")
	require.Regexp(t, `payments +\w+ \w+ .* observed `, d.ok(t, "oncall", "now"))
	require.Contains(t, d.ok(t, "live", "quiet", "--force", "--reason", "first day"), "without a passed drill: first day")

	var ledger struct{ Items []struct{ Kind string } }
	c := console.Client{Server: d.url, TokenFile: filepath.Join(d.dir, "admin.token")}
	require.NoError(t, c.Call(t.Context(), http.MethodGet, "/api/v1/ledger?subject=team/payments", nil, &ledger))
	var kinds []string
	for _, e := range ledger.Items {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []string{"drill.started", "drill.passed", "team.live", "team.observed"}, kinds)
}
