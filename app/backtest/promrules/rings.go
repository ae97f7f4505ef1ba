package promrules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"

	"github.com/tocsin-alerting/tocsin/problem"
)

const (
	piece      = 10_000     // evaluations asked for at once
	mostInHand = 50_000_000 // samples that one query may hold: Prometheus' own default
)

// Ring is an alert that fires: from the evaluation at which it began to the one at which
// it was over; zero: it still fires.
type Ring struct {
	Alert    string
	Labels   map[string]string // alertname included
	Summary  string            // the annotation summary, else description or message, as it began; may be empty
	From, To time.Time
}

// Key tells alerts apart.
func (r Ring) Key() string { return labels.FromMap(r.Labels).String() }

// asker evaluates over the samples and what was recorded of them.
type asker struct {
	engine *promql.Engine
	data   storage.Queryable
	made   memory
}

// Rings evaluates the file over data from from to to and lists what fired, by time. The
// first evaluation of every group is at from.
func (f *File) Rings(ctx context.Context, data storage.Queryable, from, to time.Time) ([]Ring, error) {
	a := &asker{made: memory{series: map[uint64][]*kept{}}, engine: promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: mostInHand, Timeout: time.Hour, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return defaultInterval.Milliseconds() },
		Parser:                   parser.NewParser(parser.Options{}),
	})}
	a.data = a.made.over(data)
	for i := range f.records {
		if err := a.record(ctx, &f.records[i], from, to); err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "the recording rule %s cannot be evaluated", f.records[i].Record)
		}
	}
	var out []Ring
	for i := range f.alerts {
		rings, err := a.alert(ctx, &f.alerts[i], from, to)
		if err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "the alerting rule %s cannot be evaluated", f.alerts[i].Alert)
		}
		out = append(out, rings...)
	}
	slices.SortFunc(out, func(a, b Ring) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Alert, b.Alert), cmp.Compare(a.Key(), b.Key()))
	})
	return out, nil
}

// ask evaluates an expression at every evaluation, in pieces that the engine takes.
func (a *asker) ask(ctx context.Context, r *rule, from, to time.Time, each func(promql.Series)) error {
	at, end := from.Add(-r.offset), to.Add(-r.offset)
	for n := piece; !at.After(end); {
		last := at.Add(r.interval * time.Duration(n-1))
		if last.After(end) {
			last = end
		}
		q, err := a.engine.NewRangeQuery(ctx, a.data, nil, r.Expr, at, last, r.interval)
		if err != nil {
			return err
		}
		res := q.Exec(ctx)
		m, err := res.Matrix()
		if err == nil {
			for _, s := range m {
				each(s)
			}
		}
		q.Close()
		var tooMany promql.ErrTooManySamples
		if errors.As(res.Err, &tooMany) && n > 1 {
			n /= 10
			continue
		}
		if err != nil {
			return err
		}
		at = at.Add(r.interval * time.Duration(n))
	}
	return nil
}

// record keeps what a recording rule makes.
func (a *asker) record(ctx context.Context, r *rule, from, to time.Time) error {
	b := labels.NewBuilder(labels.EmptyLabels())
	return a.ask(ctx, r, from, to, func(s promql.Series) {
		b.Reset(s.Metric)
		b.Set(labels.MetricName, r.Record)
		for name, v := range r.labels {
			b.Set(name, v)
		}
		a.made.keep(b.Labels(), s, r.interval.Milliseconds(), to.Add(-r.offset).UnixMilli())
	})
}

// seen is one evaluation at which an alert was active, and the series it came from.
type seen struct {
	t      int64
	v      float64
	metric labels.Labels
}

// life is one alert: what has the same labels.
type life struct {
	ls labels.Labels
	at []seen
}

// alert goes with an alerting rule through all evaluations.
func (a *asker) alert(ctx context.Context, r *rule, from, to time.Time) ([]Ring, error) {
	lives := map[uint64]*life{}
	err := a.ask(ctx, r, from, to, func(s promql.Series) {
		points := make([]seen, 0, len(s.Floats)+len(s.Histograms))
		for _, p := range s.Floats {
			points = append(points, seen{p.T, p.F, s.Metric})
		}
		for _, p := range s.Histograms {
			points = append(points, seen{t: p.T, metric: s.Metric})
		}
		var ls labels.Labels
		for i, p := range points {
			p.t += r.offset.Milliseconds()
			if i == 0 || r.templated() {
				ls = r.labelsOf(p)
			}
			h := ls.Hash()
			if lives[h] == nil {
				lives[h] = &life{ls: ls}
			}
			lives[h].at = append(lives[h].at, p)
		}
	})
	if err != nil {
		return nil, err
	}
	var out []Ring
	for _, l := range lives {
		out = append(out, l.rings(r, to)...)
	}
	return out, nil
}

// templated says whether the labels follow the value and not the series alone.
func (r *rule) templated() bool {
	for _, v := range r.labels {
		if strings.Contains(v, "{{") && (strings.Contains(v, "alue") || strings.Contains(v, "query")) {
			return true
		}
	}
	return false
}

// labelsOf are the alert's: the series' with the rule's set, templates expanded.
func (r *rule) labelsOf(p seen) labels.Labels {
	b := labels.NewBuilder(p.metric)
	b.Del(labels.MetricName)
	for name, v := range r.labels {
		b.Set(name, r.expand(v, p))
	}
	b.Set(labels.AlertName, r.Alert)
	return b.Labels()
}

// expand fills in a template, as far as it asks nothing.
func (r *rule) expand(text string, p seen) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	data := template.AlertTemplateData(p.metric.Map(), nil, "", promql.Sample{T: p.t, F: p.v, Metric: p.metric})
	const defs = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
	nothing := func(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }
	out, err := template.NewTemplateExpander(context.Background(), defs+text, "__alert_"+r.Alert, data, model.Time(p.t), nothing, &url.URL{}, nil).Expand()
	if err != nil {
		return fmt.Sprintf("<error expanding template: %s>", err)
	}
	return out
}

func (r *rule) summary(p seen) string {
	for _, name := range []string{"summary", "description", "message"} {
		if text := r.Annotations[name]; text != "" {
			return strings.Join(strings.Fields(r.expand(text, p)), " ")
		}
	}
	return ""
}

// rings are the times at which the alert fired: it is pending from when it is first
// active, fires after for, and is over at the first evaluation at which it is not active,
// or has not been for keep_firing_for.
func (l *life) rings(r *rule, to time.Time) (out []Ring) {
	slices.SortStableFunc(l.at, func(a, b seen) int { return int(a.t - b.t) })
	step, wait, keep := r.interval.Milliseconds(), time.Duration(r.For).Milliseconds(), time.Duration(r.KeepFiringFor).Milliseconds()
	var since, last int64
	active, firing := false, false
	missed := func(until int64) { // evaluations after last and before until
		over := last + step + (keep+step-1)/step*step
		switch {
		case last+step >= until:
			return
		case firing && over < until:
			out[len(out)-1].To = time.UnixMilli(over).UTC()
			active, firing = false, false
		case !firing:
			active = false
		}
	}
	for i, p := range l.at {
		if i > 0 && p.t == last {
			continue
		}
		if i > 0 {
			missed(p.t)
		}
		if !active {
			active, since = true, p.t
		}
		if !firing && p.t-since >= wait {
			firing = true
			out = append(out, Ring{Alert: r.Alert, Labels: l.ls.Map(), Summary: r.summary(p), From: time.UnixMilli(p.t).UTC()})
		}
		last = p.t
	}
	missed(to.UnixMilli() + 1)
	return out
}
