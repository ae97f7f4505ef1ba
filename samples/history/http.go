package history

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Prometheus' answer.
type envelope struct {
	Status    string   `json:"status"`
	Data      *data    `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

type data struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     parser.Value     `json:"result"`
}

// ServeInstant answers Prometheus' /api/v1/query: query, time, timeout; by GET or
// as a form.
func (q *Querier) ServeInstant(w http.ResponseWriter, r *http.Request, f Fence) {
	q.serve(w, r, func(ctx context.Context) (*Result, error) {
		at, err := timeParam(r, "time", q.opts.Now())
		if err != nil {
			return nil, err
		}
		return q.Instant(ctx, f, r.Form.Get("query"), at)
	})
}

// ServeRange answers Prometheus' /api/v1/query_range: query, start, end, step,
// timeout; by GET or as a form.
func (q *Querier) ServeRange(w http.ResponseWriter, r *http.Request, f Fence) {
	q.serve(w, r, func(ctx context.Context) (*Result, error) {
		from, err := timeParam(r, "start", time.Time{})
		if err != nil {
			return nil, err
		}
		to, err := timeParam(r, "end", time.Time{})
		if err != nil {
			return nil, err
		}
		if from.IsZero() || to.IsZero() {
			return nil, problem.New(problem.Malformed, "start and end are needed")
		}
		step, err := parseDuration(r.Form.Get("step"))
		if err != nil {
			return nil, problem.New(problem.Malformed, "step is no duration").WithHint("seconds, or for example 1m")
		}
		return q.Range(ctx, f, r.Form.Get("query"), from, to, step)
	})
}

func (q *Querier) serve(w http.ResponseWriter, r *http.Request, run func(context.Context) (*Result, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		write(w, nil, problem.Wrap(err, problem.Malformed, "the form cannot be read"))
		return
	}
	ctx := r.Context()
	if t := r.Form.Get("timeout"); t != "" {
		d, err := parseDuration(t)
		if err != nil || d <= 0 {
			write(w, nil, problem.New(problem.Malformed, "timeout is no positive duration").WithHint("seconds, or for example 30s"))
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, min(d, q.opts.Timeout))
		defer cancel()
	}
	res, err := run(ctx)
	if err != nil && problem.Is(err, problem.Internal) {
		q.opts.Logger.Error("query failed", "err", err)
	}
	write(w, res, err)
}

func write(w http.ResponseWriter, res *Result, err error) {
	status, body := http.StatusOK, envelope{Status: "success"}
	if err != nil {
		status, body = failure(problem.From(err))
	} else {
		v := res.Value
		if m, ok := v.(promql.Matrix); ok && m == nil {
			v = promql.Matrix{}
		}
		if x, ok := v.(promql.Vector); ok && x == nil {
			v = promql.Vector{}
		}
		body.Data = &data{ResultType: v.Type(), Result: v}
		body.Warnings, body.Infos = res.Warnings, res.Infos
	}
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

// failure is a problem with Prometheus' names and statuses.
func failure(p *problem.Error) (int, envelope) {
	text := p.Message
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	kind := "internal"
	switch p.Kind {
	case problem.Malformed:
		kind = "bad_data"
	case problem.Invalid:
		kind = "execution"
	case problem.Unavailable:
		kind = "timeout"
	}
	return p.Kind.Status(), envelope{Status: "error", ErrorType: kind, Error: text}
}

// timeParam reads Unix seconds or RFC 3339.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(sec) < 1<<53/1000 {
		return time.UnixMilli(int64(math.Round(sec * 1000))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return time.Time{}, problem.New(problem.Malformed, "%s is no time", name).WithHint("Unix seconds or RFC 3339")
}

// parseDuration reads seconds or Prometheus' form, 1h30m.
func parseDuration(s string) (time.Duration, error) {
	if sec, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(sec) || math.Abs(sec) > math.MaxInt64/1e10 {
			return 0, strconv.ErrRange
		}
		return time.Duration(sec * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(s)
	return time.Duration(d), err
}
