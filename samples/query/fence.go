package query

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Fence is whose data a query may see: all, or that of the tenants. The zero Fence
// sees nothing.
type Fence struct {
	Any     bool
	Tenants []tenant.ID
	// Since is, for a tenant whose id was somebody else's, from when on it is its own:
	// nothing from before is seen of it.
	Since map[tenant.ID]time.Time
}

// Around puts the fence around a queryable: whatever the query says, only series
// whose label names one of the tenants are selected. It works below the parser, so
// no expression can reach past it.
func (f Fence) Around(q storage.Queryable, label string) storage.Queryable {
	if f.Any {
		return f.narrowed(q, label)
	}
	if len(f.Tenants) == 0 {
		return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })
	}
	m := f.matcher(label)
	return f.narrowed(storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		inner, err := q.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return fenced{inner, m}, nil
	}), label)
}

func (f Fence) matcher(label string) *labels.Matcher {
	if len(f.Tenants) == 1 {
		return labels.MustNewMatcher(labels.MatchEqual, label, string(f.Tenants[0]))
	}
	quoted := make([]string, len(f.Tenants))
	for i, t := range f.Tenants {
		quoted[i] = regexp.QuoteMeta(string(t))
	}
	return labels.MustNewMatcher(labels.MatchRegexp, label, strings.Join(quoted, "|"))
}

// fenced adds the matcher to everything that can be asked.
type fenced struct {
	inner   storage.Querier
	matcher *labels.Matcher
}

func (q fenced) with(ms []*labels.Matcher) []*labels.Matcher {
	return append(append(make([]*labels.Matcher, 0, len(ms)+1), ms...), q.matcher)
}

func (q fenced) Select(ctx context.Context, sorted bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return q.inner.Select(ctx, sorted, h, q.with(ms)...)
}

func (q fenced) LabelValues(ctx context.Context, name string, h *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.inner.LabelValues(ctx, name, h, q.with(ms)...)
}

func (q fenced) LabelNames(ctx context.Context, h *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.inner.LabelNames(ctx, h, q.with(ms)...)
}

func (q fenced) Close() error { return q.inner.Close() }
