package evaluate

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// A tenant whose spans stop while its source sends others has lost its traffic;
// when the source stops too, nobody can know.
func TestLostTrafficOfSpans(t *testing.T) {
	for name, c := range map[string]struct{ alive, fires bool }{"the source sends others": {true, true}, "the source is silent": {false, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{YoungFor: 6 * time.Hour}, flowingCalls())
			tr := newTraffic(11)
			lost := epoch.Add(14 * time.Hour)
			r.play(tr, epoch.Add(time.Hour), lost)
			require.Empty(t, r.out.Alerts)
			for at := lost; at.Before(lost.Add(15 * time.Minute)); at = at.Add(5 * time.Second) {
				r.advance(at)
				if c.alive {
					r.e.Heard(at, "otel", []int64{at.UnixMilli() / 10_000 * 10_000})
				}
			}
			require.Equal(t, c.fires, len(firing(r.out.Alerts)) > 0)
		})
	}
}

func flowingCalls() rule.Rule {
	r := failingCalls()
	r.Name, r.Kind = "payment_traffic", rule.Traffic
	return r
}

// slowCalls is a rule on the histogram that is made of spans.
func slowCalls() rule.Rule {
	r := failingCalls()
	r.Name, r.Kind = "payment_latency", rule.Latency
	r.SLI = sli.Spec{Name: "durations", Source: sli.Spans, Histogram: sli.SpanDuration, Metric: sli.Buckets(sli.SpanDuration), Slices: []string{"acquirer"}}
	return r
}

func TestLatencyOfSpans(t *testing.T) {
	r := newRig(t, grownUp(), slowCalls())
	rng := rand.New(rand.NewPCG(12, 12))
	slow := 1.0
	send := func(at time.Time) {
		r.advance(at)
		r.e.Heard(at, "otel", []int64{at.UnixMilli() / 10_000 * 10_000})
		for _, acquirer := range []string{"alpha", "beta"} {
			n := map[int]float64{} // by the exponent of the edge
			for range 10 {
				d := (.02 + rng.ExpFloat64()*.05) * slow
				k := -10
				for edge := 1. / 1024; edge < d; edge *= 2 {
					k++
				}
				n[k]++
			}
			sum, edge := 0.0, 1./1024
			for k := -10; k <= 7; k, edge = k+1, 2*edge {
				sum += n[k]
				r.e.AddEvents(at, "shop", "otel", bucketOfCalls(acquirer, strconv.FormatFloat(edge, 'g', -1, 64)), []Event{{T: at.UnixMilli(), N: sum}})
			}
			r.e.AddEvents(at, "shop", "otel", bucketOfCalls(acquirer, "+Inf"), []Event{{T: at.UnixMilli(), N: sum}})
		}
	}
	fault := epoch.Add(6 * time.Hour)
	for at := epoch; at.Before(fault); at = at.Add(5 * time.Second) {
		send(at)
	}
	require.Empty(t, r.out.Alerts)
	require.InDelta(t, 240, r.e.Status("shop", r.now).SLIs[0].RatePerMinute, 30, "each call counts once, not once an edge")
	slow = 3
	for at := fault; at.Before(fault.Add(10 * time.Minute)); at = at.Add(5 * time.Second) {
		send(at)
	}
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, rule.Latency, fired[0].Kind)
	require.Positive(t, fired[0].Evidence.Over)
}

func bucketOfCalls(acquirer, le string) labels.Labels {
	return labels.NewBuilder(called("acquirer", acquirer, "status", "ok")).Set("__name__", sli.Buckets(sli.SpanDuration)).Set("le", le).Labels()
}
