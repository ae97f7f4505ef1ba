package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func payments() sli.Spec {
	return sli.Spec{Name: "payments", Metric: "payment_transactions_total",
		Bad:    []sli.Match{{Label: "result", Values: []string{"error"}}},
		Slices: []string{"acquirer"}}
}

func failing() rule.Rule {
	return rule.Rule{Name: "PaymentsFailing", Kind: rule.Errors, SLI: payments(), Service: "payments",
		Severity: rule.Critical, Summary: "payments fail", Prior: 0.01, FalseAlarms: 0.05}
}

func counter(kv ...string) labels.Labels {
	return labels.FromStrings(append([]string{"__name__", "payment_transactions_total", "job", "gateway", "instance", "gw-1"}, kv...)...)
}

var stale = math.Float64frombits(value.StaleNaN)

// rig feeds an engine and keeps what comes out.
type rig struct {
	t   testing.TB
	e   *Engine
	now time.Time
	out Output
}

func newRig(t testing.TB, o Options, rules ...rule.Rule) *rig {
	if rules == nil {
		rules = []rule.Rule{failing()}
	}
	r := &rig{t: t, e: New(o), now: epoch}
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, rules, epoch)
	return r
}

func (r *rig) advance(now time.Time) {
	r.now = now
	out := r.e.Advance(now)
	r.out.Alerts = append(r.out.Alerts, out.Alerts...)
	r.out.Contributions = append(r.out.Contributions, out.Contributions...)
	r.out.Shadow = append(r.out.Shadow, out.Shadow...)
	r.out.Blind = append(r.out.Blind, out.Blind...)
	r.out.Thinned += out.Thinned
}

// at moves to seconds after the epoch, as the receipt of a record does.
func (r *rig) at(seconds float64) *rig {
	r.advance(epoch.Add(time.Duration(seconds * float64(time.Second))))
	return r
}

// add sends one sample, its time in seconds after the epoch.
func (r *rig) add(ls labels.Labels, t, v float64) *rig { return r.addFrom(ls, t, v, 0) }

func (r *rig) addFrom(ls labels.Labels, t, v float64, start int64) *rig {
	r.e.Add(r.now, "shop", ls, []Sample{{T: epoch.UnixMilli() + int64(t*1000), V: v, Start: start}})
	return r
}

func (r *rig) tenant() *tenantState { return r.e.tenants["shop"] }
func (r *rig) meter() *meter        { require.NotEmpty(r.t, r.tenant().meters); return r.tenant().meters[0] }

// step is one closed step of the total.
type step struct {
	start, end  float64 // seconds after the epoch
	n, k, share float64
}

// watchSteps records the steps that the meter closes, whatever their coverage.
// It rides on the sums that are left behind by the step closed last.
func (r *rig) steps() []step {
	var out []step
	for _, d := range r.meter().recent {
		out = append(out, step{float64(d.step.Start-epoch.UnixMilli()) / 1000, float64(d.step.End-epoch.UnixMilli()) / 1000, d.total, d.bad, d.step.Coverage})
	}
	return out
}

// gateway is a simulated source: one counter for each acquirer and result.
type gateway struct {
	rng    *rand.Rand
	tps    map[string]float64 // by acquirer
	fail   map[string]float64
	counts map[string]float64
	series map[string]labels.Labels
	keys   []string
}

func newGateway(seed uint64, tps, fail map[string]float64, extra ...string) *gateway {
	g := &gateway{rng: rand.New(rand.NewPCG(seed, 1)), tps: tps, fail: fail, counts: map[string]float64{}, series: map[string]labels.Labels{}}
	for _, a := range []string{"alpha", "beta", "gamma", "delta"} {
		if _, ok := tps[a]; !ok {
			continue
		}
		for _, res := range []string{"error", "success"} {
			g.keys = append(g.keys, a+res)
			g.series[a+res] = counter(append([]string{"acquirer", a, "result", res}, extra...)...)
		}
	}
	return g
}

func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
	}
	n, p, limit := 0.0, rng.Float64(), math.Exp(-mean)
	for p > limit {
		n, p = n+1, p*rng.Float64()
	}
	return n
}

// run lets the gateway work for d.
func (g *gateway) run(d time.Duration) {
	for _, a := range []string{"alpha", "beta", "gamma", "delta"} {
		if tps, ok := g.tps[a]; ok {
			g.counts[a+"success"] += poisson(g.rng, tps*(1-g.fail[a])*d.Seconds())
			g.counts[a+"error"] += poisson(g.rng, tps*g.fail[a]*d.Seconds())
		}
	}
}

// scrape sends all counters at t, received lag later.
func (g *gateway) scrape(r *rig, id tenant.ID, t, received time.Time) {
	r.advance(received)
	for _, k := range g.keys {
		r.e.Add(received, id, g.series[k], []Sample{{T: t.UnixMilli(), V: g.counts[k]}})
	}
}

// live runs and scrapes every 15 s from from to to.
func (g *gateway) live(r *rig, from, to time.Time) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		g.run(15 * time.Second)
		g.scrape(r, "shop", t, t.Add(time.Second))
		r.advance(t.Add(2 * time.Second))
	}
}

func firing(alerts []alert.Alert) []alert.Alert { return ofState(alerts, alert.Firing) }

func ofState(alerts []alert.Alert, s alert.State) (out []alert.Alert) {
	for _, a := range alerts {
		if a.State == s {
			out = append(out, a)
		}
	}
	return out
}

func grownUp() Options { return Options{YoungFor: time.Second} }
