package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/problem"
)

// replica starts an app on a Redis; without a secret it is to be the only one.
func replica(t *testing.T, dir, secret string, servers ...*peer.Redis) *rig {
	t.Helper()
	return replicaOf(t, dir, secret, func(*config.Config) {}, servers...)
}

// replicaOf is replica with a changed configuration.
func replicaOf(t *testing.T, dir, secret string, change func(*config.Config), servers ...*peer.Redis) *rig {
	t.Helper()
	c := config.Default()
	change(c)
	c.Store.Kind, c.Cluster.SecretFile = config.Redis, secret
	for _, s := range servers {
		c.Store.Addresses = append(c.Store.Addresses, s.Addr)
	}
	r := &rig{dir: dir, log: &logs{}}
	var err error
	r.App, err = app.New(t.Context(), app.Options{Config: c, StoragePath: dir, ListenAddress: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() {
		require.NoError(t, r.Stop(context.Background()))
		if t.Failed() {
			t.Log(r.URL(), r.log.String())
		}
	})
	raw, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	r.admin = strings.TrimSpace(string(raw))
	return r
}

func clusterSecret(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.secret")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("s3cret", 8)+"\n"), 0o600))
	return file
}

type clusterDoc struct {
	Store                string
	Partitions, Unserved int
	Members              []struct {
		ID, URL    string
		Self       bool
		Partitions int
	}
}

func (r *rig) cluster(t *testing.T) (out clusterDoc) {
	t.Helper()
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/cluster", "").into(t, &out)
	return out
}

// shared waits until so many members serve everything, each about its share.
func (r *rig) shared(t *testing.T, members int) {
	t.Helper()
	require.Eventually(t, func() bool {
		c := r.cluster(t)
		if len(c.Members) != members || c.Unserved > 0 {
			return false
		}
		for _, m := range c.Members {
			if share := 256 / members; m.Partitions < share*7/10 || m.Partitions > share*13/10 {
				return false
			}
		}
		return true
	}, 60*time.Second, 100*time.Millisecond, "%d members serve all", members)
}

// One tocsin on a Redis cluster does all that one on the embedded store does, and
// finds it again after a restart.
func TestOneReplicaOnARedisCluster(t *testing.T) {
	servers, dir := peer.StartRedisCluster(t), t.TempDir()
	r := replica(t, dir, "", servers...)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	_, sender := r.token(t, "sender", time.Time{}, "*")
	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", series(time.Now(), 1, "up", "tenant", "acme")).Status)
	in := r.incident(t)
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/incidents/"+in.ID+"/acknowledge", `{}`)
	require.NoError(t, r.Stop(t.Context()))

	again := replica(t, dir, "", servers...)
	require.Equal(t, r.admin, again.admin)
	again.shared(t, 1)
	var found incidentDoc
	again.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+in.ID, "").into(t, &found)
	require.Equal(t, "acknowledged", found.State)
	require.Equal(t, in.Ticket.Ref.Number, found.Ticket.Ref.Number)
	require.Equal(t, map[string]string{"acme": "1"}, again.query(t, again.admin, "", "last_over_time(up[5m])"))
	again.want(t, http.StatusOK, http.MethodGet, "/api/v1/tickets/"+in.Ticket.Ref.Number, "")

	// A second one without a common secret is told so.
	c := config.Default()
	c.Store.Kind, c.Store.Addresses = config.Redis, []string{servers[0].Addr}
	other, err := app.New(t.Context(), app.Options{Config: c, StoragePath: t.TempDir(), ListenAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	err = other.Start(t.Context())
	require.True(t, problem.Is(err, problem.Conflict), "%v", err)
	require.Contains(t, problem.From(err).Hint, "cluster.secret-file")
}

// Two replicas: each serves its share, any takes any request, and when one leaves
// the other serves everything, with its state.
func TestTwoReplicasShareTheWork(t *testing.T) {
	server, secret := peer.StartRedis(t), clusterSecret(t)
	one := replica(t, t.TempDir(), secret, server)
	one.shared(t, 1)
	two := replica(t, t.TempDir(), secret, server)
	one.shared(t, 2)

	// Half of these live at the other replica, whichever is asked.
	var ids []string
	for n := range 12 {
		id, at := fmt.Sprintf("tenant-%d", n), []*rig{one, two}[n%2]
		require.Eventually(t, func() bool { // while parts change hands a client is told to try again
			got := at.do(t, call{Method: http.MethodPut, Path: "/api/v1/tenants/" + id, Token: at.admin, Body: `{"name":"Tenant"}`})
			return got.Status == http.StatusCreated
		}, 30*time.Second, 200*time.Millisecond)
		ids = append(ids, id)
	}
	for n, id := range ids {
		at := []*rig{two, one}[n%2]
		at.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+id, "")
		at.want(t, http.StatusOK, http.MethodPost, "/api/v1/tenants/"+id+"/features/refunds", "")
		at.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+id+"/status", "")
	}
	for _, id := range []string{"acme", "bolt"} {
		one.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}

	// A token of one is good at the other at once, and ends there too.
	tokenID, sender := one.token(t, "sender", time.Time{}, "*")
	now := time.Now()
	require.Equal(t, http.StatusNoContent, two.push(t, sender, "", series(now, 7, "up", "tenant", "acme"), series(now, 9, "up", "tenant", ids[0])).Status)
	for _, r := range []*rig{one, two} { // each has the whole history
		require.Equal(t, map[string]string{"acme": "7", ids[0]: "9"}, r.query(t, r.admin, "", "up"))
	}
	oneCustomer(t, ids[0], sender, one, two)
	two.want(t, http.StatusNoContent, http.MethodDelete, "/api/v1/tokens/"+tokenID, "")
	require.Eventually(t, func() bool {
		return one.push(t, sender, "", series(time.Now(), 1, "up", "tenant", "acme")).Status == http.StatusUnauthorized
	}, 10*time.Second, 100*time.Millisecond)

	// One incident, whoever serves its parts, and both show it with its picture.
	fired := time.Now().UTC().Truncate(time.Second)
	require.NoError(t, one.Fire(t.Context(), firing("acme", fired)))
	require.NoError(t, two.Fire(t.Context(), firing("bolt", fired)))
	var in incidentDoc
	require.Eventually(t, func() bool {
		var list struct{ Items []incidentDoc }
		two.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents", "").into(t, &list)
		if len(list.Items) != 1 {
			return false
		}
		in = list.Items[0]
		return len(in.Tenants) == 2 && in.Ticket.Ref.Number != "" && strings.Contains(one.log.String()+two.log.String(), "msg=page ")
	}, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc([]*rig{one, two}, func(r *rig) bool {
			return r.do(t, call{Method: "GET", Path: "/api/v1/incidents/" + in.ID + "/picture", Token: r.admin}).Status != http.StatusOK
		})
	}, 20*time.Second, 100*time.Millisecond)
	for _, r := range []*rig{one, two} {
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tickets/"+in.Ticket.Ref.Number, "")
	}

	// The inner doors open for replicas only.
	for _, c := range []call{{Token: one.admin}, {Header: map[string]string{"Authorization": "Replica " + strings.Repeat("x", 48)}}, {}} {
		c.Method, c.Path = "POST", "/internal/v1/journal"
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, two.do(t, c).Status)
	}

	began := time.Now()
	require.NoError(t, one.Stop(t.Context()))
	two.shared(t, 1)
	require.Less(t, time.Since(began), 10*time.Second, "who leaves gives its partitions away")
	two.want(t, http.StatusOK, http.MethodPost, "/api/v1/incidents/"+in.ID+"/acknowledge", `{}`)
	for _, id := range ids {
		got := two.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+id, "")
		require.Contains(t, got.Body, "refunds")
	}
	two.want(t, http.StatusOK, http.MethodGet, "/api/v1/tickets/"+in.Ticket.Ref.Number, "")
	require.Equal(t, 1, strings.Count(one.log.String()+two.log.String(), "msg=page "), "one page")
}

// Redis dies and comes back: what was accepted is there, nothing is decided
// meanwhile, and everything is served again without help.
func TestRedisGoesAway(t *testing.T) {
	server := peer.StartRedis(t, "--appendfsync", "always")
	r := replica(t, t.TempDir(), "", server)
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	_, sender := r.token(t, "sender", time.Time{}, "*")
	server.Kill()
	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", series(time.Now(), 7, "up", "tenant", "acme")).Status, "samples are journaled here")
	require.Eventually(t, func() bool { // the leases end
		got := r.do(t, call{Method: http.MethodPut, Path: "/api/v1/tenants/late", Token: r.admin, Body: `{}`})
		require.Equal(t, http.StatusServiceUnavailable, got.Status, got.Body)
		return strings.Contains(r.log.String(), "a partition is not served here any more")
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, http.StatusNoContent, r.push(t, sender, "", series(time.Now(), 8, "up", "tenant", "acme")).Status)

	server.Start(t)
	r.shared(t, 1)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/late", `{}`)
	require.Equal(t, map[string]string{"acme": "8"}, r.query(t, r.admin, "", "up"))
	require.NotEmpty(t, r.incident(t).Pages)
	require.NoError(t, r.Stop(t.Context())) // before the server
}
