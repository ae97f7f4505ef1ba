package history

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/tocsin-alerting/tocsin/samples/native"
)

// classic answers queries for the classic names of native histograms, x_bucket,
// x_count and x_sum, from the native series x, with the edges that rules count at:
// so dashboards and the PromQL form of a rule are the same text for both kinds.
// Only a selection by one name is answered so; what is stored under the classic
// name comes with it.
type classic struct{ storage.Queryable }

// Classic is the queryable with native histograms answering to their classic names.
func Classic(q storage.Queryable) storage.Queryable { return classic{q} }

// Querier implements storage.Queryable.
func (c classic) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := c.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return classicQuerier{q}, nil
}

type classicQuerier struct{ storage.Querier }

// classicSuffixes are what the classic names end in.
var classicSuffixes = []string{"_bucket", "_count", "_sum"}

// ClassicOf gives the native histogram that would answer to a classic name.
func ClassicOf(name string) (base string, ok bool) {
	base, suffix := classicOf(name)
	return base, suffix != ""
}

func classicOf(name string) (base, suffix string) {
	for _, s := range classicSuffixes {
		if b, ok := strings.CutSuffix(name, s); ok && b != "" {
			return b, s
		}
	}
	return "", ""
}

// Select implements storage.Querier.
func (q classicQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	base, suffix, below, edge := parts(ms)
	if suffix == "" || hints != nil && hints.Func == "series" { // series are listed as they are stored
		return q.Querier.Select(ctx, sorted, hints, ms...)
	}
	found := &list{at: -1}
	set := q.Querier.Select(ctx, false, hints, below...)
	for set.Next() {
		found.add(base, suffix, set.At(), edge)
	}
	if found.warnings, found.err = set.Warnings(), set.Err(); found.err == nil && len(found.series) == 0 {
		return q.Querier.Select(ctx, sorted, hints, ms...)
	}
	slices.SortFunc(found.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	stored := q.Querier.Select(ctx, true, hints, ms...)
	return storage.NewMergeSeriesSet([]storage.SeriesSet{stored, found}, 0, storage.ChainedSeriesMerge)
}

// classicExemplars finds a native series' exemplars by its classic names too.
type classicExemplars struct{ storage.ExemplarQueryable }

// ExemplarQuerier implements storage.ExemplarQueryable.
func (c classicExemplars) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	q, err := c.ExemplarQueryable.ExemplarQuerier(ctx)
	if err != nil {
		return nil, err
	}
	return classicExemplarQuerier{q}, nil
}

type classicExemplarQuerier struct{ storage.ExemplarQuerier }

// Select implements storage.ExemplarQuerier.
func (q classicExemplarQuerier) Select(start, end int64, sets ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	all := slices.Clone(sets)
	for _, ms := range sets {
		if _, suffix, below, _ := parts(ms); suffix != "" {
			all = append(all, below)
		}
	}
	return q.ExemplarQuerier.Select(start, end, all...)
}

// parts takes a selection of a classic name apart: the native name and its
// matchers, and those of the edge. Without a suffix it is none.
func parts(ms []*labels.Matcher) (base, suffix string, below, edge []*labels.Matcher) {
	for _, m := range ms {
		switch {
		case m.Name == labels.BucketLabel:
			edge = append(edge, m)
			continue
		case m.Name != labels.MetricName:
			below = append(below, m)
			continue
		case m.Type != labels.MatchEqual || base != "":
			return "", "", nil, nil
		}
		if base, suffix = classicOf(m.Value); suffix == "" {
			return "", "", nil, nil
		}
		below = append(below, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, base))
	}
	return base, suffix, below, edge
}

// list is a set of series in memory.
type list struct {
	series   []storage.Series
	at       int
	warnings annotations.Annotations
	err      error
}

func (l *list) Next() bool                        { l.at++; return l.err == nil && l.at < len(l.series) }
func (l *list) At() storage.Series                { return l.series[l.at] }
func (l *list) Err() error                        { return l.err }
func (l *list) Warnings() annotations.Annotations { return l.warnings }

// dot is a float sample.
type dot struct {
	t int64
	v float64
}

func (s dot) T() int64                      { return s.t }
func (s dot) ST() int64                     { return 0 }
func (s dot) F() float64                    { return s.v }
func (s dot) H() *histogram.Histogram       { return nil }
func (s dot) FH() *histogram.FloatHistogram { return nil }
func (s dot) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s dot) Copy() chunks.Sample           { return s }

// add makes the classic series of one native series.
func (l *list) add(base, suffix string, s storage.Series, edge []*labels.Matcher) {
	var buckets []native.Bucket
	values := map[float64][]chunks.Sample{} // by edge; 0 for the series that has none
	it := s.Iterator(nil)
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		var t int64
		var h *histogram.Histogram
		var f *histogram.FloatHistogram
		switch kind {
		case chunkenc.ValHistogram:
			t, h = it.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			t, f = it.AtFloatHistogram(nil)
		default:
			continue
		}
		if buckets = native.Expand(buckets[:0], base, h, f); len(buckets) == 0 {
			continue
		}
		switch suffix {
		case "_bucket":
			for _, b := range buckets {
				values[b.Le] = append(values[b.Le], dot{t, b.Count})
			}
		case "_count":
			values[0] = append(values[0], dot{t, buckets[len(buckets)-1].Count})
		case "_sum":
			values[0] = append(values[0], dot{t, native.Sum(h, f)})
		}
	}
	if l.err == nil {
		l.err = it.Err()
	}
	for le, vs := range values {
		b := labels.NewBuilder(s.Labels()).Set(labels.MetricName, base+suffix)
		text := ""
		if suffix == "_bucket" {
			text = labels.FormatOpenMetricsFloat(le)
			b.Set(labels.BucketLabel, text)
		}
		if !slices.ContainsFunc(edge, func(m *labels.Matcher) bool { return !m.Matches(text) }) {
			l.series = append(l.series, storage.NewListSeries(b.Labels(), vs))
		}
	}
}
