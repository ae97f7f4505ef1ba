package query

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Count is the events in the window that ends at T: N of all, K bad.
type Count struct {
	T    time.Time
	N, K float64
}

// Counts gives an SLI's events of a slice in the windows of one step that end at
// from+step, from+2·step, ... up to to. A window in which no series of the SLI was
// seen is left out: no data is not no traffic.
func (q *Querier) Counts(ctx context.Context, f Fence, spec sli.Spec, sel sli.Selection, slice sli.Slice, from, to time.Time, step time.Duration) ([]Count, error) {
	out := []Count{}
	if step <= 0 {
		return nil, problem.New(problem.Malformed, "the step must be positive")
	}
	if from = from.Add(step); from.After(to) {
		return out, nil
	}
	bad, total := spec.PromQL(step, sel, slice)
	all, err := q.column(ctx, f, total, from, to, step)
	if err != nil {
		return nil, err
	}
	failed := map[int64]float64{}
	if spec.Judges() {
		points, err := q.column(ctx, f, bad, from, to, step)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			failed[p.T] = p.F
		}
	}
	for _, p := range all {
		if !math.IsNaN(p.F) {
			out = append(out, Count{T: time.UnixMilli(p.T).UTC(), N: p.F, K: failed[p.T]})
		}
	}
	return out, nil
}

// column is a range query whose result has one series at most.
func (q *Querier) column(ctx context.Context, f Fence, query string, from, to time.Time, step time.Duration) ([]promql.FPoint, error) {
	res, err := q.Range(ctx, f, Ask{Query: query}, from, to, step)
	if err != nil {
		return nil, err
	}
	m, ok := res.Value.(promql.Matrix)
	if !ok || len(m) == 0 {
		return nil, nil
	}
	return m[0].Floats, nil
}
