package promrules

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory holds what recording rules made, beside the recorded samples.
type memory struct {
	series map[uint64][]*kept
}

type kept struct {
	ls      labels.Labels
	samples []chunks.Sample // by time
}

// point is a sample; h is nil for a plain one.
type point struct {
	t int64
	v float64
	h *histogram.FloatHistogram
}

func (p point) T() int64                      { return p.t }
func (p point) ST() int64                     { return 0 }
func (p point) F() float64                    { return p.v }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return p.h }

// Type implements chunks.Sample.
func (p point) Type() chunkenc.ValueType {
	if p.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// Copy implements chunks.Sample.
func (p point) Copy() chunks.Sample {
	if p.h != nil {
		p.h = p.h.Copy()
	}
	return p
}

// keep adds what a rule made of one series at steps of a length (ms), in order of time.
// Where it made nothing it is stale from there on.
func (m *memory) keep(ls labels.Labels, s promql.Series, step, until int64) {
	h := ls.Hash()
	i := slices.IndexFunc(m.series[h], func(k *kept) bool { return labels.Equal(k.ls, ls) })
	if i < 0 {
		m.series[h] = append(m.series[h], &kept{ls: ls})
		i = len(m.series[h]) - 1
	}
	k := m.series[h][i]
	points := make([]point, 0, len(s.Floats)+len(s.Histograms))
	for _, p := range s.Floats {
		points = append(points, point{t: p.T, v: p.F})
	}
	for _, p := range s.Histograms {
		points = append(points, point{t: p.T, h: p.H.Copy()})
	}
	slices.SortFunc(points, func(a, b point) int { return int(a.t - b.t) })
	for i, p := range points {
		if n := len(k.samples); n > 0 && k.samples[n-1].T() == p.t { // it was marked stale where the next piece begins
			k.samples = k.samples[:n-1]
		}
		k.samples = append(k.samples, p)
		if next := p.t + step; next <= until && (i+1 == len(points) || points[i+1].t > next) {
			k.samples = append(k.samples, point{t: next, v: math.Float64frombits(value.StaleNaN)})
		}
	}
}

// forget drops what is older than at (ms).
func (m *memory) forget(at int64) {
	for h, list := range m.series {
		list = slices.DeleteFunc(list, func(k *kept) bool {
			old, _ := slices.BinarySearchFunc(k.samples, at, func(s chunks.Sample, t int64) int { return int(s.T() - t) })
			k.samples = slices.Clone(k.samples[old:])
			return len(k.samples) == 0
		})
		if m.series[h] = list; len(list) == 0 {
			delete(m.series, h)
		}
	}
}

// over is what the rules are asked over: the samples, and what was made of them.
func (m *memory) over(data storage.Queryable) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		q, err := data.Querier(mint, maxt)
		if err != nil || len(m.series) == 0 {
			return q, err
		}
		return storage.NewMergeQuerier([]storage.Querier{q, &remembered{m, mint, maxt}}, nil, storage.ChainedSeriesMerge), nil
	})
}

// remembered selects from memory.
type remembered struct {
	m          *memory
	mint, maxt int64
}

// Select implements storage.Querier.
func (r *remembered) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, list := range r.m.series {
		for _, k := range list {
			if slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(k.ls.Get(m.Name)) }) {
				continue
			}
			from, _ := slices.BinarySearchFunc(k.samples, r.mint, func(s chunks.Sample, t int64) int { return int(s.T() - t) })
			to, _ := slices.BinarySearchFunc(k.samples, r.maxt+1, func(s chunks.Sample, t int64) int { return int(s.T() - t) })
			if from < to {
				found = append(found, storage.NewListSeries(k.ls, k.samples[from:to]))
			}
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{list: found, at: -1}
}

// LabelValues implements storage.Querier; no query asks for them.
func (*remembered) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier; no query asks for them.
func (*remembered) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (*remembered) Close() error { return nil }

// set is a list of series as a query engine takes it.
type set struct {
	list []storage.Series
	at   int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.list) }
func (s *set) At() storage.Series                { return s.list[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }
