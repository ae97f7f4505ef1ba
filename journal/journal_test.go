package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

const childDir = "TOCSIN_TEST_JOURNAL"

// TestMain lets the test binary be the process that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

func at(sec int64) time.Time { return time.Unix(1_774_000_000+sec, 5).UTC() }

func record(body string) Record {
	return Record{Kind: "write", Version: 2, At: at(1), Header: []byte("h:" + body), Body: []byte(body)}
}

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
	j, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func add(t testing.TB, j *Journal, bodies ...string) (end Position) {
	t.Helper()
	for _, b := range bodies {
		p, err := j.Append(t.Context(), record(b), nil)
		require.NoError(t, err)
		require.True(t, end.Before(p))
		end = p
	}
	return end
}

func bodies(t testing.TB, j *Journal, from Position) []string {
	t.Helper()
	out := []string{}
	last := from
	require.NoError(t, j.Replay(t.Context(), from, func(p Position, r Record) error {
		require.True(t, last.Before(p))
		last = p
		require.Equal(t, record(string(r.Body)), r)
		out = append(out, string(r.Body))
		return nil
	}))
	return out
}

func TestAppendedIsReplayedAlsoAfterReopening(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	require.Empty(t, bodies(t, j, Position{}))
	a := add(t, j, "a")
	c := add(t, j, "", "c")
	require.Equal(t, c, j.End())
	require.Equal(t, []string{"a", "", "c"}, bodies(t, j, Position{}))
	require.Equal(t, []string{"", "c"}, bodies(t, j, a))
	require.Empty(t, bodies(t, j, c))
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	_, err := j.Append(t.Context(), record("x"), nil)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)

	j = open(t, dir, Options{})
	require.Equal(t, []string{"", "c"}, bodies(t, j, a))
	require.Empty(t, bodies(t, j, c), "an end noted before closing is still an end")
	add(t, j, "d")
	require.Equal(t, []string{"d"}, bodies(t, j, c))
	_, err = Open(dir, Options{})
	require.True(t, problem.Is(err, problem.Conflict), "%v", err)
}

func TestAMissingTimeIsFilledIn(t *testing.T) {
	j := open(t, t.TempDir(), Options{Now: func() time.Time { return at(7) }})
	_, err := j.Append(t.Context(), Record{Kind: "k"}, nil)
	require.NoError(t, err)
	require.NoError(t, j.Replay(t.Context(), Position{}, func(_ Position, r Record) error {
		require.Equal(t, at(7), r.At)
		return nil
	}))
}

func TestOneOrderForAppendOnCommitAndReplay(t *testing.T) {
	type seen struct {
		p      Position
		body   string
		attach any
	}
	var committed []seen // written by the commit goroutine alone
	var busy atomic.Bool
	dir := t.TempDir()
	j := open(t, dir, Options{SegmentBytes: 40_000, OnCommit: func(cs []Committed) {
		require.False(t, busy.Swap(true), "OnCommit runs twice at once")
		for _, c := range cs {
			committed = append(committed, seen{c.Position, string(c.Record.Body), c.Attach})
		}
		busy.Store(false)
	}})
	const writers, each = 16, 50
	returned := make([]map[string]Position, writers)
	var wg sync.WaitGroup
	for w := range writers {
		returned[w] = map[string]Position{}
		wg.Go(func() {
			body := make([]byte, 0, 600)
			for i := range each {
				body = fmt.Appendf(body[:0], "%d/%d %s", w, i, bytes.Repeat([]byte{'x'}, i*10))
				p, err := j.Append(t.Context(), record(string(body)), w*1000+i)
				if err != nil {
					t.Error(err)
					return
				}
				returned[w][string(body)] = p
			}
		})
	}
	wg.Wait()
	require.Len(t, committed, writers*each)
	require.True(t, slices.IsSortedFunc(committed, func(a, b seen) int {
		if a.p.Before(b.p) {
			return -1
		}
		return 1
	}))
	for _, c := range committed {
		var w, i int
		_, err := fmt.Sscanf(c.body, "%d/%d", &w, &i)
		require.NoError(t, err)
		require.Equal(t, c.p, returned[w][c.body])
		require.Equal(t, w*1000+i, c.attach)
	}
	require.Greater(t, j.End().Segment, uint64(3), "the records fill several segments")
	check := func(from int) {
		i := from
		start := Position{}
		if from > 0 {
			start = committed[from-1].p
		}
		require.NoError(t, j.Replay(t.Context(), start, func(p Position, r Record) error {
			require.Equal(t, committed[i].p, p)
			require.Equal(t, committed[i].body, string(r.Body))
			i++
			return nil
		}))
		require.Equal(t, len(committed), i)
	}
	check(0)
	check(1)
	check(500)
	size := j.Size()
	require.NoError(t, j.Close())
	j = open(t, dir, Options{})
	require.Equal(t, size+frameHead+1, j.Size()) // and the mark of a clean end
	check(0)
	check(799)
	check(800)
}

func TestOnCommitComesBeforeAppendReturns(t *testing.T) {
	var done atomic.Int64
	j := open(t, t.TempDir(), Options{OnCommit: func(cs []Committed) { done.Add(int64(len(cs))) }})
	for i := range int64(50) {
		add(t, j, "x")
		require.Equal(t, i+1, done.Load())
	}
}

func TestReplayEndsWithItsCallersError(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	add(t, j, "a", "b")
	enough := errors.New("enough")
	n := 0
	require.ErrorIs(t, j.Replay(t.Context(), Position{}, func(Position, Record) error { n++; return enough }), enough)
	require.Equal(t, 1, n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, j.Replay(ctx, Position{}, func(Position, Record) error { return nil }), context.Canceled)
	_, err := j.Append(ctx, record("c"), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"a", "b"}, bodies(t, j, Position{}))
}

func TestBoundAndTrim(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentBytes: 2_000, MaxBytes: 20_000}
	j := open(t, dir, o)
	body := string(bytes.Repeat([]byte{'b'}, 400))
	var ends []Position
	var err error
	for n := 0; n < 100; n++ {
		var p Position
		if p, err = j.Append(t.Context(), record(body), nil); err != nil {
			break
		}
		ends = append(ends, p)
	}
	require.True(t, problem.Is(err, problem.TooMany), "%v", err)
	require.Positive(t, problem.From(err).RetryAfter)
	require.LessOrEqual(t, j.Size(), int64(20_000))
	require.Equal(t, float64(1), testutil.ToFloat64(j.metrics.refused.WithLabelValues("full")))

	mid := ends[len(ends)/2]
	// A Replay under way keeps what it still has to read.
	rest := 0
	require.NoError(t, j.Replay(t.Context(), Position{}, func(Position, Record) error {
		if rest == 0 {
			require.NoError(t, j.Trim(mid))
		}
		rest++
		return nil
	}))
	require.Len(t, ends, rest)

	require.NoError(t, j.Trim(mid))
	require.Less(t, j.Size(), int64(14_000))
	require.Len(t, bodies(t, j, mid), len(ends)-len(ends)/2-1)
	err = j.Replay(t.Context(), ends[0], func(Position, Record) error { return nil })
	require.True(t, problem.Is(err, problem.NotFound), "%v", err)
	add(t, j, body)

	require.NoError(t, j.Trim(j.End()))
	require.NoError(t, j.Trim(Position{Segment: 1 << 40}))
	require.Less(t, j.Size(), int64(3_000))
	end := j.End()
	require.NoError(t, j.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	j = open(t, dir, o)
	require.Empty(t, bodies(t, j, end))
	err = j.Replay(t.Context(), Position{Segment: end.Segment + 1}, func(Position, Record) error { return nil })
	require.True(t, problem.Is(err, problem.Conflict), "%v", err)
	require.True(t, end.Before(add(t, j, "x")), "numbers are never used again")
}

func TestASmallBoundStillLeavesRoomAfterTrimming(t *testing.T) {
	j := open(t, t.TempDir(), Options{MaxBytes: 8_000})
	body := string(bytes.Repeat([]byte{'b'}, 300))
	for range 200 {
		add(t, j, body)
		require.NoError(t, j.Trim(j.End()))
	}
}

func TestLowDiskRefusesAppends(t *testing.T) {
	var free atomic.Uint64
	j := open(t, t.TempDir(), Options{MinFreeBytes: 100, MinFreeRatio: 0.01, FreeSpace: func() (uint64, uint64) { return free.Load(), 1000 }})
	free.Store(99)
	_, err := j.Append(t.Context(), record("a"), nil)
	require.True(t, problem.Is(err, problem.NoSpace), "%v", err)
	require.NotEmpty(t, problem.From(err).Hint)
	free.Store(100)
	add(t, j, "b")
	require.Equal(t, []string{"b"}, bodies(t, j, Position{}))
}

func TestAnOversizedRecordIsRefused(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	_, err := j.Append(t.Context(), Record{Body: make([]byte, MaxRecordBytes+1)}, nil)
	require.True(t, problem.Is(err, problem.TooLarge), "%v", err)
	require.Equal(t, int64(segmentHead), j.Size())
}

func TestPositionsSortAsText(t *testing.T) {
	ps := []Position{{}, {0, 9}, {1, 0}, {1, 10}, {1, 1 << 40}, {2, 0}, {10, 3}, {1 << 63, 1<<63 - 1}}
	for i, p := range ps {
		text, err := p.MarshalText()
		require.NoError(t, err)
		var back Position
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, p, back)
		for k, q := range ps {
			require.Equal(t, i < k, p.Before(q))
			require.Equal(t, i < k, p.String() < q.String())
		}
	}
	for _, bad := range []string{"", "1-2", "000000000000000A-0000000000000000", "0000000000000001-8000000000000000",
		"0000000000000001:0000000000000000", "000000000000000g-0000000000000000", "0000000000000001-000000000000000000"} {
		p := Position{Segment: 3}
		require.True(t, problem.Is(p.UnmarshalText([]byte(bad)), problem.Malformed), bad)
		require.Equal(t, Position{Segment: 3}, p)
	}
}

// appendForEver appends from 8 goroutines and prints what was acknowledged.
func appendForEver(dir string) {
	j, err := Open(dir, Options{SegmentBytes: 100_000})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var n atomic.Int64
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				body := strconv.FormatInt(n.Add(1), 10)
				p, err := j.Append(context.Background(), record(body+string(make([]byte, 1000))), nil)
				out.Lock()
				fmt.Println(p, body, err)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		pipe, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		acked := map[string]string{}
		lines := bufio.NewScanner(pipe)
		for len(acked) < 300 && lines.Scan() {
			var p, body, errText string
			_, err := fmt.Sscan(lines.Text(), &p, &body, &errText)
			require.NoError(t, err, lines.Text())
			require.Equal(t, "<nil>", errText, lines.Text())
			acked[p] = body
		}
		require.NoError(t, child.Process.Kill())
		_ = child.Wait() // killed
		require.Len(t, acked, 300)

		j := open(t, dir, Options{SegmentBytes: 100_000})
		found := 0
		require.NoError(t, j.Replay(t.Context(), Position{}, func(p Position, r Record) error {
			if body, ok := acked[p.String()]; ok {
				require.Equal(t, body, string(bytes.TrimRight(r.Body, "\x00")))
				found++
			}
			return nil
		}))
		require.Equal(t, 300, found, "round %d", round)
		require.NoError(t, j.Close())
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("writers=16/bytes=%d", size), func(b *testing.B) {
			j := open(b, b.TempDir(), Options{})
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(i * 7919 >> 3)
			}
			b.SetBytes(int64(size))
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 16 {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						p, err := j.Append(b.Context(), Record{Kind: "write", Version: 1, Body: body}, nil)
						if err == nil {
							err = j.Trim(p)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
