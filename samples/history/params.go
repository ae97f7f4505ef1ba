package history

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
)

// The span that a question without start or end is about, as Prometheus has it.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

// timeParam reads Unix seconds or RFC 3339. Times outside of what can be asked
// about become its ends.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	if sec, err := strconv.ParseFloat(s, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(sec) {
		switch {
		case sec <= float64(minTime.Unix()):
			return minTime, nil
		case sec >= float64(maxTime.Unix()):
			return maxTime, nil
		}
		whole, part := math.Modf(sec)
		return time.Unix(int64(whole), int64(math.Round(part*1000))*int64(time.Millisecond)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	switch s { // the ends, whose years have too many digits for time.Parse
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	return time.Time{}, problem.New(problem.Malformed, "invalid parameter %q: it is no time", name).WithHint("Unix seconds or RFC 3339")
}

// span reads start and end; without them everything.
func span(r *http.Request) (from, to time.Time, err error) {
	if from, err = timeParam(r, "start", minTime); err != nil {
		return from, to, err
	}
	to, err = timeParam(r, "end", maxTime)
	return from, to, err
}

// durationParam reads seconds or Prometheus' form, 1h30m; 0 when it is absent.
func durationParam(r *http.Request, name string) (time.Duration, error) {
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

// limitParam is how many results are asked for; 0: all.
func limitParam(r *http.Request) (int, error) {
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

// selectors reads match[]. One that matches everything is refused as in Prometheus.
func (q *Querier) selectors(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := q.parser.ParseMetricSelectors(r.Form["match[]"])
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
