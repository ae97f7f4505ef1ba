// Package param reads the parameters of Prometheus' query API: times, spans,
// durations, limits.
//
// It knows requests' forms and nothing of what is asked for; it must not import the
// TSDB, so that its fuzz target builds in seconds.
package param

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/tocsin-alerting/tocsin/problem"
)

// First and Last are the span that a question without start or end is about, as
// Prometheus has it.
var (
	First = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	Last  = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

// Time reads Unix seconds or RFC 3339. Times outside of what can be asked
// about become its ends.
func Time(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	if sec, err := strconv.ParseFloat(s, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(sec) {
		switch {
		case sec <= float64(First.Unix()):
			return First, nil
		case sec >= float64(Last.Unix()):
			return Last, nil
		}
		whole, part := math.Modf(sec)
		return time.Unix(int64(whole), int64(math.Round(part*1000))*int64(time.Millisecond)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	switch s { // the ends, whose years have too many digits for time.Parse
	case First.Format(time.RFC3339Nano):
		return First, nil
	case Last.Format(time.RFC3339Nano):
		return Last, nil
	}
	return time.Time{}, problem.New(problem.Malformed, "invalid parameter %q: it is no time", name).WithHint("Unix seconds or RFC 3339")
}

// Span reads start and end; without them everything.
func Span(r *http.Request) (from, to time.Time, err error) {
	if from, err = Time(r, "start", First); err != nil {
		return from, to, err
	}
	to, err = Time(r, "end", Last)
	return from, to, err
}

// Duration reads seconds or Prometheus' form, 1h30m; 0 when it is absent.
func Duration(r *http.Request, name string) (time.Duration, error) {
	s := r.Form.Get(name)
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return 0, problem.New(problem.Malformed, "invalid parameter %q: it is no duration", name).WithHint("seconds, or for example 1m")
	}
	return d, nil
}

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

// Limit is how many results are asked for; 0: all.
func Limit(r *http.Request) (int, error) {
	s := r.Form.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, problem.New(problem.Malformed, "invalid parameter \"limit\": it is no number from 0 up")
	}
	return n, nil
}
