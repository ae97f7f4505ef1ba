package promapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/samples/promapi/param"
	"github.com/tocsin-alerting/tocsin/samples/query"
)

// Exemplars answers /api/v1/query_exemplars: query, start, end.
func (a API) Exemplars(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
	type example struct {
		Labels    labels.Labels `json:"labels"`
		Value     string        `json:"value"`
		Timestamp float64       `json:"timestamp"`
	}
	type row struct {
		SeriesLabels labels.Labels `json:"seriesLabels"`
		Exemplars    []example     `json:"exemplars"`
	}
	a.serve(w, r, func(ctx context.Context) (envelope, error) {
		from, to, err := param.Span(r)
		if err != nil {
			return envelope{}, err
		}
		found, err := q.Exemplars(ctx, f, r.Form.Get("query"), from, to)
		if err != nil {
			return envelope{}, err
		}
		out := []row{}
		for _, s := range found {
			x := row{SeriesLabels: s.SeriesLabels, Exemplars: []example{}}
			for _, e := range s.Exemplars {
				x.Exemplars = append(x.Exemplars, example{e.Labels, strconv.FormatFloat(e.Value, 'f', -1, 64), float64(e.Ts) / 1000})
			}
			out = append(out, x)
		}
		return envelope{Data: out}, nil
	})
}
