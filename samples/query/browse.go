package query

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Question asks what there is: series, label names or values.
type Question struct {
	Matchers [][]*labels.Matcher // any of them; none: everything (not for series)
	From, To time.Time           // zero: since ever, and for ever
	Limit    int                 // 0: all, up to the querier's own bound
}

// Found is an answer in order; Cut says that Limit left some out.
type Found[T any] struct {
	Items    []T
	Cut      bool
	Warnings []string
}

// WasCut is the warning of an answer that its limit cut.
const WasCut = "results truncated due to limit"

// Series lists the label sets of the series that any of the matchers select.
func (q *Querier) Series(ctx context.Context, f Fence, a Question) (found Found[labels.Labels], err error) {
	err = q.browse(ctx, f, a, func(ctx context.Context, in storage.Querier) error {
		from, to := a.span()
		hints := &storage.SelectHints{Start: from, End: to, Func: "series", Limit: a.ask(q.opts.MaxItems)}
		var sets []storage.SeriesSet
		for _, ms := range a.Matchers {
			sets = append(sets, in.Select(ctx, true, hints, ms...)) // in order: the merge needs it
		}
		set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
		found.Items = []labels.Labels{}
		for set.Next() {
			if len(found.Items)%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if found.Items = append(found.Items, set.At().Labels()); len(found.Items) > q.opts.MaxItems || a.Limit > 0 && len(found.Items) > a.Limit {
				break
			}
		}
		found.warn(set.Warnings())
		return set.Err()
	})
	if err != nil {
		return found, err
	}
	return found, trim(&found, a.Limit, q.opts.MaxItems)
}

// LabelNames lists the names of labels that the selected series have.
func (q *Querier) LabelNames(ctx context.Context, f Fence, a Question) (Found[string], error) {
	return q.words(ctx, f, a, func(ctx context.Context, in storage.Querier, h *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return in.LabelNames(ctx, h, ms...)
	})
}

// LabelValues lists the values that a label has in the selected series.
func (q *Querier) LabelValues(ctx context.Context, f Fence, name string, a Question) (Found[string], error) {
	return q.words(ctx, f, a, func(ctx context.Context, in storage.Querier, h *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return in.LabelValues(ctx, name, h, ms...)
	})
}

type lister func(context.Context, storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)

func (q *Querier) words(ctx context.Context, f Fence, a Question, list lister) (found Found[string], err error) {
	err = q.browse(ctx, f, a, func(ctx context.Context, in storage.Querier) error {
		sets := a.Matchers
		if len(sets) == 0 {
			sets = [][]*labels.Matcher{nil}
		}
		seen := map[string]struct{}{}
		for _, ms := range sets {
			words, notes, err := list(ctx, in, &storage.LabelHints{Limit: a.ask(q.opts.MaxItems)}, ms)
			if err != nil {
				return err
			}
			found.warn(notes)
			for _, w := range words {
				seen[w] = struct{}{}
			}
		}
		found.Items = slices.AppendSeq(make([]string, 0, len(seen)), maps.Keys(seen))
		slices.Sort(found.Items)
		return nil
	})
	if err != nil {
		return found, err
	}
	return found, trim(&found, a.Limit, q.opts.MaxItems)
}

// span is what the storage is asked about, in milliseconds.
func (a Question) span() (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !a.From.IsZero() {
		from = timestamp.FromTime(a.From)
	}
	if !a.To.IsZero() {
		to = timestamp.FromTime(a.To)
	}
	return from, to
}

// ask is how many results the storage is asked for: one more than is answered,
// so that it shows when there are more.
func (a Question) ask(most int) int {
	if a.Limit > 0 && a.Limit < most {
		return a.Limit + 1
	}
	return most + 1
}

func (f *Found[T]) warn(a annotations.Annotations) {
	more, _ := a.AsStrings("", 10, 0)
	f.Warnings = append(f.Warnings, more...)
}

// trim cuts what is beyond the limit asked for, with a warning, and refuses what
// is beyond the bound: a list that is cut unasked would be taken for whole.
func trim[T any](f *Found[T], limit, most int) error {
	if limit > 0 && len(f.Items) > limit {
		f.Items, f.Cut, f.Warnings = f.Items[:limit], true, append(f.Warnings, WasCut)
	}
	if len(f.Items) > most {
		return problem.New(problem.Invalid, "more than %d results", most).WithHint("narrow match[] or the time span, or set limit")
	}
	return nil
}

// browse runs within a slot, behind the fence.
func (q *Querier) browse(ctx context.Context, f Fence, a Question, do func(context.Context, storage.Querier) error) error {
	return q.within(ctx, func(ctx context.Context) (err error) {
		from, to := a.span()
		in, err := f.Around(q.data, q.opts.TenantLabel).Querier(from, to)
		if err != nil {
			return problem.Wrap(err, problem.Internal, "the metrics history cannot be read")
		}
		defer func() { _ = in.Close() }() // what was read is copied
		if err = do(ctx, in); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return asProblem(err)
		}
		return nil
	})
}

// Selectors reads selections of series, as match[] has them. One that matches
// everything is refused as in Prometheus.
func (q *Querier) Selectors(texts []string) ([][]*labels.Matcher, error) {
	sets, err := q.parser.ParseMetricSelectors(texts)
	if err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "invalid parameter \"match[]\": %v", err)
	}
next:
	for _, set := range sets {
		for _, m := range set {
			if !m.Matches("") {
				continue next
			}
		}
		return nil, problem.New(problem.Malformed, "match[] must contain at least one non-empty matcher")
	}
	return sets, nil
}
