package evaluate

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/sli"
)

// applied is a sample as both sides accepted it: the reference for tolerances.
type applied struct {
	t     int64
	v     float64
	after bool // the first after a stale marker
}

// twin feeds the same samples to an engine and to a real TSDB.
type twin struct {
	*rig
	db     *teststorage.TestStorage
	ref    map[string][]applied
	ls     map[string]labels.Labels
	staled map[string]bool
	last   map[string]int64
	steps  []closed
	alpha  [][2]float64 // n, k of acquirer=alpha, per step
}

func (w *twin) push(key string, ls labels.Labels, t int64, v float64) {
	app := w.db.Appender(context.Background())
	_, err := app.Append(0, ls, t, v)
	if err == nil {
		require.NoError(w.t, app.Commit())
	} else {
		require.NoError(w.t, app.Rollback())
	}
	late := w.tenant().lateSamples
	w.e.Add(w.now, "shop", ls, []Sample{{T: t, V: v}})
	refused := w.tenant().lateSamples > late
	require.Equal(w.t, t <= w.last[key], refused, "exactly what is not newer is late")
	w.last[key] = max(w.last[key], t)
	if math.IsNaN(v) {
		w.staled[key] = true
		return
	}
	if !refused {
		w.ls[key] = ls
		w.ref[key] = append(w.ref[key], applied{t, v, w.staled[key]})
		w.staled[key] = false
	}
}

// record keeps the steps that closed since the last call.
func (w *twin) record() {
	m := w.meter()
	for _, d := range m.recent {
		if n := len(w.steps); n > 0 && d.step.End <= w.steps[n-1].step.End {
			continue
		}
		if n := len(w.steps); n > 0 {
			require.Equal(w.t, w.steps[n-1].step.End, d.step.Start, "no step is left out")
		}
		d.cells = slices.Clone(d.cells) // its buffer is used again
		w.steps = append(w.steps, d)
		part := [2]float64{}
		for _, c := range d.cells {
			if m.cells[c.cell].slice.Key() == "acquirer=alpha" {
				part = [2]float64{c.n, c.k}
			}
		}
		w.alpha = append(w.alpha, part)
	}
}

// tolerance of a window: per series one interval's increment at each edge, at
// each reset, each birth or return, and each interval longer than a scrape.
func (w *twin) tolerance(from, to, scrape int64, match func(labels.Labels) bool) (tn, tk float64) {
	for key, h := range w.ref {
		if !match(w.ls[key]) {
			continue
		}
		sum := 0.0
		for i, s := range h {
			if i == 0 {
				if s.t > from && s.t <= to+scrape {
					sum += s.v
				}
				continue
			}
			p := h[i-1]
			if s.t <= from || p.t >= to {
				continue
			}
			inc := s.v - p.v
			if inc < 0 {
				inc = s.v
			}
			edge := p.t < from || s.t > to
			if edge || s.v < p.v || s.after || s.t-p.t > scrape*3/2 {
				sum += inc
			}
		}
		tn += sum
		if w.ls[key].Get("result") == "error" {
			tk += sum
		}
	}
	return tn, tk
}

func (w *twin) query(ng *promql.Engine, q string, ts int64) float64 {
	query, err := ng.NewInstantQuery(context.Background(), w.db, nil, q, time.UnixMilli(ts))
	require.NoError(w.t, err)
	defer query.Close()
	res := query.Exec(context.Background())
	require.NoError(w.t, res.Err)
	v, err := res.Vector()
	require.NoError(w.t, err)
	if len(v) == 0 {
		return 0
	}
	return v[0].F
}

// simulate runs three targets with every mishap that a scraped counter knows.
func (w *twin) simulate(rng *rand.Rand, scrape time.Duration, hours float64, calm bool) {
	type state struct {
		v           float64
		born        bool
		lastT       int64
		lastV       float64
		silentUntil int64
	}
	instances, acquirers, results := []string{"gw-1", "gw-2", "gw-3"}, []string{"alpha", "beta", "gamma", "delta"}, []string{"error", "success"}
	states := map[string]*state{}
	down := map[string]int64{}
	end := epoch.Add(time.Duration(hours * float64(time.Hour)))
	for at := epoch; at.Before(end); at = at.Add(scrape) {
		bad := .02
		if at.Sub(epoch)%(40*time.Minute) > 25*time.Minute {
			bad = .12
		}
		w.advance(at.Add(500 * time.Millisecond))
		for ii, inst := range instances {
			t := at.UnixMilli() + int64(ii)*3100 + rng.Int64N(800)
			if !calm && rng.Float64() < .004 {
				down[inst] = t + rng.Int64N(12)*scrape.Milliseconds()
			}
			reset := !calm && rng.Float64() < .004
			for _, a := range acquirers {
				for _, res := range results {
					key := inst + a + res
					s := states[key]
					if s == nil {
						s = &state{}
						states[key] = s
					}
					if reset {
						s.v = 0
					}
					mean := 2 * scrape.Seconds() * (1 - bad)
					if res == "error" {
						mean = 2 * scrape.Seconds() * bad
					}
					s.v += poisson(rng, mean)
					s.born = s.born || s.v > 0 && (calm || rng.Float64() < .2)
					if t < down[inst] || t < s.silentUntil || !s.born {
						continue
					}
					ls := labels.FromStrings("__name__", "payment_transactions_total", "job", "gateway", "instance", inst, "acquirer", a, "result", res)
					if !calm && rng.Float64() < .002 { // evicted, to come back later
						w.push(key, ls, t, stale)
						s.silentUntil = t + rng.Int64N(20)*scrape.Milliseconds()
						s.lastT = t
						continue
					}
					if !calm && rng.Float64() < .02 && s.lastT > 0 { // again, or an older one
						w.push(key, ls, s.lastT-rng.Int64N(2)*700, s.lastV)
					}
					w.push(key, ls, t, s.v)
					s.lastT, s.lastV = t, s.v
				}
			}
			if !calm && rng.Float64() < .3 { // the scrape comes in several requests
				w.advance(w.now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond))
			}
			w.record()
		}
	}
}

func TestTwin(t *testing.T) {
	for _, c := range []struct {
		name   string
		scrape time.Duration
		hours  float64
		calm   bool
	}{{"calm", 15 * time.Second, 3, true}, {"every mishap", 15 * time.Second, 6, false}, {"every mishap, scraped each minute", time.Minute, 12, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := &twin{rig: newRig(t, grownUp()), db: teststorage.New(t), ref: map[string][]applied{}, ls: map[string]labels.Labels{}, staled: map[string]bool{}, last: map[string]int64{}}
			w.simulate(rand.New(rand.NewPCG(11, 5)), c.scrape, c.hours, c.calm)
			ng := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute,
				Parser: parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true})})
			defer func() { require.NoError(t, ng.Close()) }()
			w.compare(ng, c.scrape.Milliseconds(), c.hours)
		})
	}
}

func (w *twin) compare(ng *promql.Engine, scrape int64, hours float64) {
	require.Greater(w.t, len(w.steps), int((hours-.5)*3600_000)/int(scrape))
	windows, decided, high, exact := 0, 0, 0, 0
	slack := 0.0
	for _, slice := range []sli.Slice{{}, {{Label: "acquirer", Value: "alpha"}}} {
		match := func(ls labels.Labels) bool { return len(slice) == 0 || ls.Get("acquirer") == slice[0].Value }
		for _, length := range []int{4, 8, 40} {
			for to := length + 8; to < len(w.steps); to += 3 {
				var n, k float64
				uncovered := false
				for i := to - length; i < to; i++ {
					if len(slice) == 0 {
						n, k = n+w.steps[i].total, k+w.steps[i].bad
					} else {
						n, k = n+w.alpha[i][0], k+w.alpha[i][1]
						uncovered = uncovered || w.steps[i].step.Coverage < halfCovered
					}
				}
				if uncovered {
					continue
				}
				from, end := w.steps[to-length].step.Start, w.steps[to-1].step.End
				bad, total := payments().PromQL(time.Duration(end-from)*time.Millisecond, nil, slice)
				pn, pk := w.query(ng, total, end), w.query(ng, bad, end)
				tn, tk := w.tolerance(from, end, scrape, match)
				require.InDelta(w.t, pn, n, tn+1e-6, "n of %d steps to %d, slice %q", length, end-epoch.UnixMilli(), slice.Key())
				require.InDelta(w.t, pk, k, tk+1e-6, "k of %d steps to %d, slice %q", length, end-epoch.UnixMilli(), slice.Key())
				windows++
				slack += tn / math.Max(pn, 1)
				if math.Abs(pn-n) < .05*pn {
					exact++
				}
				most, least := (pk+tk)/math.Max(pn-tn, 1), math.Max(0, pk-tk)/(pn+tn)
				if least > .05 || most <= .05 {
					decided++
					require.Equal(w.t, least > .05, k/n > .05, "verdict")
				}
				if k/n > .05 {
					high++
				}
			}
		}
	}
	w.t.Logf("%d windows, %d decided, %d over the threshold, %d within 5%%, mean tolerance %.0f%% of n", windows, decided, high, exact, 100*slack/float64(windows))
	require.Greater(w.t, decided, windows/8)
	require.Greater(w.t, high, windows/10)
	require.Greater(w.t, exact, windows/2)
}
