package query

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Exemplars finds those of every series that the PromQL expression selects: what
// leads from a chart to traces, by the label trace_id.
func (q *Querier) Exemplars(ctx context.Context, f Fence, query string, from, to time.Time) (out []exemplar.QueryResult, err error) {
	expr, err := q.parser.ParseExpr(query)
	if err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "invalid parameter \"query\": %v", err)
	}
	if q.opts.Exemplars == nil || !f.Any && len(f.Tenants) == 0 {
		return nil, nil
	}
	var sets [][]*labels.Matcher
	for _, ms := range parser.ExtractSelectors(expr) {
		sets = append(sets, f.with(ms, q.opts.TenantLabel))
	}
	if len(sets) == 0 {
		return nil, nil
	}
	err = q.within(ctx, func(ctx context.Context) error {
		in, err := q.opts.Exemplars.ExemplarQuerier(ctx)
		if err != nil {
			return problem.Wrap(err, problem.Unavailable, "the exemplars cannot be read")
		}
		out, err = in.Select(timestamp.FromTime(from), timestamp.FromTime(to), sets...)
		if err != nil {
			return problem.Wrap(err, problem.Internal, "the exemplars cannot be read")
		}
		out = f.leave(out, q.opts.TenantLabel)
		return nil
	})
	return out, err
}

// with is the matchers and the fence's own.
func (f Fence) with(ms []*labels.Matcher, label string) []*labels.Matcher {
	if f.Any {
		return ms
	}
	return fenced{matcher: f.matcher(label)}.with(ms)
}
