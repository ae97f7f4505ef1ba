package history

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Newest is the newest sample of a series.
type Newest struct {
	Labels labels.Labels
	T      int64 // unix ms
	V      float64
}

// Last gives the newest sample since a time of every series with the label, for
// who goes on writing them.
func (s *Store) Last(ctx context.Context, name, value string, since time.Time) ([]Newest, error) {
	q, err := s.db.Querier(since.UnixMilli(), math.MaxInt64)
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	defer func() { _ = q.Close() }()
	var out []Newest
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, name, value))
	for set.Next() {
		n := Newest{Labels: set.At().Labels(), T: math.MinInt64}
		it := set.At().Iterator(nil)
		for it.Next() != 0 {
			n.T, n.V = it.At()
		}
		if n.T != math.MinInt64 {
			out = append(out, n)
		}
	}
	if err := set.Err(); err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	return out, nil
}
