package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/samples/history"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
	spans "github.com/tocsin-alerting/tocsin/tracing/otlp"
	"github.com/tocsin-alerting/tocsin/tracing/red"

	"github.com/tocsin-alerting/tocsin/app/flow"
)

// intakeOfSpans is what spans become besides events of their tenants.
type intakeOfSpans struct {
	door   *tracing.Door
	traces *hops.Traces
	keys   dayKeys

	// Of intake.mu:
	sources sources

	dropped prometheus.Counter
	mu      sync.Mutex
	red     *red.Counters // nil until the history is open
}

// spanSource says which partitions have tenants of a source, and which steps they
// were told of.
type spanSource struct {
	partitions map[store.Partition]bool
	told       []int64
}

const (
	toldSteps = 64              // of a source that are remembered as told
	redTick   = 2 * time.Second // between two looks for steps to write
	redBack   = 2 * time.Hour   // series that ended before begin anew
)

// buildSpans makes the door for spans.
func (a *App) buildSpans(context.Context) error {
	c := a.o.Config
	customers, err := a.customers()
	if err != nil {
		return err
	}
	a.spans.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_tracing_unwritten_calls_total", Help: "Calls without a series, because there are too many kinds of them."})
	a.registry.MustRegister(a.spans.dropped)
	a.spans.sources = sources{}
	a.spans.traces = hops.New(c.Labels.Environment)
	a.spans.door, err = tracing.New(tracing.Options{
		Journal: func(ctx context.Context, r tracing.Record, b *tracing.Batch) error {
			return a.keep(ctx, journal.Record{Kind: r.Kind, Version: r.Version, At: r.At, Body: r.Body}, b)
		},
		Known: a.known(), Stranger: a.door.Saw, Alias: customers.Alias, Cut: a.spanCut(a.shared.Rules().Policies()...),
		Limits: spans.Limits{Body: int(c.Limits.UnpackedBytes)},
		Now:    a.o.Now, Logger: a.log, Registerer: a.registry,
		TenantLabel: c.Labels.Tenant, TenantAttribute: c.Labels.TenantAttribute, EnvironmentLabel: c.Labels.Environment, Environment: c.Environment,
	})
	return err
}

// spanExporter hands OTLP's traces to their door.
type spanExporter struct{ door *tracing.Door }

// Export implements otlp.Exporter.
func (e spanExporter) Export(ctx context.Context, scope door.Scope, req otlp.Request) (otlp.Partial, error) {
	in := tracing.Request{Scope: scope, Body: req.Body}
	if req.JSON {
		in.Encoding = spans.JSON
	}
	p, err := e.door.Write(ctx, in)
	return otlp.Partial{Rejected: int64(p.Rejected), Message: p.Message}, err
}

// handOnSpans posts each partition's part of a batch and counts it for the series.
func (a *App) handOnSpans(b *tracing.Batch, at journal.Position) {
	a.postSpans(a.spans.sources, a.spanParts(b), b, at, func(p store.Partition) (flow.Seat, bool) {
		seat, ok := a.shared.Seat(p)
		return seat, ok && !seat.Handler.Ends()
	})
	if a.history.Load() != nil { // else it is caught up
		a.countSpans(b, at)
	}
}

// spanParts is a batch's calls by partition, without what is not evaluated.
func (a *App) spanParts(b *tracing.Batch) map[store.Partition][]tracing.Call {
	parts := map[store.Partition][]tracing.Call{}
	for _, c := range b.Calls {
		if c.Unknown || c.Tenant == tenant.Product {
			continue
		}
		c.Labels = a.evaluable(c.Labels)
		p := store.PartitionOf(c.Tenant.Subject())
		parts[p] = append(parts[p], c)
	}
	return parts
}

// postSpans hands each partition the calls of its tenants, and tells those that
// have tenants of the source in which steps it was heard.
func (a *App) postSpans(known sources, parts map[store.Partition][]tracing.Call, b *tracing.Batch, at journal.Position, seat func(store.Partition) (flow.Seat, bool)) {
	s := known.find(b.Source)
	for p := range parts {
		s.partitions[p] = true
	}
	news := s.news(b.Steps)
	for p := range s.partitions {
		calls := parts[p]
		if len(calls) == 0 && !news {
			continue
		}
		to, ok := seat(p)
		if !ok {
			continue // another process serves it, from its own journal
		}
		n := int64(len(calls))
		a.intake.waiting.Add(n)
		to.Handler.Waiting.Add(n)
		done := func() { a.intake.waiting.Add(-n); to.Handler.Waiting.Add(-n) }
		ok = to.Owner.Post(func(tx *partition.Tx) error {
			done()
			return to.Handler.IngestSpans(tx, b, calls, at)
		})
		if !ok {
			done()
		}
	}
}

// sources is which partitions have tenants of which source.
type sources map[string]*spanSource

// find finds a source or makes it.
func (list sources) find(name string) *spanSource {
	s := list[name]
	if s == nil {
		s = &spanSource{partitions: map[store.Partition]bool{}}
		list[name] = s
	}
	return s
}

// knownSources is what the states of seats tell of sources.
func knownSources(list []*seat) sources {
	out := sources{}
	for _, s := range list {
		for _, name := range s.handler.SpanSources() {
			out.find(name).partitions[s.p] = true
		}
	}
	return out
}

// know adds the partitions of others; the caller holds intake.mu.
func (i *intakeOfSpans) know(others sources) {
	for name, s := range others {
		for p := range s.partitions {
			i.sources.find(name).partitions[p] = true
		}
	}
}

// among finds the seat of a partition in a list.
func among(list []*seat, p store.Partition) (flow.Seat, bool) {
	for _, s := range list {
		if s.p == p {
			return flow.Seat{Owner: s.owner, Handler: s.handler}, true
		}
	}
	return flow.Seat{}, false
}

// news says whether the partitions were not told of one of the steps.
func (s *spanSource) news(steps []int64) (news bool) {
	for _, step := range steps {
		if !slices.Contains(s.told, step) {
			news = true
			if s.told = append(s.told, step); len(s.told) > toldSteps {
				s.told = s.told[1:]
			}
		}
	}
	return news
}

// openSpanSeries goes on with the series of spans where the history ends. from is
// where the journal is caught up from: what lies before it may hold calls whose
// step was not written yet.
func (a *App) openSpanSeries(db *history.Store, from journal.Position) error {
	since := a.o.Now().Add(-redBack)
	newest, err := db.Last(context.Background(), tracing.LabelCollector, tracing.Collector, since)
	if err != nil {
		return err
	}
	last := make([]red.Last, len(newest))
	for i, n := range newest {
		last[i] = red.Last(n)
	}
	c := red.New(a.o.Config.Labels.Tenant)
	c.Restore(last, since)
	a.spans.mu.Lock()
	a.spans.red = c
	a.spans.mu.Unlock()
	err = a.journal.Replay(context.Background(), journal.Position{}, func(end journal.Position, r journal.Record) error {
		if from.Before(end) {
			return errCaughtUp
		}
		if r.Kind != tracing.RecordKind {
			return nil
		}
		in, err := a.decode(r)
		if err != nil {
			return err
		}
		a.countSpans(in, end)
		return nil
	})
	if errors.Is(err, errCaughtUp) {
		return nil
	}
	return err
}

var errCaughtUp = errors.New("caught up")

// countSpans counts a batch that ends at a place of the journal, as far as it is
// not in the series yet.
func (a *App) countSpans(in any, end journal.Position) {
	b, ok := in.(*tracing.Batch)
	if !ok {
		return
	}
	b = a.unpurgedSpans(b, end)
	a.spans.traces.Take(b)
	a.spans.mu.Lock()
	defer a.spans.mu.Unlock()
	a.spans.red.Take(b)
}

// unpurgedSpans is the batch without what belongs to a purged tenant.
func (a *App) unpurgedSpans(b *tracing.Batch, end journal.Position) *tracing.Batch {
	d := a.shared.Directory()
	erased := func(c tracing.Call) bool { return d.Erased(c.Tenant, c.Unknown, end) }
	if !slices.ContainsFunc(b.Calls, erased) && !slices.ContainsFunc(b.Spans, func(s tracing.Span) bool { return d.Erased(s.Tenant, false, end) }) {
		return b
	}
	kept := *b
	kept.Calls = slices.DeleteFunc(slices.Clone(b.Calls), erased)
	kept.Spans = slices.DeleteFunc(slices.Clone(b.Spans), func(s tracing.Span) bool { return d.Erased(s.Tenant, false, end) })
	return &kept
}

// forgetSpans drops what is kept of a tenant's spans in memory, so that none of it
// is written again.
func (a *App) forgetSpans(id tenant.ID) {
	a.spans.traces.Forget(id)
	a.spans.mu.Lock()
	defer a.spans.mu.Unlock()
	if a.spans.red != nil {
		a.spans.red.Forget(id)
	}
}

// writeSpanSeries writes what is due of the series of spans.
func (a *App) writeSpanSeries() {
	db := a.history.Load()
	if db == nil {
		return
	}
	a.spans.mu.Lock()
	b, dropped := a.spans.red.Due(a.o.Now()), a.spans.red.Dropped()
	a.spans.mu.Unlock()
	if dropped > 0 {
		a.spans.dropped.Add(float64(dropped))
		a.log.Warn("there are too many kinds of calls: some have no series", "calls", dropped)
	}
	if b == nil {
		return
	}
	if err := db.Append(context.Background(), b, nil); err != nil {
		a.log.Error("series of spans are missing from the history; the spans were evaluated", "error", err)
	}
}

// spanSeries writes the series of spans as their steps become due.
func (a *App) spanSeries(ctx context.Context) {
	tick := time.NewTicker(redTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.writeSpanSeries()
		}
	}
}
