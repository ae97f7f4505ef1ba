// Package recorded reads metrics that were recorded before, in the order of
// time: a Prometheus data directory, OpenMetrics text, or what a running
// Prometheus gives over its API. Memory is bounded by two hours of the series
// asked for.
//
// It knows files and formats. It knows no rule and no tenant: what a sample
// means is decided by who takes it.
package recorded

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Series is one recorded series. It is the same value in every window.
type Series struct {
	Labels labels.Labels
	Index  int // counted from 0 in the order they are met
}

// Sample is one recorded value. T is unix milliseconds.
type Sample struct {
	T int64
	V float64
}

// Columns are samples of one series: V[i] is its value at T[i], in unix milliseconds.
type Columns struct {
	T []int64
	V []float64
}

func (c *Columns) add(t int64, v float64) { c.T, c.V = append(c.T, t), append(c.V, v) }

// Reset empties the columns and keeps their room.
func (c *Columns) Reset() { c.T, c.V = c.T[:0], c.V[:0] }

// Query says what is read: samples of the metrics with From <= T < To.
type Query struct {
	From, To time.Time
	Metrics  []string // names; none: all
}

// Stretch is a part of the time that is read: From <= T < To, in unix milliseconds.
// One follows the other without a gap.
type Stretch struct {
	From, To int64
	Runs     []*Run // of every series that may have samples in it, one each
}

// Run is what a stretch holds of one series, oldest first and no time twice. Different
// runs may be read at the same time; the stretch must be over before the next is asked for.
type Run struct {
	Series *Series
	feed   feed
}

// feed reads one series' part of a stretch, in order.
type feed interface {
	before(end int64, to *Columns) error
}

// Before appends the samples with T < end that were not read yet. end does not become
// smaller.
func (r *Run) Before(end int64, to *Columns) error {
	if err := r.feed.before(end, to); err != nil {
		return problem.Wrap(err, problem.Invalid, "a series of the recorded data cannot be read to its end")
	}
	return nil
}

// Source is recorded data.
type Source interface {
	// Span is the time of the first and of the last sample.
	Span(ctx context.Context) (from, to time.Time, err error)
	// Read hands over what q asks for, stretch by stretch. A stretch is valid during
	// the call.
	Read(ctx context.Context, q Query, take func(Stretch) error) error
	Close() error
}

// Stored is a Source that can be queried as well.
type Stored interface {
	Queryable() storage.Queryable
}

// Open finds out what path is: the http address of a Prometheus, its data
// directory, or a file of OpenMetrics text.
func Open(path string) (Source, error) {
	if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
		return openRemote(path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the recorded data cannot be found").
			WithHint("give a Prometheus data directory, a file of OpenMetrics text, or the address of a Prometheus")
	}
	if info.IsDir() {
		return openDir(path)
	}
	return openText(path)
}

// stretch is read at once.
const stretch = 2 * time.Hour

// stretches calls read for one stretch of q after the other.
func (q Query) stretches(ctx context.Context, length time.Duration, read func(from, to int64) error) error {
	for at := q.From; at.Before(q.To); {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := at.Truncate(stretch).Add(stretch)
		if next := at.Add(length); end.After(next) {
			end = next
		}
		if end.After(q.To) {
			end = q.To
		}
		if err := read(at.UnixMilli(), end.UnixMilli()); err != nil {
			return err
		}
		at = end
	}
	return nil
}
