package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
)

var regexpTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)

const reloadConfig = `policy_files: [policy.yaml]
catalog_files: [catalog.yaml]
live_teams: [payments]
`

const reloadCatalog = `teams: [{id: payments, oncall: [ada]}]
services: [{id: payments, team: payments, dashboard: 'https://grafana.example.com/d/service'}]
people: [{id: ada, contacts: [{channel: log}]}]
`

const reloadPolicy = `version: 1
environments: [production]
volume: {sli: payments}
slis: [{name: payments, total: {metric: payment_transactions_total}, bad: {match: {result: [error]}}}]
rules:
  - {name: payment_errors, kind: errors, sli: payments, service: payments, severity: critical, summary: s, runbook_url: https://r}
`

// reloadRig is an app that was started from files, and the folder of those.
func reloadRig(t *testing.T) (*rig, func(file, text string)) {
	t.Helper()
	dir := t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("tocsin.yaml", reloadConfig)
	write("catalog.yaml", reloadCatalog)
	write("policy.yaml", reloadPolicy)
	load := func() (*config.Config, error) { return config.Load(filepath.Join(dir, "tocsin.yaml")) }
	c, err := load()
	require.NoError(t, err)
	r := &rig{dir: t.TempDir(), log: &logs{}}
	r.App, err = app.New(t.Context(), app.Options{Config: c, Load: load, StoragePath: r.dir, ListenAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(r.dir, "admin.token"))
	require.NoError(t, err)
	r.admin = strings.TrimSpace(string(raw))
	return r, write
}

func (r *rig) reload(t *testing.T, status int) (out struct {
	Changed        []string
	PolicyRevision int `json:"policy_revision"`
}) {
	t.Helper()
	got := r.want(t, status, http.MethodPost, "/api/v1/reload", "")
	if status == http.StatusOK {
		got.into(t, &out)
	}
	return out
}

func TestAReloadSwapsPolicyCatalogAndConfiguration(t *testing.T) {
	r, write := reloadRig(t)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	require.Empty(t, r.reload(t, http.StatusOK).Changed, "nothing changed")

	write("tocsin.yaml", strings.Replace(reloadConfig, "[payments]", "[]", 1)+"limits: {query: {points: 50}}\nchannels: [{name: hook, kind: webhook, url: 'http://127.0.0.1:1', secret_file: s}]\n")
	write("catalog.yaml", strings.Replace(reloadCatalog, "oncall: [ada]", "oncall: [bo]", 1)+"  - {id: bo, contacts: [{channel: hook, to: bo}, {channel: log}]}\n")
	write("policy.yaml", strings.Replace(reloadPolicy, "rules:\n", "rules:\n  - {name: more_errors, kind: errors, sli: payments, service: payments, severity: warning, summary: s, runbook_url: https://r}\n", 1))
	write("catalog.yaml", "teams: [{id: payments, oncall: [bo]}]\nservices: [{id: payments, team: payments, dashboard: 'https://grafana.example.com/d/service'}]\npeople:\n  - {id: ada, contacts: [{channel: log}]}\n  - {id: bo, contacts: [{channel: hook, to: bo}, {channel: log}]}\n")
	got := r.reload(t, http.StatusOK)
	require.Equal(t, []string{"channels", "limits.query.points", "live_teams", "team payments", "person bo (new)", "policy revision 2"}, got.Changed)
	require.Equal(t, 2, got.PolicyRevision)
	require.Equal(t, "1", r.metric(t, "tocsin_config_last_reload_successful"))

	require.Eventually(t, func() bool {
		return strings.Contains(r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile/revisions", "").Body, "more_errors")
	}, 10*time.Second, 20*time.Millisecond, "the tenant has the profile that follows")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/oncall", "").Body, `"bo"`)
	ledger := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=config", "").Body
	require.Contains(t, ledger, "config.reloaded")
	require.Contains(t, ledger, `"actor":"token:admin"`)
	require.Contains(t, ledger, "live_teams")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=policy", "").Body, "policy revision 2")
	require.Empty(t, r.reload(t, http.StatusOK).Changed, "the second time there is nothing to do")
}

func TestABadFileChangesNothing(t *testing.T) {
	r, write := reloadRig(t)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	state := func() string {
		return r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile", "").Body + r.want(t, http.StatusOK, http.MethodGet, "/api/v1/oncall", "").Body +
			r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=config", "").Body + r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=policy", "").Body
	}
	stable := func() string { // a time stands in it
		return regexpTime.ReplaceAllString(state(), "")
	}
	before := stable()
	good := map[string]string{"tocsin.yaml": reloadConfig, "catalog.yaml": reloadCatalog, "policy.yaml": reloadPolicy}
	newCatalog := strings.ReplaceAll(reloadCatalog, "ada", "bo")
	for name, bad := range map[string]struct{ file, text, says string }{
		"configuration":      {"tocsin.yaml", reloadConfig + "live_temas: []\n", "tocsin.yaml:4: unknown key live_temas"},
		"policy":             {"policy.yaml", strings.Replace(reloadPolicy, "kind: errors", "kind: magic", 1), "policy.yaml:6: rules[0] (payment_errors): kind must be"},
		"catalog":            {"catalog.yaml", strings.Replace(newCatalog, "team: payments", "team: other", 1), "catalog.yaml:2: a service belongs to exactly one team"},
		"disagreement":       {"tocsin.yaml", strings.Replace(reloadConfig, "[payments]", "[others]", 1), "tocsin.yaml:3: live_teams names the team others"},
		"absent":             {"tocsin.yaml", strings.Replace(reloadConfig, "[catalog.yaml]", "[absent.yaml]", 1), "tocsin.yaml:2: the catalog file cannot be read"},
		"needs a restart":    {"tocsin.yaml", reloadConfig + "environment: staging\nlimits: {body_bytes: 1000}\n", "tocsin.yaml:4: environment changes at a restart only; tocsin.yaml:5: limits.body_bytes"},
		"channel that fails": {"tocsin.yaml", reloadConfig + "channels: [{name: mail, kind: smtp, address: nonsense, from: a@b.example}]\n", ""},
	} {
		for file, text := range good {
			write(file, text)
		}
		if bad.file != "catalog.yaml" { // the other files have changed as well, and must not be taken
			write("catalog.yaml", newCatalog)
		}
		write(bad.file, bad.text)
		got := r.do(t, call{Method: http.MethodPost, Path: "/api/v1/reload", Token: r.admin})
		require.GreaterOrEqual(t, got.Status, 400, "%s: %s", name, got.Body)
		require.Contains(t, got.Body, bad.says, name)
		require.Equal(t, "0", r.metric(t, "tocsin_config_last_reload_successful"), name)
		require.Equal(t, before, stable(), name)
	}
	for file, text := range good {
		write(file, text)
	}
	require.Equal(t, http.StatusOK, r.do(t, call{Method: http.MethodPost, Path: "/-/reload", Token: r.admin}).Status)
	require.Equal(t, "1", r.metric(t, "tocsin_config_last_reload_successful"))
	_, sender := r.token(t, "sender", time.Time{}, "*")
	require.Equal(t, http.StatusForbidden, r.do(t, call{Method: http.MethodPost, Path: "/-/reload", Token: sender}).Status)
	require.Equal(t, http.StatusUnauthorized, r.do(t, call{Method: http.MethodPost, Path: "/-/reload"}).Status)
}

// TestAReloadCutsSpansByTheNewPolicy: the door for spans reads other attributes, too.
func TestAReloadCutsSpansByTheNewPolicy(t *testing.T) {
	r, write := reloadRig(t)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	write("policy.yaml", reloadPolicy+"spans: {attributes: {way: [service.name]}}\n")
	r.reload(t, http.StatusOK)
	_, sender := r.token(t, "sender", time.Time{}, "acme")
	got := r.do(t, call{Method: http.MethodPost, Path: "/v1/traces", Token: sender, Header: map[string]string{"Content-Type": "application/json"}, Body: spanJSON(time.Now(), 2, "acme")})
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Eventually(t, func() bool {
		return strings.Contains(r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/traces?slice=way=payments", "").Body, `"why":"failing"`)
	}, 10*time.Second, 20*time.Millisecond)
}

// TestATicketSystemThatAReloadTookOutIsNotAsked: who watches it may be at work still.
func TestATicketSystemThatAReloadTookOutIsNotAsked(t *testing.T) {
	r, _ := reloadRig(t)
	require.NoError(t, r.PollTickets(t.Context(), "register"))
	require.NoError(t, r.PollTickets(t.Context(), "gone"))
}

// TestAPolicyBehindAThousandRevisions gets the number that follows the last one.
func TestAPolicyBehindAThousandRevisions(t *testing.T) {
	dir := t.TempDir()
	st, err := embedded.Open(filepath.Join(dir, "store"), embedded.Options{})
	require.NoError(t, err)
	lease, err := st.Acquire(t.Context(), store.PartitionOf("policy"))
	require.NoError(t, err)
	var puts []store.Record
	for n := range 1003 {
		key := fmt.Sprintf("%08d", n+1)
		puts = append(puts, store.Record{Collection: "policy", Key: key, Kind: "policy", Version: 1, Value: fmt.Appendf(nil, `{"number":%d,"sha":"s%d"}`, n+1, n)})
	}
	require.NoError(t, lease.Commit(t.Context(), store.Batch{Puts: puts}))
	require.NoError(t, lease.Release(t.Context()))
	require.NoError(t, st.Close())
	r := start(t, dir)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodPost, "/api/v1/reload", "").Body, `"policy_revision":1004`)
}
