package recorded

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/history"
)

// All time; the TSDB adds to its bounds, which must not overflow.
const begins, ends = math.MinInt64 / 4, math.MaxInt64 / 4

// dir is a Prometheus data directory, opened for reading only.
type dir struct {
	db      *tsdb.DBReadOnly
	chunks  storage.ChunkQuerier            // over all time
	all     func() (storage.Querier, error) // the same, as samples; opened when it is asked for
	close   []func() error                  // of that
	first   int64                           // of the samples
	last    int64
	sandbox string
	series  map[uint64][]*Series
	met     int
}

func openDir(path string) (Source, error) {
	sandbox, err := os.MkdirTemp("", "tocsin-read-") // what of the head must be written is written here
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "no temporary folder can be made")
	}
	db, err := tsdb.OpenDBReadOnly(path, sandbox, slog.New(slog.DiscardHandler))
	if err != nil {
		_ = os.RemoveAll(sandbox)
		return nil, problem.Wrap(err, problem.Invalid, "the folder is no Prometheus data directory").WithHint("it holds a folder wal, and one for each block")
	}
	d := &dir{db: db, sandbox: sandbox, series: map[uint64][]*Series{}}
	d.all = sync.OnceValues(func() (storage.Querier, error) { return d.query(path) })
	if d.chunks, err = db.ChunkQuerier(math.MinInt64, math.MaxInt64); err != nil {
		return nil, errors.Join(unread(err), d.Close())
	}
	if err := d.span(context.Background()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// query opens the directory once more: what is open gives its blocks to one reader
// only. Native histograms answer to their classic names, as in the live history.
func (d *dir) query(path string) (storage.Querier, error) {
	db, err := tsdb.OpenDBReadOnly(path, d.sandbox, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, unread(err)
	}
	q, err := history.Classic(db).Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, errors.Join(unread(err), db.Close())
	}
	d.close = append(d.close, q.Close, db.Close)
	return q, nil
}

// Close implements Source.
func (d *dir) Close() error {
	var err error
	for _, f := range d.close {
		err = errors.Join(err, f())
	}
	if d.chunks != nil {
		err = errors.Join(err, d.chunks.Close())
	}
	return errors.Join(err, d.db.Close(), os.RemoveAll(d.sandbox))
}

// Queryable implements Stored. Queries see what their hints ask for.
func (d *dir) Queryable() storage.Queryable {
	return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) {
		q, err := d.all()
		return shared{q}, err
	})
}

// shared is closed with its directory.
type shared struct{ storage.Querier }

// Close implements storage.Querier.
func (shared) Close() error { return nil }

// Span implements Source.
func (d *dir) Span(context.Context) (from, to time.Time, err error) {
	return time.UnixMilli(d.first).UTC(), time.UnixMilli(d.last).UTC(), nil
}

// span finds the first and the last sample, by what the chunks say of themselves.
func (d *dir) span(ctx context.Context) error {
	d.first, d.last = math.MaxInt64, math.MinInt64
	set := d.chunks.Select(ctx, false, &storage.SelectHints{Start: begins, End: ends, DisableTrimming: true}, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"))
	for set.Next() {
		if err := d.reach(set.At().Iterator(nil)); err != nil {
			return problem.Wrap(err, problem.Invalid, "a series of the recorded data cannot be read to its end")
		}
	}
	if set.Err() != nil {
		return problem.Wrap(set.Err(), problem.Invalid, "the data directory cannot be read")
	}
	if d.last < d.first {
		return problem.New(problem.Invalid, "the data directory holds no sample")
	}
	return nil
}

// reach widens the span by a series' chunks of plain samples.
func (d *dir) reach(it chunks.Iterator) error {
	for it.Next() {
		m := it.At()
		if e := m.Chunk.Encoding(); e != chunkenc.EncXOR && e != chunkenc.EncXOR2 {
			continue
		}
		d.first = min(d.first, m.MinTime)
		if m.MaxTime < ends {
			d.last = max(d.last, m.MaxTime)
			continue
		}
		samples := m.Chunk.Iterator(nil) // it is still written to
		for samples.Next() != chunkenc.ValNone {
			d.last = max(d.last, samples.AtT())
		}
		if samples.Err() != nil {
			return samples.Err()
		}
	}
	return it.Err()
}

// Read implements Source.
func (d *dir) Read(ctx context.Context, q Query, t Taker) error {
	plain, classic := selections(q.Metrics)
	var w walker
	var cs []cursor
	return q.pieces(ctx, func(from, to int64) (err error) {
		// The hints narrow what is loaded: without them every series would hold
		// the chunks of the whole time.
		hints := &storage.SelectHints{Start: from, End: to - 1, DisableTrimming: true}
		if cs, err = d.stored(ctx, cs[:0], hints, plain); err != nil {
			return err
		}
		for _, name := range classic {
			if cs, err = d.named(ctx, cs, hints, name); err != nil {
				return err
			}
		}
		return w.walk(ctx, cs, from, to, q.Window, t)
	})
}

// stored adds cursors of series under the names they are stored by; nil: none.
func (d *dir) stored(ctx context.Context, cs []cursor, hints *storage.SelectHints, names *labels.Matcher) ([]cursor, error) {
	if names == nil {
		return cs, nil
	}
	set := d.chunks.Select(ctx, false, hints, names)
	for set.Next() {
		s := set.At()
		cs = append(cs, cursor{d.known(s.Labels()), newChunkwise(s, hints.End)})
	}
	return cs, unread(set.Err())
}

// named adds cursors of series under what may be a classic name of a native histogram.
func (d *dir) named(ctx context.Context, cs []cursor, hints *storage.SelectHints, name *labels.Matcher) ([]cursor, error) {
	all, err := d.all()
	if err != nil {
		return nil, err
	}
	set := all.Select(ctx, false, hints, name)
	for set.Next() {
		s := set.At()
		cs = append(cs, cursor{d.known(s.Labels()), samplewise{s.Iterator(nil)}})
	}
	return cs, unread(set.Err())
}

func unread(err error) error {
	if err == nil {
		return nil
	}
	return problem.Wrap(err, problem.Invalid, "the data directory cannot be read")
}

// samplewise is a stepper over what a query gives; native histograms are passed over.
type samplewise struct{ it chunkenc.Iterator }

func (c samplewise) step() bool {
	for {
		switch c.it.Next() {
		case chunkenc.ValFloat:
			return true
		case chunkenc.ValNone:
			return false
		}
	}
}

func (c samplewise) at() (int64, float64) { return c.it.At() }

func (c samplewise) err() error { return c.it.Err() }

// known gives the one value of a series.
func (d *dir) known(ls labels.Labels) *Series {
	h := ls.Hash()
	for _, s := range d.series[h] {
		if labels.Equal(s.Labels, ls) {
			return s
		}
	}
	s := &Series{Labels: ls.Copy(), Index: d.met}
	d.met++
	d.series[h] = append(d.series[h], s)
	return s
}

// selections asks for the metrics: together, save those that may be the classic
// names of a native histogram, which answers to one name at a time.
func selections(metrics []string) (plain *labels.Matcher, classic []*labels.Matcher) {
	if len(metrics) == 0 {
		return labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"), nil
	}
	var names []string
	metrics = slices.Clone(metrics)
	slices.Sort(metrics)
	for _, m := range slices.Compact(metrics) {
		if strings.HasSuffix(m, "_bucket") || strings.HasSuffix(m, "_count") || strings.HasSuffix(m, "_sum") {
			classic = append(classic, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, m))
		} else {
			names = append(names, m)
		}
	}
	if len(names) > 0 {
		plain = labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, alternatives(names))
	}
	return plain, classic
}

// alternatives is a regular expression of plain names.
func alternatives(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	out := ""
	for i, n := range slices.Compact(names) {
		if i > 0 {
			out += "|"
		}
		out += regexp.QuoteMeta(n)
	}
	return out
}
