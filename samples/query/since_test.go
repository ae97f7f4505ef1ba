package query

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples/history/historytest"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What an id had before it was used again is not seen, whatever the query says: neither
// samples nor the names and values of series that have no others.
func TestAnIdUsedAgainSeesOnlyItsOwn(t *testing.T) {
	s := historytest.Open(t)
	noon := historytest.Noon
	began := noon.Add(-50 * time.Second)
	extra := func(id tenant.ID, name, label, value string, at time.Time, values ...float64) {
		b := historytest.Series(id, name, at, 15*time.Second, values...)
		b.Series[0].Labels = labels.NewBuilder(b.Series[0].Labels).Set(label, value).Labels()
		historytest.Put(t, s, b)
	}
	historytest.Put(t, s, historytest.Series("acme", "m", noon, 15*time.Second, 9, 9, 9, 9, 1, 1, 1, 1), historytest.Series("bolt", "m", noon, 15*time.Second, 7, 7, 7, 7, 7, 7, 7, 7))
	extra("acme", "was", "secret", "of the one before", began.Add(-15*time.Second), 9, 9)
	extra("acme", "is", "open", "of this one", noon, 1, 1)

	q := New(s.Queryable(), Options{Exemplars: s.Exemplars()})
	since := map[tenant.ID]time.Time{"acme": began, "other": noon}
	alone := Fence{Tenants: []tenant.ID{"acme"}, Since: since}
	both := Fence{Tenants: []tenant.ID{"acme", "bolt"}, Since: since}
	value := func(f Fence, query string) float64 {
		res, err := q.Instant(t.Context(), f, Ask{Query: query}, noon)
		require.NoError(t, err)
		v := res.Value.(promql.Vector)
		require.LessOrEqual(t, len(v), 1, query)
		if len(v) == 0 {
			return -1
		}
		return v[0].F
	}
	for f, name := range map[*Fence]string{&alone: "alone", &both: "with a neighbour", {Any: true, Since: since}: "for all"} {
		t.Run(name, func(t *testing.T) {
			for query, want := range map[string]float64{
				`count_over_time(m{tenant="acme"}[10m])`: 4, `max_over_time(m{tenant="acme"}[10m])`: 1, `m{tenant="acme"}`: 1,
				`m{tenant="acme"} offset 75s`: -1, `m{tenant="acme"} @ 1772625525`: -1, `was`: -1, `last_over_time(was[1h])`: -1,
				`max(max_over_time(m{tenant="acme"}[5m:15s]))`: 1, `count({tenant="acme"})`: 2, `count_over_time(m{tenant="acme"}[10m] offset 5m)`: -1,
			} {
				require.Equal(t, want, value(*f, query), query)
			}
			for _, span := range []Question{{}, {From: noon.Add(-time.Hour), To: noon}, {From: noon.Add(-time.Hour), To: began.Add(-time.Second)}} {
				span.Matchers = [][]*labels.Matcher{{labels.MustNewMatcher(labels.MatchEqual, "tenant", "acme")}}
				had := span.To.IsZero() || span.To.Equal(noon)
				series, err := q.Series(t.Context(), *f, span)
				require.NoError(t, err)
				names, err := q.LabelNames(t.Context(), *f, span)
				require.NoError(t, err)
				values, err := q.LabelValues(t.Context(), *f, "__name__", span)
				require.NoError(t, err)
				secret, err := q.LabelValues(t.Context(), *f, "secret", span)
				require.NoError(t, err)
				require.Empty(t, secret.Items)
				if !had {
					require.Empty(t, series.Items)
					require.Empty(t, names.Items)
					require.Empty(t, values.Items)
					continue
				}
				require.Len(t, series.Items, 2)
				require.Equal(t, []string{"__name__", "environment", "open", "tenant"}, names.Items)
				require.Equal(t, []string{"is", "m"}, values.Items)
			}
		})
	}
	require.Equal(t, 8.0, value(both, `count_over_time(m{tenant="bolt"}[10m])`), "the neighbour's stay")
	require.Equal(t, 9.0, value(Fence{Tenants: []tenant.ID{"acme"}}, `max_over_time(m[10m])`), "an id that nobody had before is not touched")
	in, err := both.Around(s.Queryable(), "tenant").Querier(0, noon.UnixMilli())
	require.NoError(t, err)
	set, n := in.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "tenant", "acme")), 0
	for set.Next() {
		for it := set.At().Iterator(nil); it.Next() != chunkenc.ValNone; n++ {
			require.GreaterOrEqual(t, it.AtT(), began.UnixMilli())
		}
	}
	require.Equal(t, 6, n)
	require.NoError(t, in.Close())
	limited, err := q.LabelNames(t.Context(), alone, Question{Limit: 2})
	require.NoError(t, err)
	require.Len(t, limited.Items, 2)
	require.True(t, limited.Cut)
}

func TestAnIdUsedAgainSeesOnlyItsOwnExemplars(t *testing.T) {
	s := historytest.Open(t)
	noon := historytest.Noon
	for i, trace := range []string{"old", "new"} {
		b := historytest.Series("acme", "n_total", noon.Add(time.Duration(i)*time.Minute), time.Second, 1)
		b.Series[0].Exemplars = []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", trace), Ts: b.Series[0].Samples[0].T, HasTs: true}}
		historytest.Put(t, s, b)
	}
	q := New(s.Queryable(), Options{Exemplars: s.Exemplars()})
	found := func(f Fence) (out []string) {
		list, err := q.Exemplars(t.Context(), f, "n_total", noon.Add(-time.Hour), noon.Add(time.Hour))
		require.NoError(t, err)
		for _, r := range list {
			for _, x := range r.Exemplars {
				out = append(out, x.Labels.Get("trace_id"))
			}
		}
		return out
	}
	f := Fence{Tenants: []tenant.ID{"acme"}}
	require.Equal(t, []string{"old", "new"}, found(f))
	f.Since = map[tenant.ID]time.Time{"acme": noon.Add(time.Second)}
	require.Equal(t, []string{"new"}, found(f))
	f.Since["acme"] = noon.Add(time.Hour)
	require.Empty(t, found(f))
}
