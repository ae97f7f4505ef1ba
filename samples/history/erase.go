package history

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Erase deletes everything of a tenant that was appended before and says how many
// series that was. Nothing can be queried any more when it returns, and blocks are
// rewritten without it; the TSDB's write-ahead log holds it until the head is
// compacted, at most some hours later.
func (s *Store) Erase(ctx context.Context, label string, id tenant.ID) (series int, err error) {
	if err := s.Flush(ctx); err != nil {
		return 0, err
	}
	m := labels.MustNewMatcher(labels.MatchEqual, label, string(id))
	q, err := s.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	set := q.Select(ctx, false, nil, m)
	for set.Next() {
		series++
	}
	if err := set.Err(); err != nil {
		_ = q.Close()
		return 0, problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	if err := q.Close(); err != nil {
		return 0, problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	if series == 0 {
		return 0, nil
	}
	if err := s.db.Delete(ctx, math.MinInt64, math.MaxInt64, m); err != nil {
		return 0, problem.Wrap(err, problem.Internal, "a tenant's series cannot be deleted from the metrics history")
	}
	if err := s.db.CleanTombstones(); err != nil {
		return 0, problem.Wrap(err, problem.Internal, "the metrics history cannot be rewritten without a tenant's series")
	}
	return series, nil
}
