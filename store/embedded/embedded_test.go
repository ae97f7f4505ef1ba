package embedded_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
	"github.com/tocsin-alerting/tocsin/store/storetest"
)

const childDir = "TOCSIN_TEST_STORE"

// TestMain lets the test binary be the other process that a test needs.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		commitForEver(dir)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, dir string, o embedded.Options) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformance(t *testing.T) {
	storetest.RunWith(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, t.TempDir(), embedded.Options{Now: clock})
	}, storetest.Options{Reopen: func(t *testing.T, clock func() time.Time, closed store.Store) store.Store {
		return open(t, closed.(*embedded.Store).Dir(), embedded.Options{Now: clock})
	}})
}

func TestANewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, dir, embedded.Options{}).Close())
	db, err := pebble.Open(filepath.Join(dir, "db"), &pebble.Options{})
	require.NoError(t, err)
	key := []byte("\x00format")
	mine, closer, err := db.Get(key)
	require.NoError(t, err)
	newer := append([]byte(nil), mine...)
	require.NoError(t, closer.Close())
	newer[0] += 2 // the version comes first, as a signed varint
	require.NoError(t, db.Set(key, newer, pebble.Sync))
	require.NoError(t, db.Close())

	_, err = embedded.Open(dir, embedded.Options{})
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.ErrorContains(t, err, "format 2")
	require.Contains(t, problem.From(err).Hint, "newer tocsin")
	require.False(t, problem.From(err).Retryable)
	_, err = embedded.Open(dir, embedded.Options{}) // and the folder was given back
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
}

func TestLowDiskRefusesOffersBeforeCommits(t *testing.T) {
	var free atomic.Uint64
	free.Store(1000)
	s := open(t, t.TempDir(), embedded.Options{MinFreeBytes: 400, MinFreeRatio: 0.1, FreeSpace: func() (uint64, uint64) { return free.Load(), 2000 }})
	l, err := s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	b := store.Batch{Puts: []store.Record{{Collection: "c", Key: "k", Value: []byte("v")}}}
	require.NoError(t, s.Offer(t.Context(), 1, store.Input{ID: "a"}))

	free.Store(399)
	err = s.Offer(t.Context(), 1, store.Input{ID: "b"})
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.True(t, problem.Is(err, problem.NoSpace))
	require.NotEmpty(t, problem.From(err).Hint)
	require.NoError(t, l.Commit(t.Context(), b), "what was accepted is still delivered")

	free.Store(99)
	b.Puts[0].Key = "not written"
	require.ErrorIs(t, l.Commit(t.Context(), b), store.ErrNoSpace)
	in, err := l.Inputs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, in, 1)

	free.Store(1000)
	require.NoError(t, s.Offer(t.Context(), 1, store.Input{ID: "b"}))
	_, ok, err := s.Record(t.Context(), 1, "c", "not written")
	require.NoError(t, err)
	require.False(t, ok)
}

// commitForEver commits to 8 partitions and prints what was acknowledged.
func commitForEver(dir string) {
	s, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for p := range store.Partition(8) {
		wg.Go(func() {
			l, err := s.Acquire(noContext{}, p)
			for n := 0; err == nil; n++ {
				in := store.Input{ID: fmt.Sprintf("%d/%d", p, n)}
				err = l.Commit(noContext{}, store.Batch{
					Puts:     []store.Record{{Collection: "count", Key: "n", Value: []byte(strconv.Itoa(n))}},
					Messages: []store.Message{{To: 200, Input: in}},
					Ledger:   []ledger.Entry{{Subject: "test", Reason: strconv.Itoa(n)}},
				})
				out.Lock()
				fmt.Println(p, n)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	os.Exit(1)
}

func TestAcknowledgedCommitsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	pipe, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	acked := map[string]int{}
	lines := bufio.NewScanner(pipe)
	for total := 0; total < 500 && lines.Scan(); total++ {
		p, n, ok := strings.Cut(lines.Text(), " ")
		require.True(t, ok, lines.Text())
		if p == "error" {
			require.Fail(t, lines.Text())
		}
		acked[p], err = strconv.Atoi(n)
		require.NoError(t, err)
		if total == 100 { // a second process is kept out, and told by whom
			_, err := embedded.Open(dir, embedded.Options{})
			require.True(t, problem.Is(err, problem.Conflict), "%v", err)
			require.ErrorContains(t, err, "process "+strconv.Itoa(child.Process.Pid))
			require.NotEmpty(t, problem.From(err).Hint)
		}
	}
	require.NoError(t, child.Process.Kill())
	_ = child.Wait() // killed

	s := open(t, dir, embedded.Options{})
	l, err := s.Acquire(t.Context(), 200)
	require.NoError(t, err)
	in, err := l.Inputs(t.Context(), 1<<20)
	require.NoError(t, err)
	sent := map[string]int{}
	for _, i := range in {
		p, _, _ := strings.Cut(i.ID, "/")
		sent[p]++
	}
	require.Len(t, acked, 8)
	for p, n := range acked {
		part, err := strconv.Atoi(p)
		require.NoError(t, err)
		r, ok, err := s.Record(t.Context(), store.Partition(part), "count", "n")
		require.NoError(t, err)
		require.True(t, ok)
		have, err := strconv.Atoi(string(r.Value))
		require.NoError(t, err)
		require.GreaterOrEqual(t, have, n)
		require.Equal(t, have+1, sent[p], "message and record are one")
		entries, err := s.Ledger(t.Context(), store.Partition(part), "", 0, 1<<20)
		require.NoError(t, err)
		require.Len(t, entries, have+1)
		_, err = ledger.Verify(ledger.Head{}, entries)
		require.NoError(t, err)
	}
}

func TestMetricsStartAtZero(t *testing.T) {
	r := prometheus.NewRegistry()
	open(t, t.TempDir(), embedded.Options{Registerer: r})
	families, err := r.Gather()
	require.NoError(t, err)
	names := map[string]int{}
	for _, f := range families {
		names[f.GetName()] = len(f.GetMetric())
	}
	require.Equal(t, map[string]int{"tocsin_store_commit_seconds": 1, "tocsin_store_offers_total": 2, "tocsin_store_refused_writes_total": 4}, names)
}

// noContext is a context for the child process, which has no test to ask.
type noContext struct{}

func (noContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (noContext) Done() <-chan struct{}       { return nil }
func (noContext) Err() error                  { return nil }
func (noContext) Value(any) any               { return nil }

func BenchmarkCommit(b *testing.B) {
	for _, owners := range []int{1, 64} {
		b.Run(fmt.Sprintf("partitions=%d", owners), func(b *testing.B) {
			s := open(b, b.TempDir(), embedded.Options{LeaseTime: time.Hour})
			value := make([]byte, 1024)
			for i := range value {
				value[i] = byte(i * 7919 >> 3)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for p := range owners {
				l, err := s.Acquire(b.Context(), store.Partition(p))
				require.NoError(b, err)
				wg.Go(func() {
					for n := 0; left.Add(-1) >= 0; n++ {
						r := store.Record{Collection: "c", Key: strconv.Itoa(n % 1000), Kind: "bench", Version: 1, Value: value}
						if err := l.Commit(b.Context(), store.Batch{Puts: []store.Record{r}}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkOfferAndConsume(b *testing.B) {
	s := open(b, b.TempDir(), embedded.Options{LeaseTime: time.Hour})
	l, err := s.Acquire(b.Context(), 1)
	require.NoError(b, err)
	payload := []byte(`{"text":"` + strings.Repeat("x", 1000) + `"}`)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := s.Offer(b.Context(), 1, store.Input{ID: strconv.FormatInt(n, 10), Payload: payload}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for got := 0; got < b.N; {
		in, err := l.Inputs(b.Context(), 0)
		require.NoError(b, err)
		if len(in) == 0 {
			<-l.Wake()
			continue
		}
		got += len(in)
		require.NoError(b, l.Commit(b.Context(), store.Batch{Consumed: in}))
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inputs/s")
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, embedded.Options{})
	for p := range store.Partition(64) {
		l, err := s.Acquire(b.Context(), p)
		require.NoError(b, err)
		var batch store.Batch
		for n := range 200 {
			batch.Puts = append(batch.Puts, store.Record{Collection: "c", Key: strconv.Itoa(n), Value: make([]byte, 1024)})
		}
		require.NoError(b, l.Commit(b.Context(), batch))
	}
	require.NoError(b, s.Close())
	b.ResetTimer()
	for b.Loop() {
		s, err := embedded.Open(dir, embedded.Options{})
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
}
