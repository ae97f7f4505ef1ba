package recorded

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// blocks are a directory's blocks, and what is not in blocks yet: the head. The library
// opens a directory for one querier, which looks at the index of every block for every
// selection; here a selection looks at the blocks that hold its time.
type blocks struct {
	ground, recent *tsdb.DBReadOnly
	list           []tsdb.BlockReader // of ground, by time
	// late is the head, with the blocks that end after from: it may overlap them.
	late storage.ChunkQuerier
	from int64
}

// headReach is how far before the end of the last block the head may begin: it is cut
// where blocks are.
const headReach = 2 * time.Hour

// openBlocks opens the directory at path. What of the head must be written is written to
// sandbox. What it returns is closed by its caller, also with an error.
func openBlocks(path, sandbox string) (b *blocks, err error) {
	b = &blocks{}
	quiet := slog.New(slog.DiscardHandler)
	if b.ground, err = tsdb.OpenDBReadOnly(path, sandbox, quiet); err != nil {
		return b, err
	}
	if b.list, err = b.ground.Blocks(); err != nil {
		return b, err
	}
	if _, err := os.Stat(filepath.Join(path, "wal")); len(b.list) > 0 && errors.Is(err, os.ErrNotExist) {
		// Blocks alone, as promtool writes them, or as they were copied from a store.
		b.late, b.from = storage.NoopChunkedQuerier(), math.MaxInt64
		return b, nil
	}
	b.from = math.MinInt64
	for _, x := range b.list {
		b.from = max(b.from, x.Meta().MaxTime-headReach.Milliseconds())
	}
	b.from = min(b.from, oldestLate(filepath.Join(path, wlog.WblDirName)))
	if b.recent, err = tsdb.OpenDBReadOnly(path, sandbox, quiet); err != nil {
		return b, err
	}
	b.late, err = b.recent.ChunkQuerier(b.from, math.MaxInt64)
	return b, err
}

// querier gives the chunks from mint to maxt, both included; selections have hints that
// lie within. It is closed before the blocks are.
func (b *blocks) querier(mint, maxt int64) (storage.ChunkQuerier, error) {
	var all []storage.ChunkQuerier
	late := maxt >= b.from
	if late {
		all = append(all, shared{b.late})
	}
	for _, x := range b.list {
		if m := x.Meta(); m.MinTime > maxt || m.MaxTime <= mint || late && m.MaxTime > b.from {
			continue
		}
		q, err := tsdb.NewBlockChunkQuerier(x, mint, maxt)
		if err != nil {
			for _, open := range all {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		all = append(all, q)
	}
	return storage.NewMergeChunkQuerier(all, nil, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)), nil
}

// shared is closed with its blocks.
type shared struct{ storage.ChunkQuerier }

// Close implements storage.ChunkQuerier.
func (shared) Close() error { return nil }

func (b *blocks) close() (err error) {
	if b.late != nil {
		err = b.late.Close()
	}
	for _, db := range []*tsdb.DBReadOnly{b.recent, b.ground} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// oldestLate is the time of the oldest sample that came out of order and is in no block
// yet; the beginning of time when it cannot be known.
func oldestLate(folder string) int64 {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return math.MaxInt64
	}
	segments, err := wlog.NewSegmentsReader(folder)
	if err != nil {
		return math.MinInt64
	}
	defer func() { _ = segments.Close() }()
	oldest := int64(math.MaxInt64)
	r, dec := wlog.NewReader(segments), record.NewDecoder(nil, slog.New(slog.DiscardHandler))
	var samples []record.RefSample
	for r.Next() {
		switch rec := r.Record(); dec.Type(rec) {
		case record.Samples, record.SamplesV2:
			if samples, err = dec.Samples(rec, samples[:0]); err != nil {
				return math.MinInt64
			}
			for _, s := range samples {
				oldest = min(oldest, s.T)
			}
		case record.MmapMarkers:
		default:
			return math.MinInt64
		}
	}
	if r.Err() != nil {
		return math.MinInt64
	}
	return oldest
}
