package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
)

// TestWhatAnEarlierReleaseTookStopsNoStart: the store has a policy that this release would
// refuse, and so has the file that it came from.
func TestWhatAnEarlierReleaseTookStopsNoStart(t *testing.T) {
	old := reloadPolicy + "impact: {day: {tenants: 2.5}}\npins: [{tenant: acme, revision: 1, reason: ' ', by: ada}]\n"
	p, faults := profiles.Check("policy.yaml", []byte(old))
	require.Equal(t, 2, faults.Errors())
	dir, data := t.TempDir(), t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("tocsin.yaml", reloadConfig)
	write("catalog.yaml", reloadCatalog)
	write("policy.yaml", old)
	st, err := embedded.Open(filepath.Join(data, "store"), embedded.Options{})
	require.NoError(t, err)
	lease, err := st.Acquire(t.Context(), store.PartitionOf(rollout.Subject))
	require.NoError(t, err)
	b := policy.Batch(rollout.Put(rollout.State{}, rollout.Revision{Sha: p.Sha, Text: old, Author: "tocsin", Reason: "it was read at the start", Origin: rollout.FromFile}, time.Now()))
	b.Puts = append(b.Puts, policy.FileRecord("self", p.Sha))
	require.NoError(t, lease.Commit(t.Context(), b))
	require.NoError(t, lease.Release(t.Context()))
	require.NoError(t, st.Close())

	r := &rig{dir: data, log: &logs{}}
	load := func() (*config.Config, error) { return config.Load(filepath.Join(dir, "tocsin.yaml")) }
	begin := func() error {
		c, err := load()
		require.NoError(t, err)
		r.App, err = app.New(t.Context(), app.Options{Config: c, Load: load, StoragePath: data, ListenAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(r.log, nil))})
		return err
	}
	require.NoError(t, begin())
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(data, "admin.token"))
	require.NoError(t, err)
	r.admin = strings.TrimSpace(string(raw))

	require.Equal(t, old, r.policy(t).Text)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	require.Equal(t, []string{"payment_errors"}, r.rules(t, "acme", 1), "tenants are watched by it")
	require.Contains(t, r.log.String(), `fault="pins[0] (acme): reason is missing`)
	require.Contains(t, r.log.String(), "line=7 fault=\"impact.day.tenants: the value must be a whole number\"")
	status := func() string { return r.want(t, http.StatusOK, http.MethodGet, "/api/v1/status", "").Body }
	require.Contains(t, status(), "policy revision 1 has 2 fault(s) of which an earlier release did not know, the first on line 7")
	require.Empty(t, r.reload(t, http.StatusOK).Changed, "nor does it stop a reload of the rest")

	write("policy.yaml", old+"# another\n")
	r.reload(t, http.StatusUnprocessableEntity)
	require.Contains(t, r.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: old + "# another\n", Reason: "x", Now: true})).Body, "has 2 fault(s)", "what is new is mended first")
	require.NoError(t, r.Stop(t.Context()))
	require.ErrorContains(t, begin(), "has 2 fault(s)", "at a start too")

	write("policy.yaml", old)
	require.NoError(t, begin())
	require.NoError(t, r.Start(t.Context()))
	r.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: quieter, Reason: "mended", Now: true}))
	require.NotContains(t, status(), "an earlier release")
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/policy/rollback", `{"reason": "too loud"}`)
	require.Contains(t, status(), "an earlier release", "it can be gone back to")
}
