package app_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/problem"
)

func TestTwoAppsLiveInOneProcess(t *testing.T) {
	one, two := start(t, t.TempDir()), start(t, t.TempDir())
	require.NotEqual(t, one.Addr(), two.Addr())
	one.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	two.want(t, http.StatusNotFound, http.MethodGet, "/api/v1/tenants/acme", "")
	require.Equal(t, http.StatusUnauthorized, two.do(t, call{Method: "GET", Path: "/api/v1/tenants", Token: one.admin}).Status)
	require.Equal(t, http.StatusOK, one.do(t, call{Method: "GET", Path: "/-/ready"}).Status)

	require.NoError(t, one.Stop(t.Context()))
	require.NoError(t, one.Stop(t.Context()), "stopping again does nothing")
	_, err := net.DialTimeout("tcp", one.Addr(), time.Second)
	require.Error(t, err, "it does not listen any more")
	require.Equal(t, http.StatusOK, two.do(t, call{Method: "GET", Path: "/-/ready"}).Status, "the other goes on")
}

// TestStopIsCutShort: who gives Stop a context that is over, as a second signal
// does, does not wait; what was accepted is there at the next start.
func TestStopIsCutShort(t *testing.T) {
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Options{StoragePath: dir, ListenAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := a.Stop(over); err != nil {
		require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
		require.ErrorContains(t, err, "durable")
	}
	require.Less(t, time.Since(began), 5*time.Second)
	require.Eventually(t, func() bool { // what was cut short lets go of the storage behind it
		b, err := app.New(t.Context(), app.Options{StoragePath: dir, ListenAddress: "127.0.0.1:0"})
		return err == nil && b.Stop(t.Context()) == nil
	}, 20*time.Second, 50*time.Millisecond)
}

func TestNewFailsCleanly(t *testing.T) {
	running := start(t, t.TempDir())
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	with := func(change func(*config.Config)) *config.Config {
		c := config.Default()
		change(c)
		return c
	}
	for name, c := range map[string]struct {
		o    app.Options
		says []string
	}{
		"the port is taken":     {app.Options{StoragePath: t.TempDir(), ListenAddress: running.Addr()}, []string{"cannot listen", "--web.listen-address"}},
		"not an address":        {app.Options{StoragePath: t.TempDir(), ListenAddress: "nonsense"}, []string{"cannot listen"}},
		"no storage":            {app.Options{}, []string{"--storage.path"}},
		"the storage is in use": {app.Options{StoragePath: running.dir}, []string{"use", "--storage.path"}},
		"the storage is a file": {app.Options{StoragePath: write("data", "")}, []string{"--storage.path"}},
		"no such catalog":       {app.Options{Config: with(func(c *config.Config) { c.CatalogFiles = []string{"/nowhere/catalog.yaml"} })}, []string{"catalog", "catalog_files"}},
		"the catalog is wrong": {app.Options{Config: with(func(c *config.Config) {
			c.CatalogFiles = []string{write("catalog.yaml", "teams: [{id: a, oncall: [nobody]}]\n")}
		})}, []string{"catalog.yaml", "oncall", "people"}},
		"no such policy":         {app.Options{Config: with(func(c *config.Config) { c.PolicyFiles = []string{"/nowhere/policy.yaml"} })}, []string{"policy", "policy_files"}},
		"the policy is wrong":    {app.Options{Config: with(func(c *config.Config) { c.PolicyFiles = []string{write("policy.yaml", "version: 1\nrulez: []\n")} })}, []string{"policy.yaml", "rulez"}},
		"two policies":           {app.Options{Config: with(func(c *config.Config) { c.PolicyFiles = []string{"a", "b"} })}, []string{"policy_files"}},
		"labels that are equal":  {app.Options{Config: with(func(c *config.Config) { c.Labels.Environment = "tenant" })}, []string{"labels"}},
		"external_url is broken": {app.Options{Config: with(func(c *config.Config) { c.ExternalURL = "http://[" })}, []string{"external_url"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o
			if o.StoragePath == "" && name != "no storage" {
				o.StoragePath = t.TempDir()
			}
			if o.ListenAddress == "" {
				o.ListenAddress = "127.0.0.1:0"
			}
			_, err := app.New(t.Context(), o)
			require.Error(t, err)
			for _, word := range c.says {
				require.ErrorContains(t, err, word)
			}
			if o.StoragePath == "" || o.StoragePath == running.dir || strings.HasSuffix(o.StoragePath, "/data") {
				return
			}
			again, err := app.New(t.Context(), app.Options{StoragePath: o.StoragePath, ListenAddress: "127.0.0.1:0"})
			require.NoError(t, err, "nothing was left behind")
			require.NoError(t, again.Stop(t.Context()), "an app that was not started stops too")
		})
	}
	require.Equal(t, http.StatusOK, running.do(t, call{Method: "GET", Path: "/-/ready"}).Status, "the one that runs was not harmed")
}

func TestOnboarding(t *testing.T) {
	r := start(t, t.TempDir())
	const path = "/api/v1/tenants/acme"
	var doc struct {
		ID, Name, Timezone, State string
		Revision                  int
		Features, Countries       []string
		Profile                   struct {
			Revision struct{ Number int }
			Rules    []struct{ Name string }
			Reasons  []string
			Watches  []string
		}
	}
	got := r.want(t, http.StatusCreated, http.MethodPut, path, `{"name":"Acme Travel","timezone":"Europe/Berlin"}`)
	got.into(t, &doc)
	require.Equal(t, `"1"`, got.Header.Get("ETag"))
	require.Equal(t, "Acme Travel", doc.Name)
	require.Equal(t, 1, doc.Profile.Revision.Number)
	require.NotEmpty(t, doc.Profile.Rules, "the profile is assigned at once")
	require.NotEmpty(t, doc.Profile.Reasons)
	require.Len(t, doc.Profile.Watches, len(doc.Profile.Rules))
	require.NotContains(t, got.Body, "null,", "lists are never null")
	require.Contains(t, got.Body, `"features":[]`)

	got = r.want(t, http.StatusOK, http.MethodPut, path, `{"name":"Acme Travel","timezone":"Europe/Berlin"}`)
	require.Equal(t, `"1"`, got.Header.Get("ETag"), "the same document is no new revision")
	got = r.want(t, http.StatusOK, http.MethodPut, path, `{"name":"Acme Tours","timezone":"Europe/Berlin"}`)
	require.Equal(t, `"2"`, got.Header.Get("ETag"))

	match := func(tag, body string) reply {
		return r.do(t, call{Method: http.MethodPut, Path: path, Token: r.admin, Body: body, Header: map[string]string{"If-Match": tag}})
	}
	stale := match(`"1"`, `{"name":"Lost"}`)
	require.Equal(t, http.StatusConflict, stale.Status, stale.Body)
	require.Contains(t, stale.Body, "If-Match")
	require.Equal(t, "application/problem+json", stale.Header.Get("Content-Type"))
	require.Equal(t, http.StatusBadRequest, match(`W/"x"`, `{}`).Status)
	require.Equal(t, http.StatusOK, match(`"2"`, `{"name":"Acme Again","timezone":"Europe/Berlin"}`).Status)
	require.Equal(t, http.StatusConflict, r.do(t, call{Method: http.MethodPut, Path: "/api/v1/tenants/new", Token: r.admin, Body: `{}`, Header: map[string]string{"If-Match": `"1"`}}).Status, "what does not exist has no revision")

	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"a zone that is none":   {`{"timezone":"Mars/Olympus"}`, http.StatusUnprocessableEntity, "timezone"},
		"a currency of two":     {`{"currency":"EU"}`, http.StatusUnprocessableEntity, "currency"},
		"a negative volume":     {`{"expected_tpm":-1}`, http.StatusUnprocessableEntity, "expected_tpm"},
		"a state that is none":  {`{"state":"dreaming"}`, http.StatusUnprocessableEntity, "state"},
		"an unknown key":        {`{"nmae":"x"}`, http.StatusUnprocessableEntity, "nmae"},
		"a wrong type":          {`{"name":7}`, http.StatusUnprocessableEntity, "name"},
		"a time that is none":   {`{"onboarded_at":"yesterday"}`, http.StatusUnprocessableEntity, "onboarded_at"},
		"no JSON":               {`name: x`, http.StatusBadRequest, "JSON"},
		"nothing":               {``, http.StatusBadRequest, "JSON"},
		"two documents":         {`{}{}`, http.StatusBadRequest, "more than one"},
		"more than it can hold": {`{"name":"` + strings.Repeat("x", 70<<10) + `"}`, http.StatusRequestEntityTooLarge, "docs/limits.md"},
	} {
		got := r.do(t, call{Method: http.MethodPut, Path: path, Token: r.admin, Body: c.body})
		require.Equal(t, c.status, got.Status, "%s: %s", name, got.Body)
		require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"), name)
		require.Contains(t, got.Body, c.says, name)
		require.NotContains(t, got.Body, "Olympus", "a refused value is never echoed")
	}
	hint := r.do(t, call{Method: http.MethodPut, Path: path, Token: r.admin, Body: `{"timezone":"Mars/Olympus"}`})
	require.Regexp(t, `"hint":"[^"]+"`, hint.Body)
	require.Equal(t, http.StatusUnprocessableEntity, r.do(t, call{Method: http.MethodPut, Path: "/api/v1/tenants/_product", Token: r.admin, Body: `{}`}).Status)

	r.want(t, http.StatusOK, http.MethodPost, path+"/features/refunds", "").into(t, &doc)
	require.Equal(t, []string{"refunds"}, doc.Features)
	r.want(t, http.StatusOK, http.MethodDelete, path+"/features/refunds", "").into(t, &doc)
	require.Empty(t, doc.Features)
	r.want(t, http.StatusUnprocessableEntity, http.MethodPost, path+"/features/No%20Such", "")
	var revisions struct{ Items []struct{ Number int } }
	r.want(t, http.StatusOK, http.MethodGet, path+"/profile/revisions", "").into(t, &revisions)
	require.GreaterOrEqual(t, len(revisions.Items), 5, "each change of the document has its revision")

	r.want(t, http.StatusNoContent, http.MethodDelete, path, "")
	r.want(t, http.StatusNotFound, http.MethodGet, path, "")
	r.want(t, http.StatusNotFound, http.MethodDelete, path, "")
	r.want(t, http.StatusCreated, http.MethodPut, path, `{}`)
}

// TestRemoteWriteIsAdmittedByTheTable goes through the rows of the decision on
// whose samples a credential may send.
func TestRemoteWriteIsAdmittedByTheTable(t *testing.T) {
	r := start(t, t.TempDir())
	for _, id := range []string{"acme", "bolt", "calm"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	_, one := r.token(t, "sender", time.Time{}, "acme")
	_, list := r.token(t, "sender", time.Time{}, "acme", "bolt")
	_, star := r.token(t, "sender", time.Time{}, "*")
	now := time.Now()
	const none = ""
	for n, row := range []struct {
		name, token, org string
		labels           []string // of each series
		status           int
		kept             []string // tenants of what is stored
	}{
		{"one tenant, no label", one, none, []string{none}, 204, []string{"acme"}},
		{"one tenant, its label", one, none, []string{"acme"}, 204, []string{"acme"}},
		{"one tenant, its header", one, "acme", []string{none, "acme"}, 204, []string{"acme"}},
		{"one tenant, another header", one, "bolt", []string{"bolt"}, 403, nil},
		{"one tenant, another header, own label", one, "bolt", []string{"acme"}, 403, nil},
		{"one tenant, another label among its own", one, none, []string{"bolt", "acme"}, 400, []string{"acme"}},
		{"a list, labels", list, none, []string{"acme", "bolt"}, 204, []string{"acme", "bolt"}},
		{"a list, a label outside it", list, none, []string{"acme", "calm"}, 400, []string{"acme"}},
		{"a list, a header, no label", list, "bolt", []string{none}, 204, []string{"bolt"}},
		{"a list, a header, another label", list, "bolt", []string{"acme", "bolt"}, 400, []string{"bolt"}},
		{"a list, a header outside it", list, "calm", []string{"calm"}, 403, nil},
		{"a list, neither", list, none, []string{none}, 204, []string{"_product"}},
		{"all, labels", star, none, []string{"acme", "calm"}, 204, []string{"acme", "calm"}},
		{"all, a header", star, "calm", []string{none}, 204, []string{"calm"}},
		{"all, a header, another label", star, "calm", []string{"acme"}, 400, nil},
		{"all, neither", star, none, []string{none}, 204, []string{"_product"}},
		{"all, somebody unknown", star, none, []string{"stranger", "acme"}, 204, []string{"acme", "stranger"}},
		{"all, no tenant's header", star, "a|b", []string{none}, 400, nil},
	} {
		metric := "row_" + string(rune('a'+n))
		var send []simulate.Sample
		for i, label := range row.labels {
			pairs := []string{"n", strconv.Itoa(i)}
			if label != none {
				pairs = append(pairs, "tenant", label)
			}
			send = append(send, series(now, 1, metric, pairs...))
		}
		got := r.push(t, row.token, row.org, send...)
		require.Equal(t, row.status, got.Status, "%s: %s", row.name, got.Body)
		stored := r.query(t, r.admin, "", metric)
		for until := time.Now().Add(10 * time.Second); len(stored) != len(row.kept) && time.Now().Before(until); { // the history is written behind the answer
			stored = r.query(t, r.admin, "", metric)
		}
		require.Len(t, stored, len(row.kept), "%s: %v", row.name, stored)
		for _, id := range row.kept {
			require.Contains(t, stored, id, row.name)
		}
		if row.status == 400 && len(row.kept) > 0 {
			require.Contains(t, got.Body, "1 samples stored", row.name)
			require.Contains(t, got.Body, "refused", row.name)
		}
	}
	var unknown struct{ Items []struct{ ID string } }
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/unknown-tenants", "").into(t, &unknown)
	require.Len(t, unknown.Items, 1)
	require.Equal(t, "stranger", unknown.Items[0].ID)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/stranger", `{}`)
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/unknown-tenants", "").into(t, &unknown)
	require.Empty(t, unknown.Items, "it was adopted")

	ahead := r.push(t, star, none, series(now.Add(time.Hour), 1, "ahead", "tenant", "acme"), series(now, 1, "ahead", "tenant", "bolt"))
	require.Equal(t, http.StatusBadRequest, ahead.Status)
	require.Equal(t, map[string]string{"bolt": "1"}, r.query(t, r.admin, none, "ahead"), "a clock an hour ahead takes nobody else's samples along")
	for name, c := range map[string]call{
		"no remote write": {Header: map[string]string{"Content-Type": "application/json"}, Body: `{}`},
		"not snappy":      {Header: map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, Body: "nonsense"},
	} {
		c.Method, c.Path, c.Token = "POST", "/api/v1/write", star
		require.Contains(t, []int{http.StatusUnsupportedMediaType, http.StatusBadRequest}, r.do(t, c).Status, name)
	}
}

var metricLine = regexp.MustCompile(`(?m)^(tocsin_[a-z0-9_]+)(\{[^}]*\})? (\S+)$`)

func TestMetricsAreThereFromTheStartAndNameNoTenant(t *testing.T) {
	r := start(t, t.TempDir())
	get := func() map[string]string {
		out := map[string]string{}
		for _, m := range metricLine.FindAllStringSubmatch(r.do(t, call{Method: "GET", Path: "/metrics"}).Body, -1) {
			out[m[1]+m[2]] = m[3]
		}
		return out
	}
	first := get()
	for _, name := range []string{"tocsin_flow_incidents_opened_total", `tocsin_flow_alert_changes_total{state="firing"}`, `tocsin_flow_deliveries_total{result="ok",verb="page"}`,
		`tocsin_flow_deliveries_total{result="retry",verb="ticket"}`, "tocsin_flow_page_delay_seconds_count", "tocsin_flow_blind_tenants", `tocsin_flow_waiting_deliveries{verb="page"}`, `tocsin_flow_oldest_delivery_seconds{verb="ticket"}`,
		"tocsin_samples_accepted_samples_total", "tocsin_samples_deduplicated_samples_total"} {
		require.Equal(t, "0", first[name], "%s from the start", name)
	}
	require.Equal(t, "1", first[`tocsin_app_build_info{version="devel"}`])
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	require.Equal(t, http.StatusNoContent, r.push(t, r.admin, "", series(time.Now(), 1, "seen", "tenant", "acme")).Status)
	r.incident(t)
	after := get()
	require.Equal(t, "1", after["tocsin_flow_incidents_opened_total"])
	require.Equal(t, "1", after["tocsin_samples_accepted_samples_total"])
	require.NotEqual(t, "0", after["tocsin_flow_evaluation_duration_seconds_count"])
	require.Contains(t, after, "tocsin_partition_queued_work")
	require.Contains(t, after, "tocsin_partition_oldest_work_seconds")
	require.Regexp(t, `msg="an incident was opened" incident=1 tenant=(acme|bolt) `, r.log.String())
	all := r.do(t, call{Method: "GET", Path: "/metrics"}).Body
	for _, id := range []string{"acme", "bolt"} {
		require.NotContains(t, all, id)
	}
	require.NotRegexp(t, `[{,]tenant="`, all)
	require.NotRegexp(t, `route="[^"]*inc_`, all, "routes are patterns")
	for name := range first {
		require.Contains(t, after, name)
	}
}

func TestARestartKeepsWhatWasDecided(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	info, err := os.Stat(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{"name":"first"}`)
	}
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/tenants/acme/features/refunds", "")
	_, sender := r.token(t, "sender", time.Time{}, "*")
	gone, revoked := r.token(t, "sender", time.Time{}, "*")
	r.want(t, http.StatusNoContent, http.MethodDelete, "/api/v1/tokens/"+gone, "")
	now := time.Now()
	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", series(now, 7, "seen", "tenant", "acme")).Status)
	in := r.incident(t)
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/incidents/"+in.ID+"/acknowledge", `{}`)
	link := r.Links().Incident(in.ID)
	tenants := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants", "").Body
	revisions := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile/revisions", "").Body
	policy := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=policy", "").Body
	require.NoError(t, r.Stop(t.Context()))

	again := start(t, dir)
	require.Equal(t, r.admin, again.admin)
	require.Equal(t, tenants, again.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants", "").Body)
	require.Equal(t, revisions, again.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme/profile/revisions", "").Body, "a restart is no reason for a revision")
	require.Equal(t, policy, again.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=policy", "").Body, "nor is the same policy")
	require.Equal(t, http.StatusNoContent, again.push(t, sender, "", series(now.Add(time.Second), 8, "seen", "tenant", "acme")).Status)
	require.Equal(t, http.StatusUnauthorized, again.push(t, revoked, "", series(now, 8, "seen", "tenant", "acme")).Status)
	require.Equal(t, map[string]string{"acme": "2"}, again.query(t, again.admin, "", "count_over_time(seen[1m])"))
	require.Equal(t, "acknowledged", again.state(t, in.ID))
	var list struct{ Items []incidentDoc }
	again.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents", "").into(t, &list)
	require.Len(t, list.Items, 1)
	require.Equal(t, in.Number, list.Items[0].Number)
	_, path, _ := strings.Cut(strings.TrimPrefix(link, "http://"), "/")
	require.Equal(t, http.StatusOK, again.do(t, call{Method: "GET", Path: "/" + path}).Status, "links live on")
}
