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
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/history"
)

// All time; the TSDB adds to its bounds, which must not overflow.
const begins, ends = math.MinInt64 / 4, math.MaxInt64 / 4

// dir is a Prometheus data directory, opened for reading only.
type dir struct {
	db      *tsdb.DBReadOnly
	all     storage.Querier // over all time; the TSDB loads its head for each one it makes
	blocks  []tsdb.BlockMeta
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
	// Native histograms answer to their classic names, as in the live history.
	if d.all, err = history.Classic(db).Querier(math.MinInt64, math.MaxInt64); err != nil {
		return nil, errors.Join(problem.Wrap(err, problem.Invalid, "the data directory cannot be read"), d.Close())
	}
	if _, _, err := d.Span(context.Background()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close implements Source.
func (d *dir) Close() error {
	var err error
	if d.all != nil {
		err = d.all.Close()
	}
	return errors.Join(err, d.db.Close(), os.RemoveAll(d.sandbox))
}

// Queryable implements Stored. Queries see what their hints ask for.
func (d *dir) Queryable() storage.Queryable {
	return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return shared{d.all}, nil })
}

// shared is closed with its directory.
type shared struct{ storage.Querier }

// Close implements storage.Querier.
func (shared) Close() error { return nil }

// Span implements Source. Blocks say it themselves; the head is looked through.
func (d *dir) Span(ctx context.Context) (from, to time.Time, err error) {
	first, last, start := int64(math.MaxInt64), int64(math.MinInt64), int64(begins)
	if len(d.blocks) > 0 {
		for _, b := range d.blocks {
			first, last = min(first, b.MinTime), max(last, b.MaxTime-1) // a block's end is not in it
		}
		start = last
	}
	set := d.all.Select(ctx, false, &storage.SelectHints{Start: start, End: ends}, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"))
	for set.Next() {
		it := chunked{set.At().Iterator(nil)}
		for it.step() {
			at, _ := it.at()
			first, last = min(first, at), max(last, at)
		}
	}
	if set.Err() != nil {
		return from, to, problem.Wrap(set.Err(), problem.Invalid, "the head of the data directory cannot be read")
	}
	if last < first {
		return from, to, problem.New(problem.Invalid, "the data directory holds no sample")
	}
	return time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC(), nil
}

// Read implements Source.
func (d *dir) Read(ctx context.Context, q Query, t Taker) error {
	names := selections(q.Metrics)
	var w walker
	var cs []cursor
	return q.pieces(ctx, func(from, to int64) error {
		cs = cs[:0]
		// The hints narrow what is loaded: without them every series would hold
		// the chunks of the whole time.
		for _, name := range names {
			set := d.all.Select(ctx, false, &storage.SelectHints{Start: from, End: to - 1}, name)
			for set.Next() {
				s := set.At()
				cs = append(cs, cursor{d.known(s.Labels()), chunked{s.Iterator(nil)}})
			}
			if set.Err() != nil {
				return problem.Wrap(set.Err(), problem.Invalid, "the data directory cannot be read")
			}
		}
		return w.walk(ctx, cs, from, to, q.Window, t)
	})
}

// chunked is a stepper over the TSDB's chunks; native histograms are passed over.
type chunked struct{ it chunkenc.Iterator }

func (c chunked) step() bool {
	for {
		switch c.it.Next() {
		case chunkenc.ValFloat:
			return true
		case chunkenc.ValNone:
			return false
		}
	}
}

func (c chunked) at() (int64, float64) { return c.it.At() }

func (c chunked) err() error { return c.it.Err() }

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
func selections(metrics []string) []*labels.Matcher {
	if len(metrics) == 0 {
		return []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")}
	}
	var out []*labels.Matcher
	var plain []string
	metrics = slices.Clone(metrics)
	slices.Sort(metrics)
	for _, m := range slices.Compact(metrics) {
		if strings.HasSuffix(m, "_bucket") || strings.HasSuffix(m, "_count") || strings.HasSuffix(m, "_sum") {
			out = append(out, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, m))
		} else {
			plain = append(plain, m)
		}
	}
	if len(plain) > 0 {
		out = append(out, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, alternatives(plain)))
	}
	return out
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
