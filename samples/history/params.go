package history

import (
	"net/http"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
)

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
