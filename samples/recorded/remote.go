package recorded

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
)

// remote is a Prometheus that is asked over its query API. It is only read.
type remote struct {
	api    v1.API
	series map[model.Fingerprint][]*Series
	met    int
}

// asked is how much is read by one query: with 11,000 series scraped every 15 s
// about a million samples.
const (
	asked          = 20 * time.Minute
	answeredWithin = 2 * time.Minute
)

func openRemote(address string) (Source, error) {
	c, err := api.NewClient(api.Config{Address: address, Client: &http.Client{Timeout: answeredWithin}})
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the address of the Prometheus cannot be used")
	}
	return &remote{api: v1.NewAPI(c), series: map[model.Fingerprint][]*Series{}}, nil
}

// Close implements Source.
func (r *remote) Close() error { return nil }

// Span implements Source: from where the Prometheus says its storage begins to now.
func (r *remote) Span(ctx context.Context) (from, to time.Time, err error) {
	v, _, _, err := r.api.Query(ctx, `prometheus_tsdb_lowest_timestamp_seconds`, time.Now())
	if err != nil {
		return from, to, unanswered(err)
	}
	vec, ok := v.(model.Vector)
	if !ok || len(vec) == 0 {
		return from, to, problem.New(problem.Invalid, "the Prometheus does not say how far back its data goes").WithHint("give --from")
	}
	first := math.Inf(1)
	for _, s := range vec {
		first = min(first, float64(s.Value))
	}
	return time.Unix(int64(first), 0).UTC(), time.Now().UTC(), nil
}

func unanswered(err error) error {
	return problem.Wrap(err, problem.Unavailable, "the Prometheus does not answer").WithHint("check its address; it must serve /api/v1/query")
}

// Read implements Source.
func (r *remote) Read(ctx context.Context, q Query, take func(Stretch) error) error {
	if len(q.Metrics) == 0 {
		return problem.New(problem.Invalid, "a Prometheus is asked for metrics by name")
	}
	return q.stretches(ctx, asked, func(from, to int64) error {
		runs, err := r.ask(ctx, q.Metrics, from, to)
		if err != nil {
			return err
		}
		return take(Stretch{from, to, runs})
	})
}

// ask reads from <= T < to. A range selector leaves out its left end.
func (r *remote) ask(ctx context.Context, metrics []string, from, to int64) ([]*Run, error) {
	query := fmt.Sprintf(`{__name__=~"%s"}[%dms]`, alternatives(metrics), to-from)
	v, _, _, err := r.api.Query(ctx, query, time.UnixMilli(to-1))
	if err != nil {
		return nil, unanswered(err)
	}
	m, ok := v.(model.Matrix)
	if !ok {
		return nil, problem.New(problem.Invalid, "the Prometheus answers a range selector with something else")
	}
	runs := make([]*Run, 0, len(m))
	for _, s := range m {
		xs := make([]Sample, len(s.Values))
		for i, x := range s.Values {
			xs[i] = Sample{int64(x.Timestamp), float64(x.Value)}
		}
		runs = append(runs, &Run{r.known(s.Metric), &listed{rest: xs, last: math.MinInt64}})
	}
	return runs, nil
}

func (r *remote) known(m model.Metric) *Series {
	f := m.Fingerprint()
	b := labels.NewScratchBuilder(len(m))
	for k, v := range m {
		b.Add(string(k), string(v))
	}
	b.Sort()
	ls := b.Labels()
	for _, s := range r.series[f] {
		if labels.Equal(s.Labels, ls) {
			return s
		}
	}
	s := &Series{Labels: ls, Index: r.met}
	r.met++
	r.series[f] = append(r.series[f], s)
	return s
}
