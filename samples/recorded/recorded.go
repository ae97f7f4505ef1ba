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

// Query says what is read: samples of the metrics with From <= T < To.
type Query struct {
	From, To time.Time
	Metrics  []string      // names; none: all
	Window   time.Duration // samples of one window are handed over together; default 5 s
}

// Taker takes what is read. Window is called when a window has ended, before
// the samples in it are handed over; the slice is valid during the call.
type Taker interface {
	Window(end time.Time) error
	Samples(s *Series, xs []Sample)
}

// Source is recorded data.
type Source interface {
	// Span is the time of the first and of the last sample.
	Span(ctx context.Context) (from, to time.Time, err error)
	// Read hands over what q asks for, window by window.
	Read(ctx context.Context, q Query, t Taker) error
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

const (
	piece         = 2 * time.Hour // read at once
	defaultWindow = 5 * time.Second
)

// cursor is one series of a piece. Its samples stand on the one that is handed
// over next.
type cursor struct {
	series  *Series
	samples stepper
}

// stepper goes through the samples of one series, oldest first.
type stepper interface {
	step() bool // to the next sample; the first call to the first one
	at() (t int64, v float64)
	err() error // what ended it early
}

// pieces calls read for one piece of q after the other.
func (q Query) pieces(ctx context.Context, read func(from, to int64) error) error {
	for at := q.From; at.Before(q.To); {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := at.Truncate(piece).Add(piece)
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

// walker hands the samples of one piece over by window. Every cursor waits in
// the list of the window that holds its next sample, so that a window costs
// only what is in it.
type walker struct {
	first []int32 // by window: the first cursor + 1
	next  []int32 // by cursor
	buf   []Sample
}

// walk hands over from <= T < to.
func (w *walker) walk(ctx context.Context, cs []cursor, from, to int64, window time.Duration, t Taker) error {
	if window <= 0 {
		window = defaultWindow
	}
	length := window.Milliseconds()
	n := int((to - from + length - 1) / length)
	w.first = resized(w.first, n)
	w.next = resized(w.next, len(cs))
	for i := len(cs) - 1; i >= 0; i-- { // backwards: lists are built at their head
		for cs[i].samples.step() {
			if at, _ := cs[i].samples.at(); at >= from {
				w.wait(i, (at-from)/length)
				break
			}
		}
	}
	for k := range n {
		if k&63 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		end := min(from+int64(k+1)*length, to)
		if err := t.Window(time.UnixMilli(end).UTC()); err != nil {
			return err
		}
		for i := int(w.first[k]) - 1; i >= 0; {
			following := int(w.next[i]) - 1
			w.hand(cs[i], i, from, end, length, t)
			i = following
		}
	}
	for _, c := range cs {
		if err := c.samples.err(); err != nil {
			return problem.Wrap(err, problem.Invalid, "a series of the recorded data cannot be read to its end")
		}
	}
	return nil
}

// hand gives the samples of cursor i before end, and lets it wait for its next.
func (w *walker) hand(c cursor, i int, from, end, length int64, t Taker) {
	w.buf = w.buf[:0]
	for {
		at, v := c.samples.at()
		if at >= end {
			w.wait(i, (at-from)/length)
			break
		}
		w.buf = append(w.buf, Sample{at, v})
		if !c.samples.step() {
			break
		}
	}
	t.Samples(c.series, w.buf)
}

func (w *walker) wait(i int, k int64) {
	if k < int64(len(w.first)) {
		w.next[i], w.first[k] = w.first[k], int32(i)+1
	}
}

func resized(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	s = s[:n]
	clear(s)
	return s
}
