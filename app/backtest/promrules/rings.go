package promrules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	stretch    = 4 * time.Hour
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
	return f.rings(ctx, data, from, to, stretch)
}

// rings evaluates a stretch after the other.
func (f *File) rings(ctx context.Context, data storage.Queryable, from, to time.Time, stretch time.Duration) ([]Ring, error) {
	a := &asker{made: memory{series: map[uint64][]*kept{}}, engine: promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: mostInHand, Timeout: time.Hour, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return defaultInterval.Milliseconds() },
		Parser:                   parser.NewParser(parser.Options{}),
	})}
	a.data = a.made.over(data)
	reach := time.Duration(0)
	for _, r := range slices.Concat(f.records, f.alerts) {
		reach = max(reach, r.reach+r.offset)
	}
	alive := make([]map[uint64]*life, len(f.alerts))
	for at := from; !at.After(to); at = at.Add(stretch) {
		w := window{from: from, at: at, end: at.Add(stretch), to: to}
		for i := range f.records {
			if err := a.record(ctx, &f.records[i], w); err != nil {
				return nil, problem.Wrap(err, problem.Invalid, "the recording rule %s cannot be evaluated", f.records[i].Record)
			}
		}
		for i := range f.alerts {
			if alive[i] == nil {
				alive[i] = map[uint64]*life{}
			}
			if err := a.alert(ctx, &f.alerts[i], alive[i], w); err != nil {
				return nil, problem.Wrap(err, problem.Invalid, "the alerting rule %s cannot be evaluated", f.alerts[i].Alert)
			}
		}
		if reach < forEver {
			a.made.forget(w.end.Add(-reach).UnixMilli())
		}
	}
	var out []Ring
	for i, lives := range alive {
		for _, l := range lives {
			l.missed(&f.alerts[i], to.UnixMilli()+1)
			out = append(out, l.out...)
		}
	}
	slices.SortFunc(out, func(a, b Ring) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Alert, b.Alert), cmp.Compare(a.Key(), b.Key()))
	})
	return out, nil
}

// window is a part of the time, so that what recording rules make of all of it need not
// be held at once: evaluations at at or later and before end.
type window struct{ from, at, end, to time.Time }

// evaluations are the first and the last of a rule in the window; each is a whole number
// of intervals after from.
func (w window) evaluations(r *rule) (first, last time.Time) {
	first = w.from.Add((w.at.Sub(w.from) + r.interval - 1) / r.interval * r.interval)
	if last = w.end.Add(-1); last.After(w.to) {
		last = w.to
	}
	return first, last
}

// ask evaluates an expression at every evaluation of a window, in pieces that the engine
// takes.
func (a *asker) ask(ctx context.Context, r *rule, w window, each func(promql.Series)) error {
	at, end := w.evaluations(r)
	at, end = at.Add(-r.offset), end.Add(-r.offset)
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
			n = max(1, n/10)
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
func (a *asker) record(ctx context.Context, r *rule, w window) error {
	b := labels.NewBuilder(labels.EmptyLabels())
	return a.ask(ctx, r, w, func(s promql.Series) {
		b.Reset(s.Metric)
		b.Set(labels.MetricName, r.Record)
		for name, v := range r.labels {
			b.Set(name, v)
		}
		a.made.keep(b.Labels(), s, r.interval.Milliseconds(), w.to.Add(-r.offset).UnixMilli())
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
	ls             labels.Labels
	at             []seen // of the window
	since, last    int64  // ms: active since, and when it was active last
	active, firing bool
	out            []Ring
}

// alert goes with an alerting rule through the evaluations of a window.
func (a *asker) alert(ctx context.Context, r *rule, lives map[uint64]*life, w window) error {
	err := a.ask(ctx, r, w, func(s promql.Series) {
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
				lives[h] = &life{ls: ls, last: math.MinInt64}
			}
			lives[h].at = append(lives[h].at, p)
		}
	})
	if err != nil {
		return err
	}
	for _, l := range lives {
		l.follow(r)
	}
	return nil
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

// follow goes through the evaluations of a window: the alert is pending from when it is
// first active and fires after for.
func (l *life) follow(r *rule) {
	slices.SortStableFunc(l.at, func(a, b seen) int { return int(a.t - b.t) })
	for _, p := range l.at {
		if p.t == l.last {
			continue
		}
		l.missed(r, p.t)
		if !l.active {
			l.active, l.since = true, p.t
		}
		if !l.firing && p.t-l.since >= time.Duration(r.For).Milliseconds() {
			l.firing = true
			l.out = append(l.out, Ring{Alert: r.Alert, Labels: l.ls.Map(), Summary: r.summary(p), From: time.UnixMilli(p.t).UTC()})
		}
		l.last = p.t
	}
	l.at = l.at[:0]
}

// missed follows the evaluations before until (ms) at which it was not active: it is over
// at the first, or when it has not been for keep_firing_for.
func (l *life) missed(r *rule, until int64) {
	step, keep := r.interval.Milliseconds(), time.Duration(r.KeepFiringFor).Milliseconds()
	if !l.active || l.last+step >= until {
		return
	}
	over := l.last + step + (keep+step-1)/step*step
	switch {
	case !l.firing:
		l.active = false
	case over < until:
		l.out[len(l.out)-1].To = time.UnixMilli(over).UTC()
		l.active, l.firing = false, false
	}
}
