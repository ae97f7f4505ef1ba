package simulate

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// DurationMetric is the histogram of how long events take, kept where Options say how
// long that usually is.
const DurationMetric = "payment_duration_seconds"

// Edges are its buckets, those of Prometheus' client libraries, in seconds.
var edges = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, math.Inf(1)}

// spread is the standard deviation of a duration's logarithm.
const spread = 0.6

// timing is a cell's histogram. Durations have a source of their own, so that a world
// with them differs from the one without by them alone.
type timing struct {
	labels []labels.Labels // per edge
	n      []uint64        // since start, up to the edge
	start  time.Time
	rng    *rand.Rand
}

func (g *Gateway) newTiming(id Cell, seed uint64) *timing {
	t := &timing{n: make([]uint64, len(edges)), rng: rand.New(rand.NewPCG(g.opts.Seed, seed))}
	for _, le := range edges {
		text := strconv.FormatFloat(le, 'g', -1, 64)
		t.labels = append(t.labels, labels.FromStrings(labels.MetricName, DurationMetric+"_bucket",
			"environment", g.opts.Environment, "tenant", id.Tenant, "service", g.opts.Service,
			"method", id.Method, "country", id.Country, "acquirer", id.Acquirer, "le", text))
	}
	return t
}

// take draws how long n events took around the median.
func (t *timing) take(n uint64, median float64, at time.Time) {
	if n > 0 && t.start.IsZero() {
		t.start = at
	}
	for range n {
		took := median * math.Exp(spread*t.rng.NormFloat64())
		for i := len(edges) - 1; i >= 0 && took <= edges[i]; i-- {
			t.n[i]++
		}
	}
}

func (t *timing) series(out []Series) []Series {
	if t == nil || t.start.IsZero() {
		return out
	}
	for i, ls := range t.labels {
		out = append(out, Series{Labels: ls, Value: float64(t.n[i]), Start: t.start})
	}
	return out
}

// slower is how many times longer a cell's events take now.
func (g *Gateway) slower(c *cell) float64 {
	times := 1.0
	for _, f := range g.faults {
		if f.Kind == Slow && f.on(g.now) && f.hits(c.Cell) {
			times *= f.Size
		}
	}
	return times
}
