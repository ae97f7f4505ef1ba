package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

// TestCosts measures both homes of the store side by side and notes the figures
// in the file that TOCSIN_BENCH names; make bench runs it.
func TestCosts(t *testing.T) {
	file := os.Getenv("TOCSIN_BENCH")
	if file == "" {
		t.Skip("set TOCSIN_BENCH to the file for the figures (make bench)")
	}
	figures := &costs{file: file}
	server, cluster := peer.StartRedis(t, "--appendfsync", "always"), peer.StartRedisCluster(t, "--appendfsync", "always")
	relaxed := peer.StartRedis(t)
	for name, open := range map[string]func() store.Store{
		"embedded": func() store.Store {
			s, err := embedded.Open(t.TempDir(), embedded.Options{LeaseTime: time.Hour})
			require.NoError(t, err)
			return s
		},
		"redis":          func() store.Store { return openCosts(t, server) },
		"redis_everysec": func() store.Store { return openCosts(t, relaxed) },
		"redis_cluster":  func() store.Store { return openCosts(t, cluster...) },
	} {
		for _, owners := range []int{1, 64} {
			plural := ""
			if owners > 1 {
				plural = "s"
			}
			figures.note(t, fmt.Sprintf("store_%s_commits_per_second_%d_partition%s", name, owners, plural), commits(t, open(), owners, false))
		}
		figures.note(t, fmt.Sprintf("store_%s_commits_with_message_per_second_64_partitions", name), commits(t, open(), 64, true))
	}
	figures.note(t, "store_embedded_bytes_per_tenant", perTenant(t, nil))
	figures.note(t, "store_redis_bytes_per_tenant", perTenant(t, relaxed))
	figures.note(t, "cluster_takeover_seconds", takeover(t))
}

func openCosts(t *testing.T, nodes ...*peer.Redis) store.Store {
	t.Helper()
	peer.FlushRedis(t, nodes...)
	o := redis.Options{LeaseTime: time.Hour, CommitTimeout: 10 * time.Second}
	for _, n := range nodes {
		o.Addresses = append(o.Addresses, n.Addr)
	}
	s, err := redis.Open(t.Context(), o)
	require.NoError(t, err)
	return s
}

// commits is how many a second the owners of some partitions make, each a record
// of 1 KiB, with a message to another partition if so wanted.
func commits(t *testing.T, s store.Store, owners int, messages bool) float64 {
	t.Helper()
	defer func() { require.NoError(t, s.Close()) }()
	value := make([]byte, 1024)
	for i := range value {
		value[i] = byte(i * 7919 >> 3)
	}
	var done atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for p := range owners {
		l, err := s.Acquire(t.Context(), store.Partition(p))
		require.NoError(t, err)
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				b := store.Batch{Puts: []store.Record{{Collection: "c", Key: strconv.Itoa(n % 1000), Kind: "bench", Version: 1, Value: value}}}
				if messages {
					b.Messages = []store.Message{{To: store.Partition(255 - p), Input: store.Input{ID: fmt.Sprintf("%d/%d", p, n), Payload: json.RawMessage(`{}`)}}}
				}
				if err := l.Commit(t.Context(), b); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	warm := time.NewTimer(time.Second)
	<-warm.C
	before, began := done.Load(), time.Now()
	<-time.After(4 * time.Second)
	n, took := done.Load()-before, time.Since(began)
	stop.Store(true)
	wg.Wait()
	return float64(n) / took.Seconds()
}

// perTenant is what one tenant takes in the store, evaluate's state included: of
// 24 series that sent for twenty minutes.
func perTenant(t *testing.T, server *peer.Redis) float64 {
	t.Helper()
	const tenants = 400
	args := []string{}
	if server != nil {
		peer.FlushRedis(t, server)
		args = append(args, "--store.url", "redis://"+server.Addr)
	}
	k := newKillable(t, t.TempDir(), args...)
	used := func() float64 {
		if server != nil {
			n, err := strconv.ParseFloat(server.Info("used_memory_dataset"), 64)
			require.NoError(t, err)
			return n
		}
		return folder(t, filepath.Join(k.storage(), "store"))
	}
	token, err := os.ReadFile(filepath.Join(k.storage(), "admin.token"))
	require.NoError(t, err)
	api := &killClient{base: k.url(), token: strings.TrimSpace(string(token)), http: &http.Client{Timeout: 15 * time.Second}}
	before := used()
	from := time.Now().UTC().Truncate(time.Minute).Add(-20 * time.Minute)
	list := make([]simulate.Tenant, tenants)
	for i := range list {
		list[i] = simulate.Tenant{ID: fmt.Sprintf("tenant-%d", i), Name: "Tenant", TPS: 2, Zone: "UTC", Countries: []simulate.Share{{Name: "de", Weight: 1}},
			Methods: []simulate.Share{{Name: "card", Weight: 1}, {Name: "wallet", Weight: 1}}, Acquirers: []simulate.Share{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}}
		api.do(t, http.MethodPut, "/api/v1/tenants/"+list[i].ID, map[string]any{"name": "Tenant", "onboarded_at": from.Format(time.RFC3339)}, nil)
	}
	var sender struct{ Token string }
	api.do(t, http.MethodPost, "/api/v1/tokens", map[string]any{"name": "gateway", "role": "sender", "tenants": []string{"*"}}, &sender)
	out := &simulate.RemoteWrite{URL: k.url() + "/api/v1/push", Token: sender.Token, Version: 2, Client: &http.Client{Timeout: 30 * time.Second}}
	g, err := simulate.New(simulate.Options{Seed: 7, Start: from, Tick: 15 * time.Second, Tenants: list, Base: simulate.Rates{Error: .008, Declined: .07, Abandoned: .02}})
	require.NoError(t, err)
	for at := from.Add(15 * time.Second); time.Since(at) > 0; at = at.Add(15 * time.Second) {
		var batch []simulate.Sample
		for _, c := range g.Snapshot(at) {
			batch = append(batch, simulate.Sample{Labels: c.Labels, T: at, Value: c.Value, Start: c.Start})
		}
		for len(batch) > 0 {
			n := min(len(batch), 5000)
			require.NoError(t, out.Send(t.Context(), batch[:n]))
			batch = batch[n:]
		}
	}
	k.stop(t) // writes every state
	return (used() - before) / tenants
}

func folder(t *testing.T, dir string) (sum float64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += float64(info.Size())
		}
		return err
	}))
	return sum
}

// takeover is how long after the kill of one of two replicas every partition is
// served again.
func takeover(t *testing.T) float64 {
	t.Helper()
	p := startPair(t, func(dir string) string {
		file := filepath.Join(dir, "tocsin.yaml")
		require.NoError(t, os.WriteFile(file, []byte("environment: production\n"), 0o600))
		return file
	})
	require.NoError(t, p.each[0].cmd.Process.Kill())
	began := time.Now()
	<-p.each[0].ended
	p.shared(t, 1, 30*time.Second)
	return time.Since(began).Seconds()
}

// costs is the file of figures; those of others stay, in their order.
type costs struct{ file string }

func (c *costs) note(t *testing.T, name string, v float64) {
	t.Helper()
	digits := 3 - int(math.Ceil(math.Log10(math.Max(v, 1e-9)))) // three that count
	scale := math.Pow(10, float64(digits))
	v = math.Round(v*scale) / scale
	t.Logf("%s %v", name, v)
	var names []string
	values := map[string]json.RawMessage{}
	if raw, err := os.ReadFile(c.file); err == nil {
		require.NoError(t, json.Unmarshal(raw, &values))
		dec := json.NewDecoder(bytes.NewReader(raw))
		for depth := 0; dec.More() || depth == 0; depth++ {
			tok, err := dec.Token()
			require.NoError(t, err)
			if key, ok := tok.(string); ok && values[key] != nil {
				names = append(names, key)
			}
		}
	}
	if values[name] == nil {
		names = append(names, name)
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	values[name] = text
	var out bytes.Buffer
	for i, n := range names {
		sep := ",\n"
		if i == 0 {
			sep = "{\n"
		}
		fmt.Fprintf(&out, "%s  %q: %s", sep, n, values[n])
	}
	out.WriteString("\n}\n")
	require.NoError(t, os.WriteFile(c.file, out.Bytes(), 0o644))
}
