package recorded

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// sampled is a querier over chunks: queries read what is open already.
type sampled struct{ storage.ChunkQuerier }

// Select implements storage.Querier.
func (s sampled) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return storage.NewSeriesSetFromChunkSeriesSet(s.ChunkQuerier.Select(ctx, sorted, hints, ms...))
}
