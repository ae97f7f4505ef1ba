// Package query answers PromQL and what there is to ask for, behind a fence by tenant.
//
// It knows Prometheus' storage interfaces, the query language and tenants' ids; it
// must not know where the data are kept, nor who may ask: it gets a Fence.
package query

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Options of a Querier. Zero fields take the defaults.
type Options struct {
	TenantLabel string        // default tenant
	Timeout     time.Duration // default 2 min
	MaxSamples  int           // in memory at once; default 50 million
	MaxPoints   int           // per series of a range; default 11,000
	MaxItems    int           // results of a list of series, labels or values; default 100,000
	Concurrent  int           // queries at once, others wait; default 20
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // of the engine's own metrics; may be nil
	// Settle waits until what was accepted before can be read; nil: it always can.
	Settle func(context.Context) error
	// Metadata is what senders said of their metrics; nil: nothing.
	Metadata *Metadata
	// Exemplars are those of the data's series; nil: there are none.
	Exemplars storage.ExemplarQueryable
}

// Querier answers PromQL behind a fence. The modifiers anchored and smoothed and
// the experimental functions, info among them, are understood.
type Querier struct {
	opts   Options
	parser parser.Parser
	engine *promql.Engine
	data   storage.Queryable
	slots  chan struct{}
}

// New makes a querier over data, which may be the embedded history's or any other
// Prometheus-compatible storage's.
func New(data storage.Queryable, o Options) *Querier {
	if o.TenantLabel == "" {
		o.TenantLabel = "tenant"
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = 50_000_000
	}
	if o.MaxPoints <= 0 {
		o.MaxPoints = 11_000
	}
	if o.MaxItems <= 0 {
		o.MaxItems = 100_000
	}
	if o.Concurrent <= 0 {
		o.Concurrent = 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	language := parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true, EnableExperimentalFunctions: true})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:               o.Logger,
		Reg:                  o.Registerer,
		MaxSamples:           o.MaxSamples,
		Timeout:              o.Timeout,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return time.Minute.Milliseconds()
		},
		Parser: language,
	})
	return &Querier{opts: o, parser: language, engine: engine, data: data, slots: make(chan struct{}, o.Concurrent)}
}

// Result is the value of a query (promql.Vector, promql.Matrix, promql.Scalar or
// promql.String) with the engine's warnings. It does not refer to the storage.
type Result struct {
	Value    parser.Value
	Warnings []string
	Infos    []string
	Stats    stats.QueryStats // nil unless asked for
}

// Ask is a query and what may be set for it alone.
type Ask struct {
	Query    string
	Lookback time.Duration // how old the newest sample may be; 0: 5 min
	Stats    bool          // also say what it took
}

func (a Ask) opts() promql.QueryOpts { return promql.NewPrometheusQueryOpts(false, a.Lookback) }

// Instant evaluates the query at a time.
func (q *Querier) Instant(ctx context.Context, f Fence, a Ask, at time.Time) (*Result, error) {
	return q.run(ctx, a, func(ctx context.Context) (promql.Query, error) {
		return q.engine.NewInstantQuery(ctx, f.Around(q.data, q.opts.TenantLabel), a.opts(), a.Query, at)
	})
}

// Range evaluates the query from from to to, both included, every step.
func (q *Querier) Range(ctx context.Context, f Fence, a Ask, from, to time.Time, step time.Duration) (*Result, error) {
	switch {
	case step < time.Millisecond:
		return nil, problem.New(problem.Malformed, "the step must be positive").WithHint("at least 1ms")
	case to.Before(from):
		return nil, problem.New(problem.Malformed, "the end lies before the start")
	case to.Sub(from)/step > time.Duration(q.opts.MaxPoints):
		return nil, problem.New(problem.Malformed, "more than %d points in each series", q.opts.MaxPoints).WithHint("take a larger step")
	}
	return q.run(ctx, a, func(ctx context.Context) (promql.Query, error) {
		return q.engine.NewRangeQuery(ctx, f.Around(q.data, q.opts.TenantLabel), a.opts(), a.Query, from, to, step)
	})
}

// within takes a slot and waits for what was accepted before.
func (q *Querier) within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	select {
	case q.slots <- struct{}{}:
	default:
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			return problem.Wrap(ctx.Err(), problem.Unavailable, "more than %d queries at once, and no turn came in time", q.opts.Concurrent).WithHint("try again")
		}
	}
	defer func() { <-q.slots }()
	if q.opts.Settle != nil {
		if err := q.opts.Settle(ctx); err != nil {
			return problem.Wrap(err, problem.Unavailable, "the history lags behind what was accepted").WithHint("try again")
		}
	}
	return do(ctx)
}

// run evaluates within a slot. Faults of the query itself are problem.Malformed
// (it cannot be parsed) and problem.Invalid (it cannot be evaluated); a timeout is
// problem.Unavailable.
func (q *Querier) run(ctx context.Context, a Ask, build func(context.Context) (promql.Query, error)) (out *Result, err error) {
	err = q.within(ctx, func(ctx context.Context) error {
		qry, err := build(ctx)
		if err != nil {
			return problem.Wrap(err, problem.Malformed, "invalid parameter \"query\": %v", err)
		}
		defer qry.Close()
		res := qry.Exec(ctx)
		if res.Err != nil {
			return asProblem(res.Err)
		}
		out = &Result{Value: detach(res.Value)}
		out.Warnings, out.Infos = res.Warnings.AsStrings(qry.String(), 10, 10)
		if a.Stats {
			out.Stats = stats.NewQueryStats(qry.Stats())
		}
		return nil
	})
	return out, err
}

func asProblem(err error) error {
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	var stored promql.ErrStorage
	switch {
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return problem.Wrap(err, problem.Unavailable, "the query took too long").WithHint("narrow it, or take a larger step")
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return problem.Wrap(err, problem.Unavailable, "the query was cancelled")
	case errors.As(err, &stored):
		return problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
	}
	return problem.Wrap(err, problem.Invalid, "the query cannot be evaluated: %v", err)
}

// detach copies what the engine takes back when the query is closed.
func detach(v parser.Value) parser.Value {
	m, ok := v.(promql.Matrix)
	if !ok {
		return v
	}
	out := make(promql.Matrix, len(m))
	for i, s := range m {
		out[i] = promql.Series{Metric: s.Metric, Floats: append([]promql.FPoint(nil), s.Floats...)}
		for _, h := range s.Histograms {
			out[i].Histograms = append(out[i].Histograms, promql.HPoint{T: h.T, H: h.H.Copy()})
		}
	}
	return out
}
