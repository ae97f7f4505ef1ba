package evaluate

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

func durations() sli.Spec {
	return sli.Spec{Name: "durations", Metric: "payment_duration_seconds_bucket", Histogram: "payment_duration_seconds", Slices: []string{"acquirer"}}
}

func slowing() rule.Rule {
	return rule.Rule{Name: "payment_latency", Kind: rule.Latency, SLI: durations(), Service: "payments", Severity: rule.Critical,
		Summary: "slow", Prior: 0.05, FalseAlarms: 0.05}
}

// timer is one sender's histogram: log-normal durations around a median.
type timer struct {
	rng    *rand.Rand
	kv     []string
	edges  []float64
	whole  string // how whole edges are written: "g" for 1, "f" for 1.0
	tps    float64
	median float64
	counts []float64 // cumulative, +Inf last
	hide   map[float64]bool
	over   func(d float64) // told each duration
}

func newTimer(seed uint64, tps, median float64, edges []float64, kv ...string) *timer {
	return &timer{rng: rand.New(rand.NewPCG(seed, 3)), kv: kv, edges: edges, tps: tps, median: median, counts: make([]float64, len(edges)+1), hide: map[float64]bool{}}
}

// replace is a new process with other edges.
func (h *timer) replace(edges []float64) { h.edges, h.counts = edges, make([]float64, len(edges)+1) }

func (h *timer) run(d time.Duration) {
	for range int(poisson(h.rng, h.tps*d.Seconds())) {
		took := h.median * math.Exp(.6*h.rng.NormFloat64())
		if h.over != nil {
			h.over(took)
		}
		for i, le := range append(h.edges, math.Inf(1)) {
			if took <= le {
				h.counts[i]++
			}
		}
	}
}

func (h *timer) labels(le float64) labels.Labels {
	text := strconv.FormatFloat(le, 'g', -1, 64)
	if h.whole == "f" && le == math.Trunc(le) {
		text += ".0"
	}
	if math.IsInf(le, 1) {
		text = "+Inf"
	}
	return labels.FromStrings(append([]string{"__name__", "payment_duration_seconds_bucket", "job", "gateway", "instance", "gw-1", "le", text}, h.kv...)...)
}

func (h *timer) scrape(r *rig, at time.Time) {
	for i, le := range append(h.edges, math.Inf(1)) {
		if !h.hide[le] {
			r.e.Add(r.now, "shop", h.labels(le), []Sample{{T: at.UnixMilli(), V: h.counts[i]}})
		}
	}
}

// gone ends the series of some edges, as Prometheus does for a target that changed.
func (h *timer) gone(r *rig, at time.Time) {
	for _, le := range append(h.edges, math.Inf(1)) {
		r.e.Add(r.now, "shop", h.labels(le), []Sample{{T: at.UnixMilli(), V: stale}})
	}
}

func live(r *rig, from, to time.Time, hs ...*timer) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		r.advance(t.Add(time.Second))
		for _, h := range hs {
			h.run(15 * time.Second)
			h.scrape(r, t)
		}
		r.advance(t.Add(2 * time.Second))
	}
}

var (
	defaults = []float64{.1, .25, .5, 1, 2.5, 5}
	others   = []float64{.05, .2, .4, .8, 1.6, 3.2}
)

func acquirers() (alpha, beta *timer) {
	return newTimer(1, .7, .3, defaults, "acquirer", "alpha"), newTimer(2, 1, .3, defaults, "acquirer", "beta")
}

func TestASlowAcquirer(t *testing.T) {
	r := newRig(t, Options{YoungFor: 3 * time.Hour}, slowing())
	alpha, beta := acquirers()
	live(r, epoch, epoch.Add(8*time.Hour), alpha, beta)
	require.Empty(t, r.out.Alerts)

	from := epoch.Add(8 * time.Hour)
	alpha.median *= 3
	live(r, from, from.Add(10*time.Minute), alpha, beta)
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	first := fired[0]
	require.Equal(t, "acquirer=alpha", first.Slice.Key())
	require.Equal(t, rule.Latency, first.Kind)
	require.Equal(t, 1.0, first.Evidence.Over)
	require.Regexp(t, `^\d+ of \d+ payments through acquirer alpha took longer than 1 s since 0[78]:\d\d:\d\d UTC; usual is [12]\.\d%; evidence`, first.Reason)
	seen := first.StartsAt.Sub(from).Seconds() * .7
	t.Logf("seen after %.0f payments: %s", seen, first.Reason)
	require.LessOrEqual(t, seen, 65.0, "45 s of bad evidence are asked for, and its scrapes")

	r.out.Alerts = nil
	alpha.median /= 3
	from = from.Add(10 * time.Minute)
	live(r, from, from.Add(30*time.Minute), alpha, beta)
	require.NotEmpty(t, ofState(r.out.Alerts, alert.Resolved))
	require.Empty(t, firing(r.out.Alerts[len(r.out.Alerts)-1:]))
}

func TestEachSliceIsJudgedAtAnEdgeOfItsOwn(t *testing.T) {
	r := newRig(t, Options{YoungFor: time.Hour}, slowing())
	quick, slow := newTimer(5, 1, .04, defaults, "acquirer", "quick"), newTimer(6, 1, 1, defaults, "acquirer", "slow")
	live(r, epoch, epoch.Add(4*time.Hour), quick, slow)
	over := map[string]float64{}
	for _, s := range r.e.Status("shop", r.now).SLIs[0].Slices {
		over[s.Slice.Key()] = *s.OverSeconds
	}
	require.Equal(t, map[string]float64{"": 2.5, "acquirer=quick": .1, "acquirer=slow": 2.5}, over)
	quick.median *= 3 // far below what the total would notice
	live(r, epoch.Add(4*time.Hour), epoch.Add(4*time.Hour+5*time.Minute), quick, slow)
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, "acquirer=quick", fired[0].Slice.Key())
}

func TestSendersWithDifferentEdges(t *testing.T) {
	r := newRig(t, Options{YoungFor: time.Hour}, slowing())
	a, b := newTimer(7, 1, .3, defaults, "acquirer", "alpha", "pod", "a"), newTimer(8, .4, .3, others, "acquirer", "alpha", "pod", "b")
	a.whole = "f"
	live(r, epoch, epoch.Add(12*time.Hour), a, b)
	require.Empty(t, r.out.Alerts, "interpolated senders and exact ones make one usual share")
	a.median, b.median = .9, .9
	live(r, epoch.Add(12*time.Hour), epoch.Add(12*time.Hour+5*time.Minute), a, b)
	require.NotEmpty(t, firing(r.out.Alerts))
}

func TestADeploymentWithOtherEdgesIsNoFault(t *testing.T) {
	for _, marked := range []bool{true, false} {
		r := newRig(t, Options{YoungFor: time.Hour}, slowing())
		alpha, beta := acquirers()
		live(r, epoch, epoch.Add(6*time.Hour), alpha, beta)
		from := epoch.Add(6 * time.Hour)
		if marked {
			r.advance(from)
			alpha.gone(r, from.Add(-time.Second))
			beta.gone(r, from.Add(-time.Second))
		}
		alpha.replace(others)
		beta.replace(others)
		live(r, from, from.Add(6*time.Hour), alpha, beta)
		require.Empty(t, r.out.Alerts, "stale markers: %v", marked)
		require.Equal(t, .8, r.meter().cells[0].latency.edge())
		alpha.median *= 3
		live(r, from.Add(6*time.Hour), from.Add(6*time.Hour+5*time.Minute), alpha, beta)
		require.NotEmpty(t, firing(r.out.Alerts))
	}
}

func TestABucketThatIsMissingIsNoEvidence(t *testing.T) {
	r := newRig(t, Options{YoungFor: time.Hour}, slowing())
	alpha, beta := acquirers()
	live(r, epoch, epoch.Add(6*time.Hour), alpha, beta)
	alpha.hide[1], beta.hide[1] = true, true // the very edge
	live(r, epoch.Add(6*time.Hour), epoch.Add(9*time.Hour), alpha, beta)
	require.Empty(t, r.out.Alerts)
}

func TestOptingInToASlowerMethodAlarmsNobody(t *testing.T) {
	r := newRig(t, Options{YoungFor: 2 * time.Hour}, slowing())
	quick, slow := newTimer(9, 2, .1, defaults, "acquirer", "alpha"), newTimer(10, .1, 1, defaults, "acquirer", "bank")
	live(r, epoch, epoch.Add(8*time.Hour), quick, slow)
	for i := range 6 {
		quick.tps -= .3
		slow.tps += .3
		from := epoch.Add(8*time.Hour + time.Duration(i)*10*time.Minute)
		live(r, from, from.Add(10*time.Minute), quick, slow)
	}
	live(r, epoch.Add(9*time.Hour), epoch.Add(14*time.Hour), quick, slow)
	require.Empty(t, r.out.Alerts)
}

func TestYoungTenantsSeeHardSlownessOnly(t *testing.T) {
	for factor, fires := range map[float64]bool{2: false, 12: true} {
		r := newRig(t, Options{}, slowing())
		alpha, beta := acquirers()
		live(r, epoch, epoch.Add(2*time.Hour), alpha, beta)
		alpha.median *= factor
		beta.median *= factor
		live(r, epoch.Add(2*time.Hour), epoch.Add(140*time.Minute), alpha, beta)
		require.Equal(t, fires, len(firing(r.out.Alerts)) > 0, "%v times slower", factor)
	}
}

// Whoever may write samples may write buckets that contradict each other: what follows is
// judged as nothing or all that is slow, and can be kept.
func TestBucketsThatContradictEachOtherAreNoCounts(t *testing.T) {
	for name, grow := range map[string]map[string]float64{
		"fewer than none are slow": {"0.1": 400, "0.5": 900, "1": 990, "+Inf": 30},
		"more than all":            {"0.1": 400, "0.5": -5, "1": -1, "+Inf": 1000},
	} {
		r := newRig(t, grownUp(), slowing())
		v := map[string]float64{"0.1": 1e6, "0.5": 1e6, "1": 1e6, "+Inf": 1e6}
		for i := range 400 {
			r.at(float64(15 * i))
			for _, le := range []string{"0.1", "0.5", "1", "+Inf"} {
				by := map[string]float64{"0.1": 400, "0.5": 960, "1": 990, "+Inf": 1000}[le]
				if i > 200 {
					by = grow[le]
				}
				v[le] += by
				r.add(labels.FromStrings("__name__", "payment_duration_seconds_bucket", "job", "gateway", "le", le), float64(15*i), v[le])
			}
			for _, d := range r.meter().recent {
				require.GreaterOrEqual(t, d.bad, 0.0, name)
				require.LessOrEqual(t, d.bad, d.total, name)
			}
		}
		require.NotZero(t, r.meter().cells[0].latency.choice.Le, name)
		raw, err := r.e.Checkpoint("shop")
		require.NoError(t, err)
		require.NoError(t, r.e.Restore("shop", raw), name)
	}
}
