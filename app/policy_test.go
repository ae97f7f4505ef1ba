package app_test

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/web"
)

// quieter is the reload's policy with one rule more.
var quieter = strings.Replace(reloadPolicy, "rules:\n", "rules:\n  - {name: more_errors, kind: errors, sli: payments, service: payments, severity: warning, summary: s, runbook_url: https://r}\n", 1)

func body(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func (r *rig) policy(t *testing.T) (a policies.PolicyAnswer) {
	t.Helper()
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/policy", "").into(t, &a)
	return a
}

// rules are the names of a tenant's rules, once its profile follows a revision.
func (r *rig) rules(t *testing.T, id string, revision int) (names []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var a tenants.ProfileAnswer
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+id+"/profile", "").into(t, &a)
		names = nil
		for _, x := range a.Rules {
			names = append(names, x.Name)
		}
		return a.Revision.PolicyRevision == revision
	}, 20*time.Second, 20*time.Millisecond, "the profile follows policy revision %d", revision)
	return names
}

func TestAPolicyIsPlannedAppliedAndTakenBack(t *testing.T) {
	r, _ := reloadRig(t)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{"expected_tpm": 5}`)
	}
	was := r.policy(t)
	require.Equal(t, [2]any{1, rollout.FromFile}, [2]any{was.Number, was.Origin})
	require.Equal(t, reloadPolicy, was.Text)

	var plan policies.PlanAnswer
	got := r.want(t, http.StatusOK, http.MethodPost, "/api/v1/policy/plan", body(t, policies.PolicyRequest{Policy: quieter}))
	got.into(t, &plan)
	require.Equal(t, `"1"`, got.Header.Get("ETag"))
	require.Equal(t, [4]int{2, 2, 1, 3}, [4]int{plan.Tenants, plan.Changed, plan.Against, len(plan.Stages)})
	require.Contains(t, plan.Rules[0], "more_errors is added")
	require.Equal(t, "acme", string(plan.Largest[0].ID))
	require.Equal(t, 1, r.policy(t).Number, "a plan stores nothing")

	apply := func(status int, match string, in policies.PolicyEditRequest) (a policies.RolloutAnswer, said string) {
		t.Helper()
		got := r.do(t, call{Method: http.MethodPost, Path: "/api/v1/policy", Token: r.admin, Body: body(t, in), Header: map[string]string{"If-Match": match}})
		require.Equal(t, status, got.Status, got.Body)
		if status < 300 {
			got.into(t, &a)
		}
		return a, got.Body
	}
	_, said := apply(http.StatusConflict, `"7"`, policies.PolicyEditRequest{Policy: quieter, Reason: "x"})
	require.Contains(t, said, "revision 1 is in force")
	require.Contains(t, said, "plan again")
	_, said = apply(http.StatusUnprocessableEntity, "", policies.PolicyEditRequest{Policy: quieter})
	require.Contains(t, said, "a reason is missing")
	_, said = apply(http.StatusUnprocessableEntity, "", policies.PolicyEditRequest{Policy: strings.NewReplacer("kind: errors", "kind: magic", "severity: critical", "severity: loud").Replace(quieter), Reason: "x"})
	require.Contains(t, said, "kind must be")
	require.Contains(t, said, "severity must be")
	require.NotContains(t, said, "magic", "a rejected value is not echoed")
	require.Equal(t, 3, strings.Count(said, "policy:"), "all faults at once: %s", said)
	var refused web.Problem
	require.NoError(t, json.Unmarshal([]byte(said), &refused))
	require.Len(t, refused.Faults, 3)
	for _, f := range refused.Faults {
		require.Equal(t, [3]any{"policy", fault.Error, true}, [3]any{f.File, f.Level, strings.HasPrefix(f.Field, "rules[")})
		require.Positive(t, f.Line)
		require.Contains(t, refused.Detail, f.String(), "the detail lists them as before")
	}
	require.NotContains(t, r.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/policy/plan", `{}`).Body, "faults", "of none in particular")
	require.Contains(t, r.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/policy/plan", body(t, policies.PolicyRequest{Policy: "version: one\nenvironments: [production]\n"})).Body, `{"file":"policy","line":1,"field":"version","level":"error","message":`)
	same, _ := apply(http.StatusOK, "", policies.PolicyEditRequest{Policy: reloadPolicy, Reason: "x"})
	require.False(t, same.Changed)

	open, _ := apply(http.StatusAccepted, `"1"`, policies.PolicyEditRequest{Policy: quieter, Reason: "more tickets"})
	require.Equal(t, rollout.Shadow, open.Rollout.State)
	require.Equal(t, 1, open.InForce)
	require.Equal(t, []string{"payment_errors"}, r.rules(t, "acme", 1))
	_, said = apply(http.StatusConflict, "", policies.PolicyEditRequest{Policy: quieter + "\n", Reason: "x"})
	require.Contains(t, said, "tocsin policy rollback")
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/late", `{}`)
	require.Equal(t, []string{"payment_errors"}, r.rules(t, "late", 1), "a tenant that comes meanwhile has what its stage has")
	require.NotNil(t, r.policy(t).Rollout)
	require.Equal(t, [3]string{"1", "1", "0"}, [3]string{r.metric(t, "tocsin_policy_revision"), r.metric(t, "tocsin_policy_rollout_running"), r.metric(t, "tocsin_policy_rollout_halted")})

	done, _ := apply(http.StatusAccepted, "", policies.PolicyEditRequest{Policy: quieter, Reason: "it is burning", Now: true})
	require.Equal(t, [2]any{2, rollout.Done}, [2]any{done.InForce, done.Rollout.State})
	require.Equal(t, []string{"more_errors", "payment_errors"}, r.rules(t, "acme", 2))
	require.Equal(t, []string{"more_errors", "payment_errors"}, r.rules(t, "late", 2))

	require.Equal(t, &rollout.Keeps{Largest: []rollout.Keep{}}, done.Kept)

	r.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/policy/rollback", `{}`)
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/tenants/late/profile/freeze", `{"reason": "an audit"}`)
	var back policies.RolloutAnswer
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/policy/rollback", `{"reason": "too loud"}`).into(t, &back)
	require.Equal(t, 1, back.InForce)
	require.Equal(t, &rollout.Keeps{Tenants: 1, Largest: []rollout.Keep{{ID: "late", Name: "late", Why: "frozen by token:admin: an audit"}}}, back.Kept)
	require.Equal(t, []string{"more_errors", "payment_errors"}, r.rules(t, "late", 2))
	require.Equal(t, []string{"payment_errors"}, r.rules(t, "acme", 1))
	r.want(t, http.StatusConflict, http.MethodPost, "/api/v1/policy/rollback", `{"reason": "again"}`)
	r.want(t, http.StatusConflict, http.MethodPost, "/api/v1/policy/rollout/resume", `{"reason": "again"}`)

	var list web.List[policies.RevisionAnswer]
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/policy/revisions", "").into(t, &list)
	require.Len(t, list.Items, 2)
	require.Empty(t, list.Items[1].Text)
	require.Equal(t, "more tickets", list.Items[1].Reason)
	require.Nil(t, list.Items[0].Changed, "nothing is before the first")
	added := []string{"more_errors is added: warning, errors of payments"}
	require.Equal(t, &policies.Changed{Before: 1, Rules: added, Settings: []string{}}, list.Items[1].Changed)
	page := r.want(t, http.StatusOK, http.MethodGet, "/policy", "").Body
	require.Contains(t, page, "<li>more_errors is added: warning, errors of payments</li>")
	var one policies.RevisionAnswer
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/policy/revisions/2", "").into(t, &one)
	require.Equal(t, added, one.Changed.Rules)
	require.Equal(t, quieter, one.Text)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/policy/revisions/2", "").Body, "more_errors")
	r.want(t, http.StatusNotFound, http.MethodGet, "/api/v1/policy/revisions/3", "")
	r.want(t, http.StatusBadRequest, http.MethodGet, "/api/v1/policy/revisions/x", "")
	ledger := r.want(t, http.StatusOK, http.MethodGet, "/api/v1/ledger?subject=policy", "").Body
	for _, kind := range []string{"policy.rollout_began", "policy.stage_began", "policy.rollout_hurried", "policy.rollout_done", "policy.rolled_back"} {
		require.Contains(t, ledger, kind)
	}
	require.Contains(t, ledger, "policy revision 1 is in force at once for every tenant but 1 whose profile is frozen or pinned at a revision (late), instead of revision 2: too loud")
}

// TestWhatIsInForceStaysInForce: files are one way in, and no restart takes back
// what came in by the other.
func TestWhatIsInForceStaysInForce(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("tocsin.yaml", reloadConfig)
	write("catalog.yaml", reloadCatalog)
	write("policy.yaml", reloadPolicy)
	load := func() (*config.Config, error) { return config.Load(filepath.Join(dir, "tocsin.yaml")) }
	begin := func() *rig {
		t.Helper()
		c, err := load()
		require.NoError(t, err)
		r := &rig{dir: data, log: &logs{}}
		r.App, err = app.New(t.Context(), app.Options{Config: c, Load: load, StoragePath: data, ListenAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(r.log, nil))})
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
		raw, err := os.ReadFile(filepath.Join(data, "admin.token"))
		require.NoError(t, err)
		r.admin = strings.TrimSpace(string(raw))
		return r
	}
	again := func(r *rig) *rig {
		t.Helper()
		require.NoError(t, r.Stop(context.Background()))
		return begin()
	}
	variant := func(n int) string { return fmt.Sprintf("%s# variant %d\n", quieter, n) }

	r := begin()
	r.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: variant(2), Reason: "by the API", Now: true}))
	r = again(r)
	require.Equal(t, 2, r.policy(t).Number, "the file did not change: the API's stays")
	require.Empty(t, r.reload(t, http.StatusOK).Changed, "also at a reload")

	write("policy.yaml", variant(3))
	require.Equal(t, []string{"policy revision 3"}, r.reload(t, http.StatusOK).Changed)
	require.Equal(t, rollout.FromFile, r.policy(t).Origin)
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/policy/rollback", `{"reason": "too loud"}`)
	r = again(r)
	require.Equal(t, 2, r.policy(t).Number, "what was rolled back stays so, although the file has it")

	require.NoError(t, r.Stop(context.Background()))
	write("policy.yaml", variant(4))
	r = begin()
	require.Equal(t, 4, r.policy(t).Number, "a file that changed while tocsin was down is in force")

	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	r.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: variant(5), Reason: "in stages"}))
	r = again(r)
	require.Equal(t, 4, r.policy(t).Number)
	require.Equal(t, rollout.Shadow, r.policy(t).Rollout.State, "a rollout goes on")
	write("policy.yaml", variant(6))
	r.want(t, http.StatusConflict, http.MethodPost, "/api/v1/reload", "")
	require.Equal(t, 4, r.policy(t).Number)
	require.NoError(t, r.Stop(context.Background()))
	r = begin()
	require.Equal(t, 6, r.policy(t).Number, "a start cannot be refused: the file wins")
	require.Nil(t, r.policy(t).Rollout)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/policy/rollout", "").Body, "superseded")
}

// TestReplicasFollowThePolicy: one decides, whoever is asked, and all follow; each has
// files of its own.
func TestReplicasFollowThePolicy(t *testing.T) {
	server, secret, dir := peer.StartRedis(t), clusterSecret(t), t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(text), 0o600))
	}
	write(reloadPolicy)
	begin := func(data string) *rig {
		t.Helper()
		return replicaOf(t, data, secret, func(c *config.Config) { c.PolicyFiles = []string{filepath.Join(dir, "policy.yaml")} }, server)
	}
	one := begin(t.TempDir())
	one.shared(t, 1)
	two := begin(t.TempDir())
	one.shared(t, 2)
	both := []*rig{one, two}
	var ids []string
	for n := range 6 {
		ids = append(ids, fmt.Sprintf("tenant-%d", n))
		one.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+ids[n], `{}`)
	}
	follow := func(revision, rules int) {
		t.Helper()
		for n, id := range ids {
			require.Len(t, both[n%2].rules(t, id, revision), rules)
		}
		for _, r := range both {
			require.Equal(t, revision, r.policy(t).Number)
		}
	}
	follow(1, 1)
	for n, r := range both { // one of the two does not serve the policy's partition
		r.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: fmt.Sprintf("%s# %d\n", quieter, n), Reason: "more tickets", Now: true}))
		follow(2+n, 2)
	}
	two.want(t, http.StatusOK, http.MethodPost, "/api/v1/policy/rollback", `{"reason": "too loud", "to": 1}`)
	follow(1, 1)
	two.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: quieter, Reason: "in stages"}))
	one.want(t, http.StatusConflict, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: quieter + "\n", Reason: "another"}))

	require.NoError(t, two.Stop(context.Background()))
	one.shared(t, 1)
	write(quieter + "# from the file\n")
	two = begin(two.dir)
	one.shared(t, 2)
	both[1] = two
	follow(5, 2)
	require.Nil(t, one.policy(t).Rollout, "a file that changed wins at the start of the replica that reads it")
}
