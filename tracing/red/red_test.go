package red

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tracing"
)

func callLabels(kv ...string) labels.Labels {
	return labels.FromStrings(append([]string{"__name__", sli.SpanCalls, "collector", "tocsin", "tenant", "a"}, kv...)...)
}

// calls is a batch that was received so many seconds after noon, of n calls that
// took 0.3 s each and ended in the step at seconds.
func calls(received, step int64, n int, kv ...string) *tracing.Batch {
	c := tracing.Call{Tenant: "a", Labels: callLabels(kv...), Step: noon.Add(time.Duration(step) * time.Second).UnixMilli(), N: n, Weight: float64(n), Seconds: .3 * float64(n), Buckets: make([]uint32, tracing.Buckets)}
	c.Buckets[9] = uint32(n)
	return &tracing.Batch{ReceivedAt: noon.Add(time.Duration(received) * time.Second), Calls: []tracing.Call{c}}
}

// written is what was written, by series and second after noon.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type written map[string]map[int64]float64

func (w written) add(b *samples.Batch) {
	if b == nil {
		return
	}
	for _, s := range b.Series {
		key := s.Labels.Get("__name__") + s.Labels.Get("le") + s.Labels.Get("status")
		if w[key] == nil {
			w[key] = map[int64]float64{}
		}
		for _, p := range s.Samples {
			w[key][(p.T-noon.UnixMilli())/1000] = p.V
		}
	}
}

func at(seconds int64) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func TestREDSeries(t *testing.T) {
	r, w := New("tenant"), written{}
	r.Take(calls(3, 0, 5))
	r.Take(calls(14, 10, 2))
	require.Nil(t, r.Due(at(39)), "30 s after the end")
	w.add(r.Due(at(40)))
	require.Equal(t, map[int64]float64{0: 0, 10: 5}, w[sli.SpanCalls], "it begins with a zero")
	r.Take(calls(41, 0, 1)) // late: it joins the step that is not written
	w.add(r.Due(at(52)))
	require.Equal(t, map[int64]float64{0: 0, 10: 5, 20: 8}, w[sli.SpanCalls])
	r.Take(calls(101, 100, 4))
	w.add(r.Due(at(140)))
	require.Equal(t, map[int64]float64{0: 0, 10: 5, 20: 8, 100: 8, 110: 12}, w[sli.SpanCalls], "after a pause it says where it grew from")
	require.Equal(t, w[sli.SpanCalls], w[sli.SpanDuration+"_count"])
	require.Equal(t, w[sli.SpanCalls], w[sli.SpanDuration+"_bucket+Inf"])
	require.Equal(t, w[sli.SpanCalls], w[sli.SpanDuration+"_bucket0.5"])
	require.Equal(t, map[int64]float64{0: 0, 10: 0, 20: 0, 100: 0, 110: 0}, w[sli.SpanDuration+"_bucket0.25"])
	require.InDelta(t, 3.6, w[sli.SpanDuration+"_sum"][110], 1e-9)
	require.NotContains(t, w, EstimatedCalls, "nothing was sampled")

	var idle []int64
	for s := int64(150); s < 4200; s += 10 {
		b := r.Due(at(s))
		if b != nil {
			idle = append(idle, s)
			if value.IsStaleNaN(b.Series[0].Samples[0].V) {
				break
			}
			w.add(b)
		}
	}
	require.InDelta(t, 30, len(idle), 2, "every two minutes, for an hour")
	require.Empty(t, r.totals, "then it ends")
}

func TestREDIsBounded(t *testing.T) {
	r := New("tenant")
	r.most = 2
	for _, st := range []string{"a", "b", "c"} {
		r.Take(calls(3, 0, 5, "status", st))
	}
	require.Equal(t, 5, r.Dropped())
	require.Zero(t, r.Dropped())
	w := written{}
	w.add(r.Due(at(60)))
	require.Equal(t, 5.0, w[sli.SpanCalls+"a"][10])
	require.NotContains(t, w, sli.SpanCalls+"c")
	r.Forget("a")
	require.Zero(t, r.size)
	r.Take(calls(70, 60, 5, "status", "c"))
	require.Zero(t, r.Dropped(), "there is room again")
}

func TestREDOfSampledSpans(t *testing.T) {
	r, w := New("tenant"), written{}
	b := calls(3, 0, 5)
	b.Calls[0].Weight = 40
	r.Take(b)
	w.add(r.Due(at(60)))
	require.Equal(t, 5.0, w[sli.SpanCalls][10])
	require.Equal(t, 40.0, w[EstimatedCalls][10])
}

// Cut off anywhere, it goes on from what was written as if nothing had been.
func TestREDAfterARestart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var batches []*tracing.Batch
	for s := int64(0); s < 1200; s += 3 {
		batches = append(batches, calls(s, (s-rng.Int64N(50))/10*10, 1+rng.IntN(5), "status", []string{"ok", "error"}[rng.IntN(2)]))
	}
	whole := New("tenant")
	want := written{}
	for i, b := range batches {
		want.add(whole.Due(at(int64(i) * 3)))
		whole.Take(b)
	}
	want.add(whole.Due(at(1300)))

	got := written{}
	cut, ids := New("tenant"), map[uint64]string{}
	last := map[string]Last{}
	keep := func(b *samples.Batch) {
		got.add(b)
		if b == nil {
			return
		}
		for _, s := range b.Series {
			key := s.Labels.String()
			if old, ok := ids[s.ID]; ok {
				require.Equal(t, old, key, "an id stands for its labels")
			}
			ids[s.ID] = key
			p := s.Samples[len(s.Samples)-1]
			last[key] = Last{s.Labels, p.T, p.V}
		}
	}
	restarts := 0
	for i, b := range batches {
		if rng.IntN(20) == 0 {
			restarts++
			cut, ids = New("tenant"), map[uint64]string{}
			var list []Last
			for l := range maps.Values(last) {
				list = append(list, l)
			}
			cut.Restore(list, noon.Add(-time.Hour))
			for _, old := range batches[max(0, i-60):i] { // the journal's tail, from before what was written
				cut.Take(old)
			}
		}
		keep(cut.Due(at(int64(i) * 3)))
		cut.Take(b)
	}
	keep(cut.Due(at(1300)))
	require.Greater(t, restarts, 5)
	for _, st := range []string{"ok", "error"} {
		for s, v := range want[sli.SpanCalls+st] {
			require.Equal(t, v, got[sli.SpanCalls+st][s], "%s at %d", st, s)
		}
		require.InDelta(t, want[sli.SpanDuration+"_bucket0.5"+st][1230], got[sli.SpanDuration+"_bucket0.5"+st][1230], 1e-9)
	}
}
