package query

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// millis is a time in milliseconds; the alias keeps go vet from taking Seek for io.Seeker's.
type millis = int64

// since leaves out the samples that a tenant's id had before a time, and series that have
// no others.
type since struct {
	inner storage.Querier
	label string
	from  map[tenant.ID]millis
	floor millis // nothing before it is seen of anybody
	maxt  millis
}

// narrowed puts the fence's times around a queryable; the tenants stand already.
func (f Fence) narrowed(q storage.Queryable, label string) storage.Queryable {
	from, floor := map[tenant.ID]millis{}, millis(math.MaxInt64)
	for id, at := range f.Since {
		if !at.IsZero() && (f.Any || slices.Contains(f.Tenants, id)) {
			from[id] = at.UnixMilli()
			floor = min(floor, from[id])
		}
	}
	if len(from) == 0 {
		return q
	}
	if f.Any || len(from) < len(f.Tenants) {
		floor = math.MinInt64
	}
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		if mint = max(mint, floor); mint > maxt {
			return storage.NoopQuerier(), nil
		}
		inner, err := q.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return since{inner, label, from, floor, maxt}, nil
	})
}

// Select implements storage.Querier.
func (q since) Select(ctx context.Context, sorted bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	if h != nil {
		hints := *h
		h = &hints
		if h.Start = max(h.Start, q.floor); h.Start > h.End {
			return storage.EmptySeriesSet()
		}
		if h.Func == "series" { // such series have no samples to tell their time by
			h.Func = ""
		}
	}
	return &laterSet{SeriesSet: q.inner.Select(ctx, sorted, h, ms...), q: q}
}

// LabelValues implements storage.Querier: an index does not know when a value was used.
func (q since) LabelValues(ctx context.Context, name string, h *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.words(ctx, h, ms, func(ls labels.Labels, take func(string)) {
		if v := ls.Get(name); v != "" {
			take(v)
		}
	})
}

// LabelNames implements storage.Querier.
func (q since) LabelNames(ctx context.Context, h *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.words(ctx, h, ms, func(ls labels.Labels, take func(string)) {
		ls.Range(func(l labels.Label) { take(l.Name) })
	})
}

func (q since) words(ctx context.Context, h *storage.LabelHints, ms []*labels.Matcher, of func(labels.Labels, func(string))) ([]string, annotations.Annotations, error) {
	if len(ms) == 0 {
		ms = []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}
	}
	var out []string
	seen := map[string]bool{}
	set := q.Select(ctx, false, &storage.SelectHints{Start: q.floor, End: q.maxt}, ms...)
	for n := 0; set.Next(); n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		of(set.At().Labels(), func(word string) {
			if !seen[word] {
				seen[word] = true
				out = append(out, word)
			}
		})
	}
	slices.Sort(out)
	if h != nil && h.Limit > 0 && len(out) > h.Limit {
		out = out[:h.Limit]
	}
	return out, set.Warnings(), set.Err()
}

// Close implements storage.Querier.
func (q since) Close() error { return q.inner.Close() }

// laterSet skips the series of which nothing is left.
type laterSet struct {
	storage.SeriesSet
	q   since
	at  storage.Series
	err error
	it  chunkenc.Iterator
}

func (s *laterSet) Next() bool {
	for s.err == nil && s.SeriesSet.Next() {
		s.at = s.SeriesSet.At()
		from, ok := s.q.from[tenant.ID(s.at.Labels().Get(s.q.label))]
		if !ok {
			return true
		}
		if s.it = s.at.Iterator(s.it); s.it.Seek(from) != chunkenc.ValNone {
			s.at = later{s.at, from}
			return true
		}
		s.err = s.it.Err()
	}
	return false
}

func (s *laterSet) At() storage.Series { return s.at }

func (s *laterSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.SeriesSet.Err()
}

// later is a series from a time on.
type later struct {
	storage.Series
	from millis
}

func (s later) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	if old, ok := it.(*laterIterator); ok {
		it = old.Iterator
	}
	return &laterIterator{Iterator: s.Series.Iterator(it), from: s.from}
}

type laterIterator struct {
	chunkenc.Iterator
	from  millis
	begun bool
}

func (it *laterIterator) Next() chunkenc.ValueType {
	if !it.begun {
		return it.Seek(it.from)
	}
	return it.Iterator.Next()
}

func (it *laterIterator) Seek(t millis) chunkenc.ValueType {
	it.begun = true
	return it.Iterator.Seek(max(t, it.from))
}

// leave leaves out the exemplars from before a tenant's time.
func (f Fence) leave(found []exemplar.QueryResult, label string) []exemplar.QueryResult {
	out := found[:0]
	for _, r := range found {
		if at := f.Since[tenant.ID(r.SeriesLabels.Get(label))]; !at.IsZero() {
			r.Exemplars = slices.DeleteFunc(r.Exemplars, func(x exemplar.Exemplar) bool { return time.UnixMilli(x.Ts).Before(at) })
		}
		if len(r.Exemplars) > 0 {
			out = append(out, r)
		}
	}
	return out
}
