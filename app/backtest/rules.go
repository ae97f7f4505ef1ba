package backtest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// RangeFunc evaluates PromQL from from to to, both included, every step, and
// calls each for every series with the unix milliseconds at which it has a value,
// ascending.
type RangeFunc func(ctx context.Context, expr string, from, to time.Time, step time.Duration, each func(ls map[string]string, at []int64)) error

// Evaluator evaluates over recorded data, as a Prometheus would.
func Evaluator(src recorded.Stored, tenantLabel string) RangeFunc {
	q := query.New(src.Queryable(), query.Options{TenantLabel: tenantLabel})
	return func(ctx context.Context, expr string, from, to time.Time, step time.Duration, each func(map[string]string, []int64)) error {
		res, err := q.Range(ctx, query.Fence{Any: true}, query.Ask{Query: expr}, from, to, step)
		if err != nil {
			return err
		}
		m, _ := res.Value.(promql.Matrix)
		for _, s := range m {
			at := make([]int64, len(s.Floats))
			for i, p := range s.Floats {
				at[i] = p.T
			}
			ls := map[string]string{}
			s.Metric.Range(func(l labels.Label) { ls[l.Name] = l.Value })
			each(ls, at)
		}
		return nil
	}
}

// Theirs are the alerting rules that are compared with.
type Theirs struct {
	groups   []rulefmt.RuleGroup
	Skipped  []string // recording rules: their series must have been recorded
	interval time.Duration
}

const defaultInterval = time.Minute

// ParseRules reads a Prometheus rule file.
func ParseRules(raw []byte) (*Theirs, error) {
	g, errs := rulefmt.Parse(raw, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		text := ""
		for _, e := range errs {
			text += "; " + e.Error()
		}
		return nil, problem.New(problem.Invalid, "the rule file cannot be read: %s", text[2:]).WithHint("promtool check rules says the same")
	}
	t := &Theirs{groups: g.Groups, interval: defaultInterval}
	for _, group := range g.Groups {
		for _, r := range group.Rules {
			if r.Record != "" {
				t.Skipped = append(t.Skipped, r.Record)
			}
		}
	}
	return t, nil
}

// Pages evaluates the alerting rules over the time and says when each would have
// notified. A series that is gone for a step has ended; back within 15 minutes is
// the same page.
func (t *Theirs) Pages(ctx context.Context, eval RangeFunc, tenantLabel string, from, to time.Time) ([]Page, error) {
	var out []Page
	for _, g := range t.groups {
		step := time.Duration(g.Interval)
		if step <= 0 {
			step = t.interval
		}
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			found, err := one(ctx, eval, r, tenantLabel, from, to, step)
			if err != nil {
				return nil, problem.Wrap(err, problem.From(err).Kind, "rule %s", r.Alert)
			}
			out = append(out, found...)
		}
	}
	slices.SortStableFunc(out, func(a, b Page) int { return a.At.Compare(b.At) })
	return out, nil
}

// one evaluates a rule in pieces that a query engine takes, and keeps what was
// pending at the end of a piece.
func one(ctx context.Context, eval RangeFunc, r rulefmt.Rule, tenantLabel string, from, to time.Time, step time.Duration) ([]Page, error) {
	const points = 10_000
	lives := map[string]*life{}
	for at := from; !at.After(to); at = at.Add(step * points) {
		end := at.Add(step * (points - 1))
		if end.After(to) {
			end = to
		}
		err := eval(ctx, r.Expr, at, end, step, func(ls map[string]string, times []int64) {
			key := fmt.Sprint(ls)
			l := lives[key]
			if l == nil {
				l = &life{labels: maps.Clone(ls)}
				lives[key] = l
			}
			for _, ms := range times {
				l.seen(time.UnixMilli(ms).UTC(), step, time.Duration(r.For))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var out []Page
	for _, l := range lives {
		who := l.labels[tenantLabel]
		if who == "" {
			who = string(tenant.Product)
		}
		for _, at := range l.fired {
			out = append(out, Page{At: at, Tenant: who, Service: l.labels["service"], Rule: r.Alert})
		}
	}
	return out, nil
}

// life is one series of a rule.
type life struct {
	labels      map[string]string
	since, last time.Time
	firing      bool
	fired       []time.Time
	ended       time.Time
}

func (l *life) seen(at time.Time, step, wait time.Duration) {
	if l.last.IsZero() || at.Sub(l.last) > step+step/2 {
		if l.firing {
			l.ended = l.last
		}
		l.since, l.firing = at, false
	}
	l.last = at
	if l.firing || at.Sub(l.since) < wait {
		return
	}
	l.firing = true
	if l.ended.IsZero() || at.Sub(l.ended) > samePage {
		l.fired = append(l.fired, at)
	}
}
