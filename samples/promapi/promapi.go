// Package promapi is Prometheus' query API over HTTP: what Grafana's data source and
// promtool call, with Prometheus' parameters, answers, errors and statuses.
//
// It knows requests and how a Querier is asked; it must not know who may ask what (it
// is handed the Fence) nor where the data are kept.
package promapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/promapi/param"
	"github.com/tocsin-alerting/tocsin/samples/query"
)

// Prometheus' answer.
type envelope struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

type data struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     parser.Value     `json:"result"`
	Stats      stats.QueryStats `json:"stats,omitempty"`
}

// Handler is one endpoint of Prometheus' query API behind a fence.
type Handler func(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence)

// API has the endpoints. All fields are needed.
type API struct {
	Now     func() time.Time // of a query that names no time
	Logger  *slog.Logger
	Version string // tocsin's own, told with the build information
}

// Instant answers /api/v1/query: query, time, timeout, limit, lookback_delta,
// stats; by GET or as a form.
func (a API) Instant(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serveValue(w, r, func(ctx context.Context, what query.Ask) (*query.Result, error) {
		at, err := param.Time(r, "time", a.Now())
		if err != nil {
			return nil, err
		}
		return q.Instant(ctx, f, what, at)
	})
}

// Range answers /api/v1/query_range: query, start, end, step, timeout, limit,
// lookback_delta, stats; by GET or as a form.
func (a API) Range(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serveValue(w, r, func(ctx context.Context, what query.Ask) (*query.Result, error) {
		if r.Form.Get("start") == "" || r.Form.Get("end") == "" {
			return nil, problem.New(problem.Malformed, "start and end are needed")
		}
		from, to, err := param.Span(r)
		if err != nil {
			return nil, err
		}
		step, err := param.Duration(r, "step")
		if err != nil {
			return nil, err
		}
		return q.Range(ctx, f, what, from, to, step)
	})
}

// Series answers /api/v1/series: match[] (needed), start, end, limit.
func (a API) Series(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serveList(q, w, r, func(ctx context.Context, what query.Question) (any, []string, error) {
		if len(what.Matchers) == 0 {
			return nil, nil, problem.New(problem.Malformed, "no match[] parameter provided")
		}
		found, err := q.Series(ctx, f, what)
		return found.Items, found.Warnings, err
	})
}

// Labels answers /api/v1/labels: match[], start, end, limit.
func (a API) Labels(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serveList(q, w, r, func(ctx context.Context, what query.Question) (any, []string, error) {
		found, err := q.LabelNames(ctx, f, what)
		return found.Items, found.Warnings, err
	})
}

// LabelValues answers /api/v1/label/{name}/values: match[], start, end, limit.
func (a API) LabelValues(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serveList(q, w, r, func(ctx context.Context, what query.Question) (any, []string, error) {
		name := r.PathValue("name")
		if strings.HasPrefix(name, "U__") {
			name = model.UnescapeName(name, model.ValueEncodingEscaping)
		}
		if !model.UTF8Validation.IsValidLabelName(name) {
			return nil, nil, problem.New(problem.Malformed, "invalid label name")
		}
		found, err := q.LabelValues(ctx, f, name, what)
		return found.Items, found.Warnings, err
	})
}

// Describe answers /api/v1/metadata: metric, limit, limit_per_metric.
func (a API) Describe(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	a.serve(w, r, func(ctx context.Context) (envelope, error) {
		most := map[string]int{"limit": -1, "limit_per_metric": -1}
		for name := range most {
			if s := r.Form.Get(name); s != "" {
				n, err := strconv.Atoi(s)
				if err != nil {
					return envelope{}, problem.New(problem.Malformed, "%s must be a number", name)
				}
				most[name] = n
			}
		}
		said, err := q.Describe(ctx, f, r.Form.Get("metric"))
		if err != nil {
			return envelope{}, err
		}
		out := map[string][]query.Meta{}
		for _, family := range slices.Sorted(maps.Keys(said)) {
			if n := most["limit"]; n >= 0 && len(out) >= n {
				break
			}
			out[family] = said[family]
			if n := most["limit_per_metric"]; n > 0 && len(out[family]) > n {
				out[family] = out[family][:n]
			}
		}
		return envelope{Data: out}, nil
	})
}

// BuildInfo answers /api/v1/status/buildinfo. Version is that of the Prometheus
// whose query language is spoken: clients decide by it what they may ask.
func (a API) BuildInfo(q *query.Querier, w http.ResponseWriter, r *http.Request, _ query.Fence) {
	a.serve(w, r, func(context.Context) (envelope, error) {
		return envelope{Data: map[string]string{"application": "tocsin", "version": spoken(), "revision": a.Version, "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version()}}, nil
	})
}

// spoken is the version of Prometheus built in: module version v0.315.0 is 3.15.0.
func spoken() string {
	const atLeast = "3.15.0" // in builds that do not record their modules
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return atLeast
	}
	for _, m := range info.Deps {
		if m.Path != "github.com/prometheus/prometheus" {
			continue
		}
		parts := strings.Split(strings.TrimPrefix(m.Version, "v"), ".")
		if len(parts) == 3 && len(parts[1]) == 3 {
			if minor, err := strconv.Atoi(parts[1][1:]); err == nil {
				return parts[1][:1] + "." + strconv.Itoa(minor) + "." + parts[2]
			}
		}
	}
	return atLeast
}

func (a API) serveValue(w http.ResponseWriter, r *http.Request, run func(context.Context, query.Ask) (*query.Result, error)) {
	a.serve(w, r, func(ctx context.Context) (envelope, error) {
		limit, err := param.Limit(r)
		if err != nil {
			return envelope{}, err
		}
		what := query.Ask{Query: r.Form.Get("query"), Stats: r.Form.Get("stats") != ""}
		if what.Lookback, err = param.Duration(r, "lookback_delta"); err != nil {
			return envelope{}, err
		}
		if r.Form.Get("timeout") != "" {
			d, err := param.Duration(r, "timeout")
			if err != nil || d <= 0 {
				return envelope{}, problem.New(problem.Malformed, "invalid parameter \"timeout\": it is no positive duration").WithHint("seconds, or for example 30s")
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		}
		res, err := run(ctx, what)
		if err != nil {
			return envelope{}, err
		}
		v, cut := filled(res.Value, limit)
		if cut {
			res.Warnings = append(res.Warnings, query.WasCut)
		}
		return envelope{Data: data{ResultType: v.Type(), Result: v, Stats: res.Stats}, Warnings: res.Warnings, Infos: res.Infos}, nil
	})
}

// filled is a value cut to the limit (0: none), and no null where a list stands.
func filled(v parser.Value, limit int) (_ parser.Value, cut bool) {
	switch x := v.(type) {
	case promql.Matrix:
		if limit > 0 && len(x) > limit {
			return x[:limit], true
		}
		return append(promql.Matrix{}, x...), false
	case promql.Vector:
		if limit > 0 && len(x) > limit {
			return x[:limit], true
		}
		return append(promql.Vector{}, x...), false
	}
	return v, false
}

func (a API) serveList(q *query.Querier, w http.ResponseWriter, r *http.Request, run func(context.Context, query.Question) (any, []string, error)) {
	a.serve(w, r, func(ctx context.Context) (e envelope, err error) {
		var what query.Question
		if what.Limit, err = param.Limit(r); err != nil {
			return e, err
		}
		if what.From, what.To, err = param.Span(r); err != nil {
			return e, err
		}
		if what.Matchers, err = q.Selectors(r.Form["match[]"]); err != nil {
			return e, err
		}
		e.Data, e.Warnings, err = run(ctx, what)
		return e, err
	})
}

// formBytes bounds a form; queries of dashboards are far smaller.
const formBytes = 1 << 20

func (a API) serve(w http.ResponseWriter, r *http.Request, run func(context.Context) (envelope, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, formBytes)
	if err := r.ParseForm(); err != nil {
		Fail(w, problem.Wrap(err, problem.Malformed, "the form cannot be read"))
		return
	}
	body, err := run(r.Context())
	if err != nil {
		if problem.Is(err, problem.Internal) {
			a.Logger.Error("query failed", "err", err)
		}
		Fail(w, err)
		return
	}
	body.Status = "success"
	write(w, http.StatusOK, body)
}

func write(w http.ResponseWriter, status int, body envelope) {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(body); err != nil {
		text.Reset()
		status = http.StatusInternalServerError
		text.WriteString(`{"status":"error","errorType":"internal","error":"the result cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the client may be gone
}

// clientLeft is the status Prometheus has for a query whose client went away.
const clientLeft = 499

// Fail prints an error in Prometheus' form, with its names and statuses where it
// has one for the case.
func Fail(w http.ResponseWriter, err error) {
	p := problem.From(err)
	text, kind, status := p.Message, "internal", p.Kind.Status()
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	var canceled promql.ErrQueryCanceled
	switch p.Kind {
	case problem.Malformed:
		kind = "bad_data"
	case problem.Invalid:
		kind = "execution"
	case problem.Unavailable:
		kind = "unavailable"
		var timeout promql.ErrQueryTimeout
		switch {
		case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
			kind = "timeout"
		case errors.As(err, &canceled), errors.Is(err, context.Canceled):
			kind, status = "canceled", clientLeft
		}
	case problem.NotFound:
		kind = "not_found"
	case problem.Unauthenticated, problem.Forbidden:
		kind = string(p.Kind)
	case problem.TooMany:
		kind = "too_many_requests"
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(1, p.RetryAfter/time.Second))))
	}
	write(w, status, envelope{Status: "error", ErrorType: kind, Error: text})
}
