package evaluate

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// mirror keeps what an engine is given in a TSDB as well.
type mirror struct {
	*twin
	ng *promql.Engine
}

func newMirror(t *testing.T, r rule.Rule) *mirror {
	ng := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true})})
	t.Cleanup(func() { require.NoError(t, ng.Close()) })
	return &mirror{ng: ng, twin: &twin{rig: newRig(t, grownUp(), r), db: teststorage.New(t), ref: map[string][]applied{}, ls: map[string]labels.Labels{}, staled: map[string]bool{}, last: map[string]int64{}}}
}

// check holds the counters of each window to the PromQL form.
func (m *mirror) check(spec sli.Spec, from int, n, k func(d closed) float64, slice sli.Slice) {
	windows := 0
	for _, length := range []int{4, 8, 40} {
		for to := from + length; to < len(m.steps); to += 7 {
			var sumN, sumK float64
			for _, d := range m.steps[to-length : to] {
				sumN, sumK = sumN+n(d), sumK+k(d)
			}
			start, end := m.steps[to-length].step.Start, m.steps[to-1].step.End
			bad, total := spec.PromQL(time.Duration(end-start)*time.Millisecond, nil, slice)
			require.InDelta(m.t, m.query(m.ng, total, end), sumN, 1e-6, total)
			require.InDelta(m.t, m.query(m.ng, bad, end), sumK, 1e-6, bad)
			windows++
		}
	}
	require.Greater(m.t, windows, 50)
}

func total(d closed) float64 { return d.total }
func bad(d closed) float64   { return d.bad }

func TestDeclinesTwin(t *testing.T) {
	m := newMirror(t, declining())
	s := newShop(9)
	for at := epoch; at.Before(epoch.Add(2 * time.Hour)); at = at.Add(15 * time.Second) {
		s.grow(at)
		m.advance(at.Add(time.Second))
		for _, g := range s.series {
			m.push(g.ls.String(), g.ls, at.UnixMilli(), g.v)
		}
		m.record()
	}
	m.check(answered(), 4, total, bad, nil)
	card := sli.Slice{{Label: "method", Value: "card"}}
	ci := m.meter().byDim[card[0]]
	of := func(pick func(contributed) float64) func(closed) float64 {
		return func(d closed) float64 {
			for _, c := range d.cells {
				if c.cell == ci {
					return pick(c)
				}
			}
			return 0
		}
	}
	m.check(answered(), 40, of(func(c contributed) float64 { return c.n }), of(func(c contributed) float64 { return c.k }), card)
}

func TestLatencyTwin(t *testing.T) {
	m := newMirror(t, slowing())
	alpha, beta := acquirers()
	alpha.whole = "f"
	for at := epoch; at.Before(epoch.Add(2 * time.Hour)); at = at.Add(15 * time.Second) {
		m.advance(at.Add(time.Second))
		for _, h := range []*timer{alpha, beta} {
			h.run(15 * time.Second)
			for i, le := range append(h.edges, math.Inf(1)) {
				ls := h.labels(le)
				m.push(ls.String(), ls, at.UnixMilli(), h.counts[i])
			}
		}
		m.record()
	}
	edge := m.meter().cells[0].latency.edge()
	require.Positive(t, edge)
	chosen := 0
	for chosen < len(m.steps) && m.steps[chosen].step.Start < m.meter().cells[0].latency.from {
		chosen++
	}
	require.Less(t, chosen, 60)
	m.check(durations().At(edge), chosen, total, bad, nil)
	require.True(t, durations().At(edge).Judges())
	require.False(t, durations().Judges(), "without an edge nothing is known of bad events")
}
