package backtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// keeper writes what a world's streams deliver into a data directory.
type keeper struct {
	t    testing.TB
	db   *tsdb.DB
	app  storage.Appender
	n    int
	refs []storage.SeriesRef
}

// Window implements world.Taker.
func (k *keeper) Window(time.Time) error {
	if k.n > 100_000 {
		k.n = 0
		require.NoError(k.t, k.app.Commit())
		k.app = k.db.Appender(k.t.Context())
	}
	return nil
}

// Take implements world.Taker. What the database refuses (a sample that comes twice) no
// Prometheus would have kept either.
func (k *keeper) Take(s *recorded.Series, xs []recorded.Sample) {
	for len(k.refs) <= s.Index {
		k.refs = append(k.refs, 0)
	}
	for _, x := range xs {
		k.n++
		if ref, err := k.app.Append(k.refs[s.Index], s.Labels, x.T, x.V); err == nil {
			k.refs[s.Index] = ref
		}
	}
}

// worldDirectory is a data directory of a simulated world, with what is amiss in it:
// missed and double scrapes, restarts, a silent source with its backlog out of order.
func worldDirectory(t testing.TB, c world.Config) (*world.World, string) {
	t.Helper()
	w, err := world.New(c)
	require.NoError(t, err)
	path := t.TempDir()
	o := tsdb.DefaultOptions()
	o.StripeSize, o.OutOfOrderTimeWindow = 1<<12, (24 * time.Hour).Milliseconds()
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(t, err)
	k := &keeper{t: t, db: db, app: db.Appender(t.Context())}
	s := world.NewStreams(w)
	for w.Pass() {
		require.NoError(t, s.Deliver(k))
	}
	require.NoError(t, k.app.Commit())
	require.NoError(t, db.Compact(t.Context()))
	require.NoError(t, db.Close())
	return w, path
}

// stepwise replays as samples came: all tenants, window by window.
func stepwise(t testing.TB, src recorded.Source, from, to time.Time, r *backtest.Replay) {
	require.NoError(t, src.Read(t.Context(), recorded.Query{From: from, To: to, Metrics: r.Metrics()}, func(s recorded.Stretch) error {
		var c recorded.Columns
		var xs []recorded.Sample
		for end := s.From; end < s.To; {
			end = min(end+5000, s.To)
			require.NoError(t, r.Window(time.UnixMilli(end).UTC()))
			for _, run := range s.Runs {
				c.Reset()
				require.NoError(t, run.Before(end, &c))
				xs = xs[:0]
				for i, at := range c.T {
					xs = append(xs, recorded.Sample{T: at, V: c.V[i]})
				}
				if len(xs) > 0 {
					r.Take(run.Series, xs)
				}
			}
		}
		return nil
	}))
	for end := to; end.Before(to.Add(time.Minute)); end = end.Add(5 * time.Second) {
		require.NoError(t, r.Window(end))
	}
}

// TestARecordingIsReplayedAsItCame: a tenant after the other through some minutes gives
// the very lines, with reasons and figures, that all tenants step by step give.
func TestARecordingIsReplayedAsItCame(t *testing.T) {
	c := world.Config{Seed: 11, Count: 8, Start: begin, Learn: 26 * time.Hour, Score: 6 * time.Hour, Scrape: time.Minute}
	if os.Getenv("TOCSIN_LONG") != "" { // long enough for volume, the countries' factors and budgets by volume
		c.Count, c.Learn, c.Score = 30, 9*24*time.Hour, 5*24*time.Hour
	}
	w, path := worldDirectory(t, c)
	src, err := recorded.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	from, to, err := src.Span(t.Context())
	require.NoError(t, err)
	o := options(t)
	o.Tenants = nil
	for i, x := range w.Tenants {
		doc := tenant.Tenant{ID: tenant.ID(x.ID), Timezone: x.Zone.String(), OnboardedAt: x.Born, Countries: []string{x.Country}}
		if i == 3 { // it comes in the middle of a stretch, and of a window
			doc.OnboardedAt = from.Add(5*time.Hour + 3*time.Second)
			doc.OptIns = []tenant.OptIn{{Feature: "refunds", At: from.Add(7*time.Hour + 11*time.Minute)}}
		}
		if i != 5 { // nobody's
			o.Tenants = append(o.Tenants, doc)
		}
	}
	one, err := backtest.New(o, from)
	require.NoError(t, err)
	stepwise(t, src, from, to.Add(time.Millisecond), one)
	began := time.Now()
	lines := replay(t, src, o, o)
	t.Logf("%d lines in %s from %s", len(one.Lines()), time.Since(began), filepath.Base(path))
	require.NotEmpty(t, one.Lines())
	require.Equal(t, one.Lines(), lines[0].Lines())
	require.Equal(t, one.Lines(), lines[1].Lines(), "beside another replay too")
}

// stretches is a source of one series that is cut short, or cannot be read.
type stretches struct {
	recorded.Source
	read func(context.Context, func(recorded.Stretch) error) error
}

func (s stretches) Read(ctx context.Context, _ recorded.Query, take func(recorded.Stretch) error) error {
	return s.read(ctx, take)
}

func TestAReadingThatCannotGoOnSaysSo(t *testing.T) {
	r, err := backtest.New(options(t), begin)
	require.NoError(t, err)
	o := options(t)
	o.TenantLabel = "customer"
	other, err := backtest.New(o, begin)
	require.NoError(t, err)
	src := recording(t)
	require.ErrorContains(t, backtest.Run(t.Context(), src, begin, end, nil, r, other), "by the same label")

	ctx, stop := context.WithCancel(t.Context())
	told := 0
	require.ErrorIs(t, backtest.Run(ctx, src, begin, end, func(float64, int64) {
		if told++; told == 3 {
			stop()
		}
	}, r), context.Canceled)
	require.Equal(t, 3, told, "between two cuts")

	broken := errors.New("the disk is gone")
	r, err = backtest.New(options(t), begin)
	require.NoError(t, err)
	require.ErrorIs(t, backtest.Run(t.Context(), stretches{src, func(context.Context, func(recorded.Stretch) error) error { return broken }}, begin, end, nil, r), broken)
}

func TestWorkIsSharedAndTheFirstErrorTold(t *testing.T) {
	var done [1000]atomic.Int32
	require.NoError(t, backtest.Parallel(len(done), func(i int) error { done[i].Add(1); return nil }))
	for i := range done {
		require.EqualValues(t, 1, done[i].Load())
	}
	for range 20 {
		err := backtest.Parallel(len(done), func(i int) error {
			if i%100 == 37 {
				return fmt.Errorf("at %d", i)
			}
			return nil
		})
		require.EqualError(t, err, "at 37")
	}
	require.NoError(t, backtest.Parallel(0, nil))
	require.EqualError(t, backtest.Parallel(1, func(int) error { return errors.New("alone") }), "alone")
}
