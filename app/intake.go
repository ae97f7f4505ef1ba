package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/history"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
)

// intake hands journaled batches to the partitions, in the journal's order.
type intake struct {
	mu       sync.Mutex
	closed   bool                             // nothing is handed on any more: the next start does
	at       atomic.Pointer[journal.Position] // everything before it was handed on; written under mu
	waiting  atomic.Int64                     // samples handed on and not evaluated yet
	requests *prometheus.HistogramVec
	pace     struct {
		sync.Mutex
		quota.Rate
	}
}

// close ends the handing on; what is journaled after that is for the next start.
func (i *intake) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}

// handed is where everything before was handed to its partition. It does not wait.
func (i *intake) handed() (at journal.Position) {
	if p := i.at.Load(); p != nil {
		at = *p
	}
	return at
}

// ingest is called by the journal, in order, after the batches are durable.
func (a *App) ingest(committed []journal.Committed) {
	a.intake.mu.Lock()
	defer a.intake.mu.Unlock()
	if a.intake.closed {
		return
	}
	for _, c := range committed {
		switch b := c.Attach.(type) {
		case *samples.Batch:
			a.intake.arrived(b.Samples, a.o.Now())
			a.handOn(b, c.Position)
		case *tracing.Batch:
			a.intake.arrived(b.Received, a.o.Now())
			a.handOnSpans(b, c.Position)
		}
		a.intake.at.Store(&c.Position)
	}
}

// handOn posts each partition's part of a batch and writes the history.
func (a *App) handOn(b *samples.Batch, at journal.Position) {
	if b.Trace != "" {
		span := a.tracer.After(b.Trace, "hand on", time.Now())
		defer span.End()
		b.Trace = span.Traceparent()
	}
	for p, series := range a.parts(b) {
		if seat, ok := a.shared.Seat(p); ok && !seat.Handler.Ends() { // else another process serves it, from its own journal
			a.handTo(seat.Owner, seat.Handler, series, b, at)
		}
	}
	for p, heard := range senders.BySource(b, a.environmentOf) {
		if seat, ok := a.shared.Seat(p); ok && !seat.Handler.Ends() {
			seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.Hear(tx, heard, at) })
		}
	}
	if db := a.history.Load(); db != nil {
		if err := db.Append(context.Background(), a.unpurged(b, at), at); err != nil {
			a.log.Error("samples are missing from the history; they were evaluated", "error", err)
		}
	}
}

// parts is a batch by partition, without what is not evaluated.
func (a *App) parts(b *samples.Batch) map[store.Partition][]samples.Series {
	parts := map[store.Partition][]samples.Series{}
	for _, s := range b.Series {
		if s.Unknown || s.Tenant == tenant.Product || len(s.Samples) == 0 {
			continue
		}
		s.Labels = a.evaluable(s.Labels)
		p := store.PartitionOf(s.Tenant.Subject())
		parts[p] = append(parts[p], s)
	}
	return parts
}

// environmentOf is the environment that a series names.
func (a *App) environmentOf(s samples.Series) string {
	return cmp.Or(s.Labels.Get(a.o.Config.Labels.Environment), a.o.Config.Environment)
}

// evaluable gives the environment the label that evaluate knows it by.
func (a *App) evaluable(ls labels.Labels) labels.Labels {
	const known = "environment"
	name := a.o.Config.Labels.Environment
	if name == known {
		return ls
	}
	return labels.NewBuilder(ls).Set(known, ls.Get(name)).Labels()
}

// checkpoints has every partition that is served here write its state once a
// minute, spread over it, and gives back the part of the journal that nobody
// needs any more.
func (a *App) checkpoints(ctx context.Context) {
	tick := time.NewTicker(time.Minute / store.Partitions)
	defer tick.Stop()
	var before journal.Position
	var mu sync.Mutex
	kept := map[*seat]journal.Position{}
	var passed []past
	for _, s := range a.seats.list() { // before any tenant: a process that is killed again and again comes no further
		s.owner.Post(s.handler.CheckpointPools)
	}
	for p := 0; ; p = (p + 1) % store.Partitions {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s := a.seats.at(store.Partition(p)); s != nil {
			a.intake.mu.Lock() // no batch may slip in between: the state would hold more than the position says
			at := a.intake.handed()
			s.owner.Post(func(tx *partition.Tx) error {
				tx.After(func() { mu.Lock(); kept[s] = at; mu.Unlock() })
				return s.handler.Checkpoint(tx, at)
			})
			a.intake.mu.Unlock()
		}
		if p != store.Partitions-1 {
			continue
		}
		mu.Lock()
		oldest := a.intake.handed()
		served := map[*seat]bool{}
		for _, s := range a.seats.list() {
			served[s] = true
			if at := kept[s]; at.Before(oldest) { // one without a checkpoint yet needs all of it
				oldest = at
			}
		}
		maps.DeleteFunc(kept, func(s *seat, _ journal.Position) bool { return !served[s] })
		mu.Unlock()
		if a.replicated() { // another process may die with a state this old
			passed = append(passed, past{a.o.Now(), a.intake.handed()})
			for len(passed) > 1 && a.o.Now().Sub(passed[1].time) >= keepForOthers {
				passed = passed[1:]
			}
			if at := passed[0].at; a.o.Now().Sub(passed[0].time) < keepForOthers {
				oldest = journal.Position{}
			} else if at.Before(oldest) {
				oldest = at
			}
		}
		// One round later: the series of spans still need the last half minute.
		if err := a.journal.Trim(before); err != nil {
			a.log.Error("the journal could not be trimmed", "error", err)
		}
		before = oldest
	}
}

// keepForOthers is how long the journal is kept for partitions that other
// processes serve: their states are written once a minute.
const keepForOthers = 3 * time.Minute

// past is where the journal stood at a time.
type past struct {
	time time.Time
	at   journal.Position
}

// expire removes pictures older than their retention, once an hour.
func (a *App) expire(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if _, err := a.blobs.Expire(a.o.Now().Add(-a.config().Retention.Blobs)); err != nil {
			a.log.Error("old pictures could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// openHistory opens the metrics history behind the serving daemon: it takes a
// while when there is much of it. What was journaled since from is written to it
// first; batches that come after that are written as they come.
func (a *App) openHistory(from journal.Position) error {
	db, err := history.Open(history.Options{Dir: filepath.Join(a.o.StoragePath, "history"), Small: true, Retention: a.o.Config.Retention.Samples, Now: a.o.Now, Logger: slog.New(quiet{a.log.Handler()}), Registerer: a.registry})
	if err != nil {
		return err
	}
	catchUp := func() error {
		return a.journal.Replay(context.Background(), from, func(end journal.Position, r journal.Record) error {
			in, err := a.decode(r)
			if err != nil {
				return err
			}
			from = end
			if b, ok := in.(*samples.Batch); ok {
				return db.Append(context.Background(), a.unpurged(b, end), end)
			}
			a.countSpans(in, end)
			return nil
		})
	}
	if err := a.openSpanSeries(db, from); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := catchUp(); err != nil { // most of it, while batches go on arriving
		return errors.Join(err, db.Close())
	}
	a.intake.mu.Lock()
	defer a.intake.mu.Unlock()
	if err := catchUp(); err != nil { // the rest, while they wait
		return errors.Join(err, db.Close())
	}
	a.history.Store(db)
	a.openQueries(db)
	return nil
}

// openQueries lets the history be asked: by clients within the bounds of the
// configuration, and by tocsin itself for its pictures, which must not wait
// behind them.
func (a *App) openQueries(db *history.Store) {
	own := query.Options{TenantLabel: a.o.Config.Labels.Tenant, Settle: db.Flush, Logger: a.log}
	a.drawing.Store(query.New(db.Queryable(), own))
	q := a.config().Limits.Query
	o := own
	o.Timeout, o.MaxSamples, o.MaxPoints, o.MaxItems, o.Concurrent = q.Timeout, q.Samples, q.Points, q.Results, q.Concurrent
	o.Metadata = &a.metadata
	o.Exemplars = unpurgedExemplars{db.Exemplars(), a.shared.Directory(), a.o.Config.Labels.Tenant}
	a.querier.Store(query.New(db.Queryable(), o))
}

// decode makes what a door attached to a record again: a batch of its kind.
func (a *App) decode(r journal.Record) (any, error) {
	if r.Kind == tracing.RecordKind {
		return tracing.Decode(r.Version, r.Body, r.At)
	}
	return a.door.Decode(samples.Record{Kind: r.Kind, Version: r.Version, At: r.At, Header: r.Header, Body: r.Body})
}

// said keeps what a sender says of its metrics, for those who query.
func (a *App) said(whose tenant.ID, list []remotewrite.Metadata) {
	for _, m := range list {
		a.metadata.Note(whose, m.Family, query.Meta{Type: m.Type, Help: m.Help, Unit: m.Unit})
	}
}

func (a *App) query() *query.Querier { return a.querier.Load() }

// count reads the history for a chart.
func (a *App) count(ctx context.Context, environment string, t tenant.ID, spec sli.Spec, slice sli.Slice, from, to time.Time, step time.Duration) ([]dashboards.Point, error) {
	q := a.drawing.Load()
	if q == nil {
		return nil, problem.New(problem.Unavailable, "the history is still opening").WithRetryAfter(time.Second)
	}
	fence, sel := query.Fence{Any: true}, sli.Selection{a.o.Config.Labels.Environment: environment}
	if t != tenant.Product {
		fence = query.Fence{Tenants: []tenant.ID{t}}
		sel[a.o.Config.Labels.Tenant] = string(t)
	}
	counts, err := q.Counts(ctx, fence, spec, sel, slice, from, to, step)
	if err != nil {
		return nil, err
	}
	if len(counts) == 0 && spec.Beside != nil { // it is judged by the other source, then
		return a.count(ctx, environment, t, *spec.Beside, slice, from, to, step)
	}
	points := make([]dashboards.Point, len(counts))
	for i, c := range counts {
		points[i] = dashboards.Point{T: c.T.Add(-step), N: c.N, K: c.K}
	}
	return points, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return problem.Wrap(err, problem.Unavailable, "the storage folder cannot be made").WithHint("check the rights on --storage.path")
	}
	return nil
}

// quiet lets only warnings and worse through: the TSDB tells every step it takes.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(as)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
