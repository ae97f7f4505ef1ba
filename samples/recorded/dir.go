package recorded

import (
	"context"
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
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

// dir is a Prometheus data directory, opened for reading only. Its blocks and its head
// are opened once: samples are read from the same chunks as queries are.
type dir struct {
	blocks  *blocks
	first   int64 // of the samples
	last    int64
	sandbox string
	series  map[uint64][]*met
	count   int
}

// met is a series that was met, with what reads it: made once, for every stretch.
type met struct {
	Series
	run  Run
	feed chunked
}

func openDir(path string) (Source, error) {
	sandbox, err := os.MkdirTemp("", "tocsin-read-") // what of the head must be written is written here
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "no temporary folder can be made")
	}
	d := &dir{sandbox: sandbox, series: map[uint64][]*met{}}
	if d.blocks, err = openBlocks(path, sandbox); err != nil {
		err = problem.Wrap(err, problem.Invalid, "the folder cannot be read as a Prometheus data directory").WithHint("it holds a folder for each block, and one named wal while its Prometheus runs")
		return nil, errors.Join(err, d.Close())
	}
	if err := d.span(context.Background()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close implements Source.
func (d *dir) Close() error { return errors.Join(d.blocks.close(), os.RemoveAll(d.sandbox)) }

// Queryable implements Stored. Native histograms are seen by their classic names, as in
// the live history.
func (d *dir) Queryable() storage.Queryable {
	return history.Classic(storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		q, err := d.blocks.querier(mint, maxt)
		return sampled{q}, err
	}))
}

// Span implements Source.
func (d *dir) Span(context.Context) (from, to time.Time, err error) {
	return time.UnixMilli(d.first).UTC(), time.UnixMilli(d.last).UTC(), nil
}

// span finds the first and the last sample, by what the chunks say of themselves. Only
// blocks in which they may be are looked at.
func (d *dir) span(ctx context.Context) error {
	d.first, d.last = math.MaxInt64, math.MinInt64
	if err := d.look(ctx, shared{d.blocks.late}); err != nil {
		return err
	}
	for _, b := range d.blocks.list {
		if m := b.Meta(); m.MinTime >= d.first && m.MaxTime-1 <= d.last {
			continue
		}
		q, err := tsdb.NewBlockChunkQuerier(b, begins, ends)
		if err != nil {
			return unread(err)
		}
		if err := errors.Join(d.look(ctx, q), q.Close()); err != nil {
			return err
		}
	}
	if d.last < d.first {
		return problem.New(problem.Invalid, "the data directory holds no sample")
	}
	return nil
}

func (d *dir) look(ctx context.Context, q storage.ChunkQuerier) error {
	set := q.Select(ctx, false, &storage.SelectHints{Start: begins, End: ends, DisableTrimming: true}, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"))
	for set.Next() {
		if err := d.reach(set.At().Iterator(nil)); err != nil {
			return problem.Wrap(err, problem.Invalid, "a series of the recorded data cannot be read to its end")
		}
	}
	return unread(set.Err())
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

// Read implements Source. Only one runs at a time.
func (d *dir) Read(ctx context.Context, q Query, take func(Stretch) error) error {
	return q.stretches(ctx, stretch, func(from, to int64) error {
		all, err := d.blocks.querier(from, to-1)
		if err != nil {
			return unread(err)
		}
		runs, err := d.runs(ctx, all, from, to, q.Metrics)
		if err == nil {
			err = take(Stretch{from, to, runs})
		}
		return errors.Join(err, unread(all.Close()))
	})
}

// runs selects what a stretch holds.
func (d *dir) runs(ctx context.Context, all storage.ChunkQuerier, from, to int64, metrics []string) ([]*Run, error) {
	// The hints narrow what is loaded: without them every series would hold the chunks
	// of whole blocks.
	hints := &storage.SelectHints{Start: from, End: to - 1, DisableTrimming: true}
	names, native, err := selections(ctx, all, hints, metrics)
	if err != nil {
		return nil, err
	}
	runs, err := d.stored(ctx, all, hints, names)
	for _, name := range native {
		if err == nil {
			runs, err = d.named(ctx, runs, hints, name)
		}
	}
	return runs, err
}

// stored gives the runs of series under the names they are stored by; nil: none.
func (d *dir) stored(ctx context.Context, all storage.ChunkQuerier, hints *storage.SelectHints, names *labels.Matcher) (runs []*Run, err error) {
	if names == nil {
		return nil, nil
	}
	set := all.Select(ctx, false, hints, names)
	for set.Next() {
		s := set.At()
		m := d.known(s.Labels())
		m.feed.begin(s, hints.Start, hints.End+1)
		m.run = Run{&m.Series, &m.feed}
		runs = append(runs, &m.run)
	}
	return runs, unread(set.Err())
}

// named adds the runs of series under a classic name of native histograms.
func (d *dir) named(ctx context.Context, runs []*Run, hints *storage.SelectHints, name string) ([]*Run, error) {
	all, err := d.Queryable().Querier(hints.Start, hints.End)
	if err != nil {
		return nil, unread(err)
	}
	defer func() { _ = all.Close() }() // it was only read
	set := all.Select(ctx, false, hints, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name))
	for set.Next() {
		s := set.At()
		l := &listed{last: math.MinInt64}
		it := s.Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if kind != chunkenc.ValFloat {
				continue
			}
			if t, v := it.At(); t >= hints.Start && t <= hints.End {
				l.rest = append(l.rest, Sample{t, v})
			}
		}
		if err := it.Err(); err != nil {
			return nil, unread(err)
		}
		m := d.known(s.Labels())
		m.run = Run{&m.Series, l}
		runs = append(runs, &m.run)
	}
	return runs, unread(set.Err())
}

func unread(err error) error {
	if err == nil {
		return nil
	}
	return problem.Wrap(err, problem.Invalid, "the data directory cannot be read")
}

// known gives the one value of a series.
func (d *dir) known(ls labels.Labels) *met {
	h := ls.Hash()
	for _, s := range d.series[h] {
		if labels.Equal(s.Labels, ls) {
			return s
		}
	}
	s := &met{Series: Series{Labels: ls.Copy(), Index: d.count}}
	d.count++
	d.series[h] = append(d.series[h], s)
	return s
}

// selections asks for the metrics: together, save those that are classic names of a
// native histogram, which answers to one name at a time.
func selections(ctx context.Context, all storage.ChunkQuerier, hints *storage.SelectHints, metrics []string) (together *labels.Matcher, native []string, err error) {
	if len(metrics) == 0 {
		return labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"), nil, nil
	}
	var names []string
	for _, m := range metrics {
		base, ok := history.ClassicOf(m)
		if ok {
			set := all.Select(ctx, false, hints, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, base))
			if ok = set.Next(); set.Err() != nil {
				return nil, nil, unread(set.Err())
			}
		}
		if !ok {
			names = append(names, m)
		} else if !slices.Contains(native, m) {
			native = append(native, m)
		}
	}
	if len(names) > 0 {
		together = labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, alternatives(names))
	}
	slices.Sort(native)
	return together, native, nil
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
