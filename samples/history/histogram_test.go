package history

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// grown is a native histogram of schema 1 after n rounds: in each, three took
// (0.5, 0.707] and one (1, 1.414].
func grown(n int64) *histogram.Histogram {
	return &histogram.Histogram{Schema: 1, Count: uint64(4 * n), Sum: float64(n) * 3, PositiveSpans: []histogram.Span{{Offset: -1, Length: 1}, {Offset: 1, Length: 1}}, PositiveBuckets: []int64{3 * n, -2 * n}}
}

// natives is a batch of one native series, 15 s apart, the last at noon.
func natives(id tenant.ID, name string, hs ...samples.Histogram) *samples.Batch {
	s := samples.Series{Tenant: id, Labels: labels.FromStrings("__name__", name, "environment", "production", "tenant", string(id))}
	for i, h := range hs {
		h.T = noon.Add(-15 * time.Second * time.Duration(len(hs)-1-i)).UnixMilli()
		s.Histograms = append(s.Histograms, h)
	}
	return &samples.Batch{ReceivedAt: noon, Series: []samples.Series{s}, Histograms: len(hs)}
}

func ints(n int64) samples.Histogram   { return samples.Histogram{Int: grown(n)} }
func floats(n int64) samples.Histogram { return samples.Histogram{Float: grown(n).ToFloat(nil)} }

// vector is the values of an instant query by le.
func vector(t testing.TB, s *Store, f query.Fence, expr string) map[string]float64 {
	t.Helper()
	q := query.New(s.Queryable(), query.Options{})
	res, err := q.Instant(t.Context(), f, query.Ask{Query: expr}, noon)
	require.NoError(t, err)
	out := map[string]float64{}
	for _, x := range res.Value.(promql.Vector) {
		key := x.Metric.Get("tenant") + " " + x.Metric.Get("le")
		require.NotContains(t, out, key)
		out[key] = x.F
	}
	return out
}

func TestNativeHistogramsAreStoredAndAnswerToTheirClassicNames(t *testing.T) {
	s := open(t)
	derived := one("acme", "h_seconds_bucket", noon, time.Second, 1)
	derived.Series[0].Derived = true
	put(t, s, natives("acme", "h_seconds", ints(1), ints(2), ints(3)), natives("bolt", "h_seconds", floats(1), floats(2)), derived,
		one("coyote", "h_seconds_count", noon, 15*time.Second, 7, 8))
	all := everything()
	require.Equal(t, map[string]float64{"acme ": 12, "bolt ": 8}, vector(t, s, all, "histogram_count(h_seconds)"), "stored as they came")
	require.Equal(t, map[string]float64{"acme ": 12, "bolt ": 8, "coyote ": 8}, vector(t, s, all, "h_seconds_count"), "beside what is stored under the classic name")
	require.Equal(t, map[string]float64{"acme ": 9, "bolt ": 6}, vector(t, s, all, "h_seconds_sum"))
	require.Equal(t, map[string]float64{"acme 1.0": 9, "acme 2.0": 12, "acme +Inf": 12}, vector(t, s, all, `h_seconds_bucket{tenant="acme",le=~"1.0|2.0|[+]Inf"}`))
	require.Len(t, vector(t, s, all, "h_seconds_bucket"), 2*19)
	require.Equal(t, map[string]float64{"bolt 1.0": 6}, vector(t, s, query.Fence{Tenants: []tenant.ID{"bolt"}}, `h_seconds_bucket{le="1.0"}`), "behind the fence as everything")
	require.Empty(t, vector(t, s, query.Fence{Tenants: []tenant.ID{"bolt"}}, `h_seconds_bucket{tenant="acme"}`))
	require.Equal(t, map[string]float64{"acme 1.0": 6}, vector(t, s, all, `increase(h_seconds_bucket{tenant="acme",le="1.0"}[45s] anchored)`), "what a rule's PromQL counts")
	require.Empty(t, vector(t, s, all, `h_seconds_bucket{le="3"}`))
	require.Equal(t, 7.0, testutil.ToFloat64(s.metrics.written))
	for _, reason := range []string{dropDuplicate, dropConflict, dropFailed, dropOutOfOrder, dropAhead} {
		require.Zero(t, dropped(s, reason), reason)
	}
}

func TestHistogramsTwiceAheadAndEnded(t *testing.T) {
	s := open(t)
	end := samples.Histogram{Int: &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}}
	put(t, s, natives("acme", "h", ints(1)))
	put(t, s, natives("acme", "h", ints(1))) // again
	put(t, s, natives("acme", "h", ints(2))) // another value of that time
	ahead := natives("acme", "h", ints(3))
	ahead.Series[0].Histograms[0].T += time.Hour.Milliseconds()
	put(t, s, ahead)
	put(t, s, natives("bolt", "h", ints(1), end))
	late := natives("acme", "h", ints(0))
	late.Series[0].Histograms[0].T -= time.Minute.Milliseconds()
	put(t, s, late)
	require.Equal(t, map[string]float64{"acme ": 2}, vector(t, s, everything(), `count_over_time(h{tenant="acme"}[5m])`), "what is late is kept all the same")
	require.Equal(t, 1.0, testutil.ToFloat64(s.metrics.late))
	require.Equal(t, 1.0, dropped(s, dropDuplicate))
	require.Equal(t, 1.0, dropped(s, dropConflict))
	require.Equal(t, 1.0, dropped(s, dropAhead))
	require.Equal(t, map[string]float64{"acme ": 4}, vector(t, s, everything(), "histogram_count(h)"), "bolt's has ended")
	require.Equal(t, map[string]float64{"acme ": 4}, vector(t, s, everything(), "h_count"))
}

func TestExemplarsLeadToTraces(t *testing.T) {
	s := open(t)
	example := func(trace string, v float64, ago time.Duration) exemplar.Exemplar {
		return exemplar.Exemplar{Labels: labels.FromStrings("trace_id", trace), Value: v, Ts: noon.Add(-ago).UnixMilli(), HasTs: true}
	}
	for _, id := range []tenant.ID{"acme", "bolt"} {
		b := natives(id, "h_seconds", ints(1))
		b.Series[0].Exemplars = []exemplar.Exemplar{example(string(id)+"-1", 0.6, 2*time.Second), example(string(id)+"-2", 1.2, time.Second)}
		c := one(id, "n_total", noon, time.Second, 1)
		c.Series[0].Exemplars = []exemplar.Exemplar{example(string(id)+"-3", 1, time.Second)}
		put(t, s, b, c)
	}
	alone := one("acme", "n_total", noon, time.Second) // as Prometheus sends them: without their sample
	alone.Series[0].Exemplars = []exemplar.Exemplar{example("acme-4", 1, 0)}
	unknown := one("acme", "never_seen", noon, time.Second)
	unknown.Series[0].Exemplars = []exemplar.Exemplar{example("lost", 1, 0)}
	put(t, s, alone, unknown)
	require.Equal(t, 1.0, dropped(s, dropExemplar))
	q := query.New(s.Queryable(), query.Options{Exemplars: s.Exemplars()})
	ask := func(f query.Fence, expr string) []string {
		found, err := q.Exemplars(t.Context(), f, expr, noon.Add(-time.Minute), noon)
		require.NoError(t, err)
		out := []string{}
		for _, s := range found {
			for _, x := range s.Exemplars {
				require.InDelta(t, noon.UnixMilli(), x.Ts, 2000)
				out = append(out, fmt.Sprint(x.Labels.Get("trace_id"), " ", x.Value))
			}
		}
		return out
	}
	acme := query.Fence{Tenants: []tenant.ID{"acme"}}
	require.ElementsMatch(t, []string{"acme-1 0.6", "acme-2 1.2"}, ask(acme, "h_seconds"))
	require.ElementsMatch(t, []string{"acme-1 0.6", "acme-2 1.2"}, ask(acme, "histogram_quantile(0.9, rate(h_seconds_bucket[1m]))"), "by the classic name too")
	require.ElementsMatch(t, []string{"acme-3 1", "acme-4 1", "bolt-3 1"}, ask(everything(), "rate(n_total[1m])"))
	require.Empty(t, ask(acme, `n_total{tenant="bolt"}`))
	require.Empty(t, ask(query.Fence{}, "n_total"))
	require.Empty(t, ask(acme, "1"))
	_, err := q.Exemplars(t.Context(), acme, ")", noon, noon)
	require.True(t, problem.Is(err, problem.Malformed), "%v", err)
}
