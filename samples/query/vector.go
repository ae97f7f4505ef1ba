package query

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Value is one series of an instant query's answer.
type Value struct {
	Labels labels.Labels
	V      float64
}

// Vector is Instant for a query that gives a vector, as those of alerting rules do;
// native histograms in it are left out.
func (q *Querier) Vector(ctx context.Context, f Fence, query string, at time.Time) ([]Value, error) {
	res, err := q.Instant(ctx, f, Ask{Query: query}, at)
	if err != nil {
		return nil, err
	}
	vector, ok := res.Value.(promql.Vector)
	if !ok {
		return nil, problem.New(problem.Invalid, "the query gives no vector")
	}
	out := make([]Value, 0, len(vector))
	for _, s := range vector {
		if s.H == nil {
			out = append(out, Value{s.Metric, s.F})
		}
	}
	return out, nil
}
