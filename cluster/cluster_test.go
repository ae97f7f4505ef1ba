package cluster_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/cluster"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

func members(n int) []store.Member {
	out := make([]store.Member, n)
	for i := range out {
		out[i] = store.Member{ID: fmt.Sprintf("rep_%d", i)}
	}
	return out
}

func TestEachHoldsAboutItsShare(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		served := map[store.Partition]bool{}
		for _, m := range members(n) {
			share := cluster.Share(m.ID, members(n))
			require.InDelta(t, store.Partitions/n, len(share), 0.35*float64(store.Partitions)/float64(n), "%d members", n)
			for _, p := range share {
				require.False(t, served[p], "partition %d has one owner", p)
				served[p] = true
			}
		}
		require.Len(t, served, store.Partitions)
	}
}

// Who joins takes from the others and moves nothing between them; who leaves
// gives its own away.
func TestOthersPartitionsStay(t *testing.T) {
	before, after := members(3), members(4)
	moved := 0
	for p := range store.Partitions {
		was, is := cluster.Preferred(store.Partition(p), before), cluster.Preferred(store.Partition(p), after)
		if was != is {
			require.Equal(t, "rep_3", is)
			moved++
		}
	}
	require.InDelta(t, store.Partitions/4, moved, 25)

	after[3].Leaving = true
	for p := range store.Partitions {
		require.Equal(t, cluster.Preferred(store.Partition(p), before), cluster.Preferred(store.Partition(p), after))
	}
	require.Empty(t, cluster.Preferred(0, []store.Member{{ID: "a", Leaving: true}}))
}

func TestSecretsMustBeLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	_, err := cluster.Secret(file)
	require.ErrorContains(t, err, "cluster.secret_file")
	require.NoError(t, os.WriteFile(file, []byte("short\n"), 0o600))
	_, err = cluster.Secret(file)
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.NotContains(t, err.Error(), "short\n")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", cluster.MinSecret)+"\n"), 0o600))
	got, err := cluster.Secret(file)
	require.NoError(t, err)
	require.Len(t, got, cluster.MinSecret)
}

func TestEveryoneMustAnswer(t *testing.T) {
	status := map[string]int{}
	var mu sync.Mutex
	asked := map[string]int{}
	serve := func(id string) store.Member {
		status[id] = http.StatusNoContent
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "Replica s3cret", r.Header.Get("Authorization"))
			require.Equal(t, "me", r.Header.Get(cluster.Forwarded))
			mu.Lock()
			defer mu.Unlock()
			asked[id]++
			w.WriteHeader(status[id])
		}))
		t.Cleanup(s.Close)
		return store.Member{ID: id, URL: s.URL}
	}
	p := cluster.NewPeers("me", func() (string, error) { return "s3cret", nil })
	a, b := serve("a"), serve("b")
	everyone := func() error { return p.Everyone(t.Context(), http.MethodPost, "/x", []byte("body")) }
	require.NoError(t, everyone(), "nobody else lives")
	p.Set([]store.Member{a, {ID: "me", URL: "http://nowhere.invalid"}})
	require.NoError(t, everyone())
	require.Equal(t, 1, asked["a"])
	p.Set([]store.Member{a, b})
	status["b"] = http.StatusInsufficientStorage
	require.True(t, problem.Is(everyone(), problem.Unavailable))
	status["b"] = http.StatusUnauthorized
	require.Contains(t, problem.From(everyone()).Hint, "secret_file")
	b.Leaving = true
	p.Set([]store.Member{a, b})
	require.NoError(t, everyone(), "who leaves takes nothing any more")
	_, ok := p.Member("b")
	require.True(t, ok)
	require.Len(t, p.Others(), 2)
}

func FuzzReceived(f *testing.F) {
	f.Add(cluster.Received{Kind: "remote_write", Version: 1, At: time.Unix(1, 5).UTC(), Header: []byte("{}"), Body: []byte("body")}.Encode())
	f.Add([]byte{})
	f.Add([]byte{2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := cluster.DecodeReceived(raw)
		if err != nil {
			return
		}
		again, err := cluster.DecodeReceived(r.Encode())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
