package history

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: t.TempDir(), Small: true, Now: func() time.Time { return noon }, Registerer: prometheus.NewRegistry()}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// one is a batch of one series; the values are step apart, the last at at.
func one(id tenant.ID, name string, at time.Time, step time.Duration, values ...float64) *samples.Batch {
	s := samples.Series{Tenant: id, Labels: labels.FromStrings("__name__", name, "environment", "production", "tenant", string(id))}
	for i, v := range values {
		s.Samples = append(s.Samples, samples.Sample{T: at.Add(-step * time.Duration(len(values)-1-i)).UnixMilli(), V: v})
	}
	return &samples.Batch{ReceivedAt: at, Series: []samples.Series{s}, Samples: len(s.Samples)}
}

func put(t testing.TB, s *Store, bs ...*samples.Batch) {
	t.Helper()
	for _, b := range bs {
		require.NoError(t, s.Append(t.Context(), b, b.ReceivedAt))
	}
	require.NoError(t, s.Flush(t.Context()))
}

func everything() query.Fence { return query.Fence{Any: true} }

// points is every sample of the one series the selector finds in the last 10 days
// until noon and a day more, as text.
func points(t testing.TB, s *Store, f query.Fence, selector string) []string {
	t.Helper()
	q := query.New(s.Queryable(), query.Options{})
	res, err := q.Instant(t.Context(), f, query.Ask{Query: selector + "[20d]"}, noon.Add(2*24*time.Hour))
	require.NoError(t, err)
	out := []string{}
	for _, series := range res.Value.(promql.Matrix) {
		for _, p := range series.Floats {
			out = append(out, fmt.Sprintf("%s %s=%v", time.UnixMilli(p.T).UTC().Sub(noon), series.Metric.Get("tenant"), p.F))
		}
	}
	return out
}

func dropped(s *Store, reason string) float64 {
	return testutil.ToFloat64(s.metrics.dropped.WithLabelValues(reason))
}

func TestOneTenantsClockDoesNotCloseTheHistoryToOthers(t *testing.T) {
	s := open(t)
	put(t, s, one("ahead", "m", noon.Add(24*time.Hour), time.Second, 1))
	put(t, s, one("acme", "m", noon, time.Second, 2), one("bolt", "m", noon.Add(-3*time.Hour), time.Second, 3))
	put(t, s, one("late", "m", noon.Add(-15*24*time.Hour+time.Minute), time.Second, 4)) // the retention counts from now, not from the tenant ahead
	require.Equal(t, []string{"0s acme=2"}, points(t, s, everything(), `m{tenant="acme"}`))
	require.Equal(t, []string{"-3h0m0s bolt=3"}, points(t, s, everything(), `m{tenant="bolt"}`))
	require.Equal(t, []string{"-359h59m0s late=4"}, points(t, s, everything(), `m{tenant="late"}`))
	require.Empty(t, points(t, s, everything(), `m{tenant="ahead"}`))
	require.Equal(t, 1.0, dropped(s, dropAhead))
	require.Equal(t, 3.0, testutil.ToFloat64(s.metrics.written))
}

func TestHistoryAfterLiveDataIsAccepted(t *testing.T) {
	s := open(t)
	live := []float64{10, 11, 12}
	put(t, s, one("acme", "m", noon, time.Minute, live...), one("bolt", "m", noon, time.Minute, live...))
	// 48 h of a tenant that has none yet, and of one that is live, hours apart, in
	// several batches and newest first.
	for _, h := range []int{1, 24, 47, 48, 2} {
		at := noon.Add(-time.Duration(h) * time.Hour)
		put(t, s, one("new", "m", at, time.Minute, float64(h)), one("acme", "m", at, time.Minute, float64(h)))
	}
	past := []string{"-48h0m0s X=48", "-47h0m0s X=47", "-24h0m0s X=24", "-2h0m0s X=2", "-1h0m0s X=1"}
	named := func(id string) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(past, "\n"), "X", id), "\n")
	}
	require.Equal(t, named("new"), points(t, s, everything(), `m{tenant="new"}`))
	require.Equal(t, append(named("acme"), "-2m0s acme=10", "-1m0s acme=11", "0s acme=12"), points(t, s, everything(), `m{tenant="acme"}`))
	require.Equal(t, 16.0, testutil.ToFloat64(s.metrics.written))
	for _, r := range []string{dropTooOld, dropOutOfOrder, dropDuplicate, dropConflict, dropFailed} {
		require.Zero(t, dropped(s, r), r)
	}
	require.NotZero(t, testutil.ToFloat64(s.metrics.late))
}

func TestWhatIsDroppedIsCounted(t *testing.T) {
	s := open(t)
	put(t, s, one("acme", "m", noon, time.Minute, 1, 2, 3))
	put(t, s, one("acme", "m", noon, time.Minute, 3))                       // sent twice
	put(t, s, one("acme", "m", noon, time.Minute, 4))                       // another value for the same time
	put(t, s, one("acme", "m", noon.Add(-time.Hour), time.Minute, 5))       // late, kept
	put(t, s, one("acme", "m", noon.Add(-time.Hour), time.Minute, 5))       // late and sent twice: the TSDB is silent
	put(t, s, one("acme", "m", noon.Add(-16*24*time.Hour), time.Minute, 6)) // older than the retention
	require.Equal(t, []string{"-1h0m0s acme=5", "-2m0s acme=1", "-1m0s acme=2", "0s acme=3"}, points(t, s, everything(), "m"))
	require.Equal(t, 4.0, testutil.ToFloat64(s.metrics.written))
	require.Equal(t, 2.0, dropped(s, dropDuplicate))
	require.Equal(t, 1.0, dropped(s, dropConflict))
	require.Equal(t, 1.0, dropped(s, dropTooOld))
}

// The clock may move on while the TSDB's head does not: what only the TSDB refuses
// has to show in our counters too.
func TestTheTSDBsOwnDropsAreReported(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Now = func() time.Time { return now } })
	put(t, s, one("acme", "m", noon, time.Minute, 1))
	now = noon.Add(-24 * time.Hour) // a clock set back: our own check lets it through
	put(t, s, one("bolt", "m", noon.Add(-16*24*time.Hour+time.Minute), time.Minute, 1))
	require.Equal(t, 1.0, dropped(s, dropTooOld))
	require.Equal(t, 1.0, testutil.ToFloat64(s.metrics.written))
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Small: true, Now: func() time.Time { return noon }}
	s, err := Open(o)
	require.NoError(t, err)
	require.Nil(t, s.Written())
	put(t, s, one("acme", "m", noon.Add(-time.Minute), time.Minute, 1, 2))
	require.NoError(t, s.Append(t.Context(), one("acme", "m", noon, time.Minute, 3), "the last"))
	require.NoError(t, s.Close()) // writes what is queued
	require.Equal(t, "the last", s.Written())
	require.NoError(t, s.Close())
	require.True(t, problem.Is(s.Append(t.Context(), one("acme", "m", noon, time.Minute, 3), nil), problem.Unavailable))
	require.True(t, problem.Is(s.Flush(t.Context()), problem.Unavailable))

	s, err = Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	// Written again from before the end, as after a crash: nothing doubles.
	put(t, s, one("acme", "m", noon.Add(-time.Minute), time.Minute, 1, 2), one("acme", "m", noon, time.Minute, 3), one("acme", "m", noon.Add(time.Minute), time.Minute, 4))
	require.Equal(t, []string{"-2m0s acme=1", "-1m0s acme=2", "0s acme=3", "1m0s acme=4"}, points(t, s, everything(), "m"))
}

func TestQueueIsBounded(t *testing.T) {
	gate := make(chan struct{})
	calls := 0
	s := open(t, func(o *Options) {
		o.Queue = 10
		o.Now = func() time.Time { // holds the writer in its first commit
			if calls++; calls == 1 {
				<-gate
			}
			return noon
		}
	})
	eight := one("acme", "m", noon.Add(-time.Hour), time.Second, 1, 2, 3, 4, 5, 6, 7, 8)
	require.NoError(t, s.Append(t.Context(), eight, nil))
	require.NoError(t, s.Append(t.Context(), one("acme", "m", noon, time.Second, 1, 2), nil))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.True(t, problem.Is(s.Append(ended, one("bolt", "m", noon, time.Second, 1), nil), problem.TooMany))
	require.Equal(t, 1.0, dropped(s, dropQueue))
	waits := make(chan error)
	go func() { waits <- s.Append(context.Background(), one("coyote", "m", noon, time.Second, 7), nil) }()
	close(gate)
	require.NoError(t, <-waits)
	require.NoError(t, s.Flush(t.Context()))
	require.Len(t, points(t, s, everything(), `m{tenant="acme"}`), 10)
	require.Empty(t, points(t, s, everything(), `m{tenant="bolt"}`))
	require.Len(t, points(t, s, everything(), `m{tenant="coyote"}`), 1)
}

func TestStaleMarkersEndASeries(t *testing.T) {
	s := open(t)
	put(t, s, one("acme", "m", noon, 15*time.Second, 1, 2, math.Float64frombits(value.StaleNaN)))
	q := query.New(s.Queryable(), query.Options{})
	for at, n := range map[time.Time]int{noon.Add(-time.Second): 1, noon: 0, noon.Add(time.Second): 0} {
		res, err := q.Instant(t.Context(), everything(), query.Ask{Query: "m"}, at)
		require.NoError(t, err)
		require.Len(t, res.Value, n)
	}
}

func TestSameLabelsUnderSeveralIDsAreOneSeries(t *testing.T) {
	s := open(t)
	a, b := one("acme", "m", noon, time.Minute, 1), one("acme", "m", noon, time.Minute, 1)
	a.Series[0].ID, b.Series[0].ID = 7, 8
	put(t, s, a, b)
	require.Equal(t, 1.0, dropped(s, dropDuplicate))
	require.Equal(t, 1.0, testutil.ToFloat64(s.metrics.written))
}

func TestSeriesTableForgets(t *testing.T) {
	var tab seriesTable
	tab.init()
	ls := labels.FromStrings("a", "b")
	tab.find(3, ls).seen = noon
	tab.sweep(noon.Add(keepSeries))
	require.Len(t, tab.byHash, 1)
	tab.sweep(noon.Add(2 * keepSeries))
	require.Empty(t, tab.byHash)
	require.Empty(t, tab.byID)
}

// BenchmarkAppend is the writer's cost of 24,000 series, one sample each.
func BenchmarkAppend(b *testing.B) {
	now := noon
	s := open(b, func(o *Options) {
		o.Now = func() time.Time { return now.Add(1000 * time.Hour) }
		o.Retention = 2000 * time.Hour
	})
	batch := &samples.Batch{Samples: 24_000}
	for i := range 24_000 {
		batch.Series = append(batch.Series, samples.Series{ID: uint64(i + 1), Labels: labels.FromStrings("__name__", "m", "i", time.Duration(i).String()), Samples: make([]samples.Sample, 1)})
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(15 * time.Second)
		for i := range batch.Series {
			batch.Series[i].Samples[0] = samples.Sample{T: now.UnixMilli(), V: float64(n)}
		}
		n++
		put(b, s, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/24_000, "ns/sample")
}
