package recorded

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world is five hours of three series: one every 15 s, one every minute with an
// hour's gap, one that nobody asks for.
func world() map[string][]Sample {
	out := map[string][]Sample{}
	src := rand.New(rand.NewPCG(1, 2))
	for s := range 5 * 3600 {
		at := noon.Add(time.Duration(s) * time.Second).UnixMilli()
		if s%15 == 3 {
			out["a"] = append(out["a"], Sample{at, float64(src.IntN(1000))})
		}
		if s%60 == 7 && (s < 3600 || s > 7200) {
			out["b"] = append(out["b"], Sample{at, float64(s)})
		}
		if s%60 == 0 {
			out["c"] = append(out["c"], Sample{at, 1})
		}
	}
	return out
}

func dataDir(t testing.TB, series map[string][]Sample) string {
	t.Helper()
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.StripeSize = 16<<20, 1<<10
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	type point struct {
		name string
		Sample
	}
	var all []point
	for name, xs := range series {
		for _, x := range xs {
			all = append(all, point{name, x})
		}
	}
	slices.SortFunc(all, func(a, b point) int { return int(a.T - b.T) })
	for chunk := range slices.Chunk(all, 1000) {
		app := db.Appender(t.Context())
		for _, p := range chunk {
			_, err := app.Append(0, labels.FromStrings("__name__", p.name, "tenant", "acme"), p.T, p.V)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, db.Compact(t.Context()))
	require.NoError(t, db.Close())
	return path
}

func textFile(t testing.TB, series map[string][]Sample) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"c", "b", "a"} {
		fmt.Fprintf(&b, "# TYPE %s gauge\n", name)
		for _, x := range series[name] {
			fmt.Fprintf(&b, "%s{tenant=\"acme\"} %g %.3f\n", name, x.V, float64(x.T)/1000)
		}
	}
	b.WriteString("# EOF\n")
	path := filepath.Join(t.TempDir(), "recorded.om")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// prometheus answers range selectors over the series, as the query API does.
func prometheus(t testing.TB, series map[string][]Sample) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !assertNoError(t, r.ParseForm()) {
			return
		}
		query := r.Form.Get("query")
		var length int64
		i := strings.LastIndex(query, "[")
		if i < 0 {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
			return
		}
		_, err := fmt.Sscanf(query[i:], "[%dms]", &length)
		at, err2 := time.Parse(time.RFC3339Nano, r.Form.Get("time"))
		if err2 != nil {
			var sec float64
			_, err2 = fmt.Sscanf(r.Form.Get("time"), "%g", &sec)
			at = time.UnixMilli(int64(sec*1000 + 0.5))
		}
		if !assertNoError(t, err) || !assertNoError(t, err2) {
			return
		}
		type row struct {
			Metric map[string]string `json:"metric"`
			Values [][2]any          `json:"values"`
		}
		rows := []row{}
		for _, name := range []string{"a", "b", "c"} {
			if !strings.Contains(query[:i], `"`+name) && !strings.Contains(query[:i], "|"+name) {
				continue
			}
			x := row{Metric: map[string]string{"__name__": name, "tenant": "acme"}}
			for _, s := range series[name] {
				if s.T > at.UnixMilli()-length && s.T <= at.UnixMilli() {
					x.Values = append(x.Values, [2]any{float64(s.T) / 1000, fmt.Sprint(s.V)})
				}
			}
			if len(x.Values) > 0 {
				rows = append(rows, x)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		assertNoError(t, json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": rows}}))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func assertNoError(t testing.TB, err error) bool {
	if err != nil {
		t.Errorf("%v", err)
	}
	return err == nil
}

// book keeps what it is given, and that time went forward.
type book struct {
	t      testing.TB
	until  int64
	got    map[string][]Sample
	series map[*Series]string
}

func newBook(t testing.TB) *book {
	return &book{t: t, got: map[string][]Sample{}, series: map[*Series]string{}}
}

// take reads a stretch a little at a time.
func (b *book) take(s Stretch) error {
	require.Less(b.t, s.From, s.To)
	require.True(b.t, b.until == 0 || b.until == s.From)
	for at := s.From; at < s.To; at += 7 * 60_000 {
		end := min(at+7*60_000, s.To)
		for _, r := range s.Runs {
			name := r.Series.Labels.Get(labels.MetricName)
			require.Equal(b.t, "acme", r.Series.Labels.Get("tenant"))
			before := len(b.got[name])
			got, err := samplesOf(r, end, b.got[name])
			require.NoError(b.t, err)
			for _, x := range got[before:] {
				require.Less(b.t, x.T, end)
				require.GreaterOrEqual(b.t, x.T, at)
			}
			if len(got) > 0 {
				b.got[name], b.series[r.Series] = got, name
			}
		}
	}
	b.until = s.To
	return nil
}

func TestEverySourceGivesTheSameInTheOrderOfTime(t *testing.T) {
	series := world()
	for name, path := range map[string]string{"directory": dataDir(t, series), "text": textFile(t, series), "remote": prometheus(t, series)} {
		t.Run(name, func(t *testing.T) {
			src, err := Open(path)
			require.NoError(t, err)
			defer func() { require.NoError(t, src.Close()) }()
			if name != "remote" {
				from, to, err := src.Span(t.Context())
				require.NoError(t, err)
				require.Equal(t, noon, from)
				require.Equal(t, series["a"][len(series["a"])-1].T, to.UnixMilli(), "%s", to)
			}
			from, to := noon.Add(90*time.Second), noon.Add(4*time.Hour+33*time.Minute)
			b := newBook(t)
			require.NoError(t, src.Read(t.Context(), Query{From: from, To: to, Metrics: []string{"b", "a", "a"}}, b.take))
			want := map[string][]Sample{}
			for _, m := range []string{"a", "b"} {
				for _, x := range series[m] {
					if x.T >= from.UnixMilli() && x.T < to.UnixMilli() {
						want[m] = append(want[m], x)
					}
				}
			}
			require.Equal(t, want, b.got)
			require.Len(t, b.series, 2, "a series is one value in all stretches")
			require.Equal(t, to.UnixMilli(), b.until)
		})
	}
}

// Names that a native histogram may answer to are read another way than others.
func TestADirectoryIsReadByPlainAndClassicNames(t *testing.T) {
	series := world()
	series["b_count"] = series["b"]
	src, err := Open(dataDir(t, series))
	require.NoError(t, err)
	b := newBook(t)
	require.NoError(t, src.Read(t.Context(), Query{From: noon, To: noon.Add(6 * time.Hour), Metrics: []string{"a", "b_count"}}, b.take))
	require.Equal(t, map[string][]Sample{"a": series["a"], "b_count": series["b"]}, b.got)
	require.NoError(t, src.Close())
}

func TestWhatCannotBeReadSaysWhatToDo(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "x.om")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, path := range map[string]string{
		"nothing there":  filepath.Join(t.TempDir(), "nowhere"),
		"empty folder":   t.TempDir(),
		"empty file":     write("# EOF\n"),
		"no text":        write("\x00\x01\x02"),
		"without a time": write("# TYPE a gauge\na 1\n# EOF\n"),
	} {
		src, err := Open(path)
		require.Error(t, err, name)
		require.Nil(t, src, name)
	}
	src, err := Open("http://127.0.0.1:1")
	require.NoError(t, err)
	_, _, err = src.Span(t.Context())
	require.ErrorContains(t, err, "does not answer")
}

func TestReadingEndsWithItsContext(t *testing.T) {
	src, err := Open(textFile(t, world()))
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := newBook(t)
	require.ErrorIs(t, src.Read(ctx, Query{From: noon, To: noon.Add(time.Hour)}, b.take), context.Canceled)
}

// samplesOf appends what a run holds before end.
func samplesOf(r *Run, end int64, to []Sample) ([]Sample, error) {
	var c Columns
	err := r.Before(end, &c)
	for i, t := range c.T {
		to = append(to, Sample{t, c.V[i]})
	}
	return to, err
}

// reader keeps what it is handed, by name and edge.
type reader map[string][]Sample

func (r reader) take(s Stretch) (err error) {
	for _, x := range s.Runs {
		key := x.Series.Labels.Get("__name__") + x.Series.Labels.Get("le")
		if r[key], err = samplesOf(x, s.To, r[key]); err != nil {
			return err
		}
	}
	return nil
}

// TestNativeHistogramsAreReadByTheirClassicNames: what rules count live they
// count in what was recorded.
func TestNativeHistogramsAreReadByTheirClassicNames(t *testing.T) {
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.StripeSize = 16<<20, 1<<10
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	app := db.Appender(t.Context())
	for i := range int64(4) {
		h := &histogram.Histogram{Schema: 0, Count: uint64(3 * i), Sum: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{i, i}}
		_, err := app.AppendHistogram(0, labels.FromStrings("__name__", "took_seconds", "tenant", "acme"), noon.UnixMilli()+15_000*i, h, nil)
		require.NoError(t, err)
		_, err = app.Append(0, labels.FromStrings("__name__", "plain_count", "tenant", "acme"), noon.UnixMilli()+15_000*i, float64(i))
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	require.NoError(t, db.Close())
	src, err := Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	got := reader{}
	require.NoError(t, src.Read(t.Context(), Query{From: noon, To: noon.Add(time.Minute), Metrics: []string{"took_seconds_bucket", "plain_count", "other"}}, got.take))
	at := func(v ...float64) (out []Sample) {
		for i, x := range v {
			out = append(out, Sample{noon.UnixMilli() + 15_000*int64(i), x})
		}
		return out
	}
	require.Len(t, got, 20)
	require.Equal(t, at(0, 1, 2, 3), got["took_seconds_bucket1.0"])
	require.Equal(t, at(0, 3, 6, 9), got["took_seconds_bucket2.0"])
	require.Equal(t, at(0, 1, 2, 3), got["plain_count"])
}
