package history

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/history/param"
)

// Exemplars is all tenants' exemplars, the latest of all series; for QueryOptions.
func (s *Store) Exemplars() storage.ExemplarQueryable { return s.db }

// Exemplars finds those of every series that the PromQL expression selects: what
// leads from a chart to traces, by the label trace_id. For the classic names of a
// native histogram they are the native series'.
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
		if _, suffix, below, _ := parts(ms); suffix != "" {
			sets = append(sets, f.with(below, q.opts.TenantLabel))
		}
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
		return nil
	})
	return out, err
}

// with is the matchers and the fence's own.
func (f Fence) with(ms []*labels.Matcher, label string) []*labels.Matcher {
	if f.Any {
		return ms
	}
	return append(append(make([]*labels.Matcher, 0, len(ms)+1), ms...), f.matcher(label))
}

// QueryExemplars answers /api/v1/query_exemplars: query, start, end.
func QueryExemplars(q *Querier, w http.ResponseWriter, r *http.Request, f Fence) {
	type example struct {
		Labels    labels.Labels `json:"labels"`
		Value     string        `json:"value"`
		Timestamp float64       `json:"timestamp"`
	}
	type row struct {
		SeriesLabels labels.Labels `json:"seriesLabels"`
		Exemplars    []example     `json:"exemplars"`
	}
	q.serve(w, r, func(ctx context.Context) (envelope, error) {
		from, to, err := param.Span(r)
		if err != nil {
			return envelope{}, err
		}
		found, err := q.Exemplars(ctx, f, r.Form.Get("query"), from, to)
		if err != nil {
			return envelope{}, err
		}
		out := []row{}
		for _, s := range found {
			x := row{SeriesLabels: s.SeriesLabels, Exemplars: []example{}}
			for _, e := range s.Exemplars {
				x.Exemplars = append(x.Exemplars, example{e.Labels, strconv.FormatFloat(e.Value, 'f', -1, 64), float64(e.Ts) / 1000})
			}
			out = append(out, x)
		}
		return envelope{Data: out}, nil
	})
}
