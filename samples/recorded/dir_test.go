package recorded

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// bits is a sample that can be compared: a stale marker is not equal to itself.
type bits struct {
	T int64
	V uint64
}

// oddDirectory is a day with what a directory may hold: blocks, some merged, a head, samples
// out of order in blocks that overlap and in the head, deleted ones, stale markers, series
// that end and begin, and a block that is not there.
func oddDirectory(t testing.TB, late bool) string {
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.StripeSize, o.OutOfOrderTimeWindow = 16<<20, 1<<10, (24 * time.Hour).Milliseconds()
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	db.DisableCompactions()
	add := func(name string, from, to int, every time.Duration) {
		app := db.Appender(t.Context())
		for at := time.Duration(from) * time.Minute; at < time.Duration(to)*time.Minute; at += every {
			v := at.Seconds()
			if at%(50*time.Minute) == 0 {
				v = math.Float64frombits(value.StaleNaN)
			}
			_, err := app.Append(0, labels.FromStrings("__name__", name, "tenant", "acme"), noon.Add(at).UnixMilli(), v)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	hour := 60
	for h := range 24 { // a scrape after the other, or the head takes nothing older
		add("a", h*hour, (h+1)*hour, 15*time.Second)
		if h < 9 || h >= 15 {
			add("b", h*hour, (h+1)*hour, time.Minute)
		}
		if h == 5 {
			require.NoError(t, db.Compact(t.Context()))
		}
	}
	add("c", 3*hour+7, 3*hour+9, 20*time.Second) // out of order
	add("b", 8*hour+50, 10*hour, 50*time.Second)
	require.NoError(t, db.Compact(t.Context()))
	require.NoError(t, db.CompactOOOHead(t.Context()))
	require.NoError(t, db.Delete(t.Context(), noon.Add(100*time.Minute).UnixMilli(), noon.Add(130*time.Minute).UnixMilli(), labels.MustNewMatcher(labels.MatchEqual, "__name__", "a")))
	if late {
		add("c", 5*hour, 5*hour+30, time.Minute)
	}
	require.NoError(t, db.Close())
	return path
}

// stored is what Prometheus reads of a directory.
func stored(t testing.TB, path string) map[string][]bits {
	db, err := tsdb.OpenDBReadOnly(path, t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	return all(t, q, begins, ends)
}

func all(t testing.TB, q storage.Querier, from, to int64) map[string][]bits {
	out := map[string][]bits{}
	set := q.Select(t.Context(), true, &storage.SelectHints{Start: from, End: to}, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"))
	for set.Next() {
		name := set.At().Labels().Get("__name__")
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			at, v := it.At()
			out[name] = append(out[name], bits{at, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

// TestADirectoryIsReadAsPrometheusReadsIt, stretch by stretch and when it is queried.
func TestADirectoryIsReadAsPrometheusReadsIt(t *testing.T) {
	for name, late := range map[string]bool{"late samples in blocks": false, "late samples in the head": true} {
		t.Run(name, func(t *testing.T) {
			path := oddDirectory(t, late)
			want := stored(t, path)
			require.Len(t, want, 3)
			src, err := Open(path)
			require.NoError(t, err)
			defer func() { require.NoError(t, src.Close()) }()
			d := src.(*dir)
			require.Greater(t, len(d.blocks.list), 6)
			require.Equal(t, late, d.blocks.from < noon.Add(6*time.Hour).UnixMilli(), "only late samples have blocks read with the head")
			from, to, err := src.Span(t.Context())
			require.NoError(t, err)
			require.Equal(t, noon, from)
			require.Equal(t, noon.Add(24*time.Hour-15*time.Second), to)

			got := map[string][]bits{}
			require.NoError(t, src.Read(t.Context(), Query{From: from, To: to.Add(time.Millisecond)}, func(s Stretch) error {
				for at := s.From; at < s.To; at += 300_000 {
					for _, r := range s.Runs {
						xs, err := samplesOf(r, min(at+300_000, s.To), nil)
						require.NoError(t, err)
						for _, x := range xs {
							require.GreaterOrEqual(t, x.T, at)
							name := r.Series.Labels.Get("__name__")
							got[name] = append(got[name], bits{x.T, math.Float64bits(x.V)})
						}
					}
				}
				return nil
			}))
			require.Equal(t, want, got)
			for _, hours := range [][2]int{{0, 24}, {3, 4}, {20, 24}} {
				from, to := noon.Add(time.Duration(hours[0])*time.Hour).UnixMilli(), noon.Add(time.Duration(hours[1])*time.Hour).UnixMilli()
				q, err := d.Queryable().Querier(from, to)
				require.NoError(t, err)
				part := map[string][]bits{}
				for name, xs := range want {
					for _, x := range xs {
						if x.T >= from && x.T <= to {
							part[name] = append(part[name], x)
						}
					}
				}
				require.Equal(t, part, all(t, q, from, to))
				require.NoError(t, q.Close())
			}
		})
	}
}

// What came out of order and cannot be read must not be taken for nothing.
func TestLateSamplesThatCannotBeReadAreLookedForEverywhere(t *testing.T) {
	folder := t.TempDir()
	require.EqualValues(t, math.MaxInt64, oldestLate(filepath.Join(folder, "wbl")), "there is none")
	require.EqualValues(t, math.MaxInt64, oldestLate(folder), "it is empty")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "00000000"), []byte("no log at all, and long enough to be looked at"), 0o600))
	require.EqualValues(t, math.MinInt64, oldestLate(folder))
}

// TestReadingHoldsTwoHoursOfTheSeries: what is held of a directory does not grow with the
// time that it covers, and of what is read away nothing is kept.
func TestReadingHoldsTwoHoursOfTheSeries(t *testing.T) {
	const series, hours = 200, 30
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.StripeSize = 16<<20, 1<<10
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	var names []labels.Labels
	for i := range series {
		names = append(names, labels.FromStrings("__name__", "a", "tenant", "acme", "instance", fmt.Sprintf("gw-%03d", i)))
	}
	refs := make([]storage.SeriesRef, series)
	for s := 0; s < hours*3600; s += 30 {
		app := db.Appender(t.Context())
		for i := range names {
			refs[i], err = app.Append(refs[i], names[i], noon.Add(time.Duration(s)*time.Second).UnixMilli(), float64(s*i))
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, db.Compact(t.Context()))
	require.NoError(t, db.Close())
	src, err := Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most, stretches := held(), int64(0), 0
	var xs Columns
	require.NoError(t, src.Read(t.Context(), Query{From: noon, To: noon.Add(hours * time.Hour), Metrics: []string{"a"}}, func(s Stretch) error {
		require.Len(t, s.Runs, series)
		for at := s.From; at < s.To; at += 300_000 {
			for _, r := range s.Runs {
				xs.Reset()
				require.NoError(t, r.Before(at+300_000, &xs))
				require.Len(t, xs.T, 10)
			}
		}
		stretches++
		most = max(most, held()-before)
		return nil
	}))
	require.Equal(t, hours/2, stretches)
	t.Logf("%d bytes a series", most/series)
	require.Less(t, most/series, int64(2048), "bytes a series: the chunks of the whole time are more")
}
