package evaluate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func calls() sli.Spec {
	return sli.Spec{Name: "payments", Source: sli.Spans, Metric: sli.SpanCalls,
		Total: []sli.Match{{Label: "span_kind", Values: []string{"server"}}},
		Bad:   []sli.Match{{Label: "status", Values: []string{"error"}}}, Slices: []string{"acquirer"}}
}

func failingCalls() rule.Rule {
	r := failing()
	r.SLI = calls()
	return r
}

func called(kv ...string) labels.Labels {
	return labels.FromStrings(append([]string{"__name__", sli.SpanCalls, "collector", "tocsin", "service", "payments", "span_kind", "server"}, kv...)...)
}

// heard tells that the source sent spans that ended at t, seconds after the epoch.
func (r *rig) heard(source string, t float64) *rig {
	start := (epoch.UnixMilli() + int64(t*1000)) / 10_000 * 10_000
	r.e.Heard(r.now, source, []int64{start})
	return r
}

// happens adds n events at t, seconds after the epoch.
func (r *rig) happens(source string, ls labels.Labels, t, n float64) *rig {
	r.heard(source, t)
	r.e.AddEvents(r.now, "shop", source, ls, []Event{{T: epoch.UnixMilli() + int64(t*1000), N: n}})
	return r
}

func TestEventSteps(t *testing.T) {
	ok, bad := called("status", "ok"), called("status", "error")
	r := newRig(t, Options{}, failingCalls())
	r.at(3).happens("otel", ok, 1, 5).happens("otel", bad, 2, 1)
	r.at(12).happens("otel", ok, 9.9, 4).happens("otel", ok, 10, 7) // the boundary belongs to the later step
	r.at(24).heard("otel", 22)                                      // others' spans: traffic zero
	r.at(39.9)
	require.Empty(t, r.steps())
	r.at(40) // 30 s after the end
	require.Equal(t, []step{{0, 10, 10, 1, 1}}, r.steps())
	r.at(60)
	require.Equal(t, []step{{0, 10, 10, 1, 1}, {10, 20, 7, 0, 1}, {20, 30, 0, 0, 1}}, r.steps())

	r.at(61).happens("otel", ok, 15, 2) // its step is closed
	require.Equal(t, 2.0, r.tenant().lateEvents)
	require.Equal(t, 2.0, r.e.Status("shop", r.now).LateEvents)
	r.at(300) // the source is silent: nothing closes, nothing is known
	require.Len(t, r.steps(), 3)
	r.at(301).happens("otel", ok, 300, 1)
	r.at(340)
	steps := r.steps()
	require.Equal(t, step{300, 310, 1, 0, 1}, steps[len(steps)-1])
	for _, s := range steps[3 : len(steps)-1] {
		require.Zero(t, s.share, "no data is not no traffic: %v", s)
	}
}

// What a source kept while it was cut off is counted where it belongs.
func TestEventBacklog(t *testing.T) {
	ok := called("status", "ok")
	r := newRig(t, Options{}, failingCalls())
	r.at(5).happens("otel", ok, 4, 3)
	r.at(100)
	r.at(200).happens("otel", ok, 199, 1)
	for s := 11.0; s < 190; s += 10 {
		r.at(201+s/100).happens("otel", ok, s, 2)
	}
	require.Zero(t, r.tenant().lateEvents)
	r.at(240)
	total := 0.0
	for _, s := range r.steps() {
		require.Equal(t, 1.0, s.share)
		total += s.n
	}
	require.Equal(t, 17.0-2, total+0*3, "the last eight steps: seven of two, one of one")
}

func TestEventSourcesShareATenant(t *testing.T) {
	ok := called("status", "ok")
	r := newRig(t, Options{}, failingCalls())
	for s := 1.0; s < 200; s += 10 {
		r.at(s+1).happens("east", ok, s, 3)
		if s < 100 {
			r.happens("west", ok, s, 1)
		}
	}
	r.at(240)
	last := r.steps()[len(r.steps())-1]
	require.Equal(t, 3.0, last.n)
	require.InDelta(t, .75, last.share, .1, "a quarter of it is not observed")
	require.Equal(t, []string{"east", "west"}, r.e.Sources())
}

// A counter of the same name that a sender derived of the same spans is not added.
func TestEventsAndCountersDoNotMix(t *testing.T) {
	r := newRig(t, Options{}, failingCalls())
	r.at(1).happens("otel", called("status", "ok"), 1, 5)
	r.add(called("status", "ok"), 1, 100)
	r.at(16).add(called("status", "ok"), 16, 900).heard("otel", 15)
	r.at(60)
	require.Equal(t, 5.0, r.steps()[0].n)
	require.Len(t, r.tenant().series, 1)
}

// traffic is the spans of a tenant, one batch of a source every five seconds.
type traffic struct {
	rng  *rand.Rand
	tps  map[string]float64
	fail map[string]float64
	keep float64 // share of the events that did not fail and are kept; failures all are
}

func (tr *traffic) batch(t time.Time) (out map[string]float64) {
	out = map[string]float64{}
	for _, a := range []string{"alpha", "beta", "gamma"} {
		if tps, has := tr.tps[a]; has {
			out[a+"/ok"] = poisson(tr.rng, 5*tps*(1-tr.fail[a]))
			out[a+"/error"] = poisson(tr.rng, 5*tps*tr.fail[a])
		}
	}
	return out
}

func (tr *traffic) send(e *Engine, id tenant.ID, source string, t time.Time) {
	e.Heard(t, source, []int64{t.Add(-3*time.Second).UnixMilli() / 10_000 * 10_000})
	counts := tr.batch(t)
	for _, a := range []string{"alpha", "beta", "gamma"} {
		for _, st := range []string{"ok", "error"} {
			n := counts[a+"/"+st]
			w := n
			if tr.keep > 0 && st == "ok" {
				n *= tr.keep
			}
			if n > 0 {
				e.AddEvents(t, id, source, called("acquirer", a, "status", st), []Event{{T: t.Add(-3 * time.Second).UnixMilli(), N: n, Weight: w}})
			}
		}
	}
}

func (r *rig) play(tr *traffic, from, to time.Time) {
	for t := from; t.Before(to); t = t.Add(5 * time.Second) {
		r.advance(t)
		tr.send(r.e, "shop", "otel", t)
	}
}

func newTraffic(seed uint64) *traffic {
	return &traffic{rng: rand.New(rand.NewPCG(seed, 3)), tps: map[string]float64{"alpha": 2, "beta": 2}, fail: map[string]float64{"alpha": .01, "beta": .01}}
}

func TestEventsRaiseAndResolve(t *testing.T) {
	r := newRig(t, grownUp(), failingCalls())
	tr := newTraffic(1)
	fault := epoch.Add(2 * time.Hour)
	r.play(tr, epoch, fault)
	require.Empty(t, r.out.Alerts)
	tr.fail["alpha"] = .97
	r.play(tr, fault, fault.Add(10*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, "acquirer=alpha", fired[0].Slice.Key())
	require.Equal(t, calls().ID(), fired[0].SLI)
	require.WithinDuration(t, fault, fired[0].OnsetAt, 20*time.Second)
	require.Less(t, fired[0].StartsAt.Sub(fault), time.Minute)
	tr.fail["alpha"] = .01
	r.out = Output{}
	r.play(tr, fault.Add(10*time.Minute), fault.Add(25*time.Minute))
	require.NotEmpty(t, ofState(r.out.Alerts, alert.Resolved))
	require.Empty(t, firingLast(r.out.Alerts))
}

// firingLast is what stands after the alerts.
func firingLast(as []alert.Alert) map[alert.ID]bool {
	out := map[alert.ID]bool{}
	for _, a := range as {
		delete(out, a.ID)
		if a.State == alert.Firing {
			out[a.ID] = true
		}
	}
	return out
}

// A source that falls silent raises nothing and holds what stands.
func TestEventsOfADeadSource(t *testing.T) {
	r := newRig(t, grownUp(), failingCalls())
	tr := newTraffic(2)
	r.play(tr, epoch, epoch.Add(time.Hour))
	for m := range 30 {
		r.advance(epoch.Add(time.Hour + time.Duration(m)*time.Minute))
	}
	require.Empty(t, r.out.Alerts)
	require.Len(t, r.out.Blind, 1, "the tenant is blind")
	require.True(t, r.out.Blind[0].Blind)
}

func TestEventsOfAQuietTenantAreNotBlind(t *testing.T) {
	r := newRig(t, grownUp(), failingCalls())
	tr := newTraffic(2)
	r.play(tr, epoch, epoch.Add(time.Hour))
	for s := range 360 {
		now := epoch.Add(time.Hour + time.Duration(s)*5*time.Second)
		r.advance(now)
		r.e.Heard(now, "otel", []int64{now.UnixMilli() / 10_000 * 10_000})
	}
	require.Empty(t, r.out.Blind)
	last := r.steps()[len(r.steps())-1]
	require.Equal(t, 1.0, last.share)
	require.Zero(t, last.n)
}

func TestUnevenSamplingCannotBeJudged(t *testing.T) {
	r := newRig(t, grownUp(), failingCalls())
	tr := newTraffic(4)
	tr.keep = .1 // all failures are kept and one in ten of the others
	r.play(tr, epoch, epoch.Add(3*time.Hour))
	tr.fail["alpha"] = .9
	r.play(tr, epoch.Add(3*time.Hour), epoch.Add(3*time.Hour+10*time.Minute))
	require.Empty(t, r.out.Alerts)
	st := r.e.Status("shop", r.now).SLIs[0]
	require.Contains(t, st.CannotJudge, "sampling keeps one of 1 calls that failed and one of 10 others")
	require.InDelta(t, 240, st.RatePerMinute, 120, "weights give the volume")

	even := newRig(t, grownUp(), failingCalls())
	for i := range 600 { // one in eight of everything
		at := epoch.Add(time.Duration(i) * 5 * time.Second)
		even.advance(at)
		even.e.Heard(at, "otel", []int64{at.UnixMilli() / 10_000 * 10_000})
		even.e.AddEvents(at, "shop", "otel", called("status", "ok"), []Event{{T: at.UnixMilli(), N: 9, Weight: 72}})
		even.e.AddEvents(at, "shop", "otel", called("status", "error"), []Event{{T: at.UnixMilli(), N: 1, Weight: 8}})
	}
	st = even.e.Status("shop", even.now).SLIs[0]
	require.Empty(t, st.CannotJudge)
	require.InDelta(t, 960, st.RatePerMinute, 1)
	require.InDelta(t, .1, st.FailureRatio, .001)
	require.Equal(t, 10.0*2, even.steps()[0].n, "tests use what was received")
}

// both is an SLI by metrics with spans beside it.
func both() rule.Rule {
	r, other := failing(), calls()
	r.SLI.Beside = &other
	return r
}

func TestTwoSourcesAreComparedAndNeverAdded(t *testing.T) {
	r := newRig(t, grownUp(), both())
	g, tr := three(), newTraffic(5)
	g.tps, tr.tps = map[string]float64{"alpha": 2, "beta": 2, "gamma": 1}, map[string]float64{"alpha": 2, "beta": 2}
	run := func(from, to time.Time) {
		for at := from; at.Before(to); at = at.Add(5 * time.Second) {
			if at.Unix()%15 == 0 {
				g.run(15 * time.Second)
				g.scrape(r, "shop", at, at)
			}
			r.advance(at)
			tr.send(r.e, "shop", "otel", at)
		}
	}
	run(epoch, epoch.Add(2*time.Hour))
	require.Empty(t, r.out.Alerts)
	st := r.e.Status("shop", r.now)
	require.Len(t, st.SLIs, 2)
	for _, s := range st.SLIs {
		require.NotNil(t, s.Beside)
		if s.Source == sli.Metrics {
			require.InDelta(t, 300, s.RatePerMinute, 60)
			require.InDelta(t, 240, s.Beside.RatePerMinute, 60)
			require.Positive(t, s.Beside.Difference)
			require.False(t, s.Beside.Counts)
		} else {
			require.True(t, s.Beside.Counts)
		}
	}
	for _, c := range r.out.Contributions {
		require.Zero(t, c.Step.Start%15_000, "only the source that counts speaks to the pool: its steps are of 15 s")
	}
	tr.fail["alpha"] = 1 // by spans only: metrics count
	run(epoch.Add(2*time.Hour), epoch.Add(2*time.Hour+10*time.Minute))
	require.Empty(t, r.out.Alerts)
	g.fail["alpha"] = 1
	run(epoch.Add(2*time.Hour+10*time.Minute), epoch.Add(2*time.Hour+20*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	for _, a := range r.out.Alerts {
		require.Equal(t, failing().SLI.ID(), a.SLI)
	}
}

func TestTheOtherSourceCountsWhereTheFirstIsMissing(t *testing.T) {
	r := newRig(t, grownUp(), both())
	tr := newTraffic(6)
	r.play(tr, epoch, epoch.Add(2*time.Hour))
	tr.fail["alpha"] = 1
	r.play(tr, epoch.Add(2*time.Hour), epoch.Add(2*time.Hour+5*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, "PaymentsFailing", fired[0].Rule)
	require.Equal(t, calls().ID(), fired[0].SLI)
	// Metrics come: from now on they count, and what stood by spans is ended.
	r.out = Output{}
	g := three()
	at := epoch.Add(2*time.Hour + 5*time.Minute)
	for range 8 {
		g.run(15 * time.Second)
		g.scrape(r, "shop", at, at.Add(time.Second))
		r.play(tr, at.Add(2*time.Second), at.Add(15*time.Second))
		at = at.Add(15 * time.Second)
	}
	require.NotEmpty(t, ofState(r.out.Alerts, alert.Resolved))
	require.Empty(t, firing(r.out.Alerts))
}

// babble is a random but reproducible stream of records for three tenants and two
// sources, with silences, late spans and faults.
func babble(seed uint64, steps int) []func(e *Engine) Output {
	rng := rand.New(rand.NewPCG(seed, 19))
	ids := []tenant.ID{"a", "b", "c"}
	trs := map[tenant.ID]*traffic{}
	for i, id := range ids {
		trs[id] = newTraffic(seed + uint64(i))
		trs[id].tps["gamma"] = .2
		trs[id].fail["gamma"] = .02
	}
	var list []func(e *Engine) Output
	for i := range steps {
		at := epoch.Add(time.Duration(i)*5*time.Second + time.Duration(rng.IntN(900))*time.Millisecond)
		for n, id := range ids {
			tr := trs[id]
			if rng.Float64() < .005 {
				tr.fail["alpha"] = []float64{.01, .3, 1}[rng.IntN(3)]
			}
			source := fmt.Sprint("s", n%2)
			if i%500 > 450 && source == "s1" {
				continue // cut off for four minutes
			}
			ended := at.Add(-time.Duration(rng.IntN(6000)) * time.Millisecond)
			if rng.Float64() < .02 {
				ended = ended.Add(-time.Duration(rng.IntN(120)) * time.Second)
			}
			counts := tr.batch(at)
			list = append(list, func(e *Engine) Output {
				out := e.Advance(at)
				e.Heard(at, source, []int64{ended.UnixMilli() / 10_000 * 10_000})
				for _, a := range []string{"alpha", "beta", "gamma"} {
					for _, st := range []string{"ok", "error"} {
						if n := counts[a+"/"+st]; n > 0 {
							e.AddEvents(at, id, source, called("acquirer", a, "status", st), []Event{{T: ended.UnixMilli(), N: n}})
						}
					}
				}
				return out
			})
		}
	}
	return list
}

func TestEventsRestoreAnywhere(t *testing.T) {
	steps := 4000
	if testing.Short() {
		steps = 1500
	}
	for seed := range uint64(2) {
		list := babble(seed, steps)
		install := func() *Engine {
			e := New(Options{YoungFor: 20 * time.Minute, MaxSlices: 2})
			for _, id := range []tenant.ID{"a", "b", "c"} {
				e.SetTenant(tenant.Tenant{ID: id, State: tenant.Live}, []rule.Rule{failingCalls()}, epoch)
			}
			return e
		}
		rng := rand.New(rand.NewPCG(seed, 78))
		whole, cut := install(), install()
		alerts, last := 0, epoch
		for i, call := range list {
			if rng.Float64() < .02 {
				fresh := install()
				for _, id := range cut.Tenants() {
					data, err := cut.Checkpoint(id)
					require.NoError(t, err)
					require.NoError(t, fresh.Restore(id, data))
					again, err := fresh.Checkpoint(id)
					require.NoError(t, err)
					require.Equal(t, data, again)
				}
				cut = fresh
			}
			a, b := call(whole), call(cut)
			require.Equal(t, a.Alerts, b.Alerts, "record %d", i)
			require.Equal(t, a.Blind, b.Blind, "record %d", i)
			alerts += len(a.Alerts)
			last = last.Add(time.Second)
		}
		require.NotZero(t, alerts)
		require.NotZero(t, whole.Status("a", last).LateEvents)
		require.Equal(t, whole.Status("a", last), cut.Status("a", last))
	}
}

func TestCheckpointOfTheVersionBefore(t *testing.T) {
	r := newRig(t, grownUp())
	three().live(r, epoch, epoch.Add(time.Hour))
	ts := r.tenant()
	old := &coder{checkpoint.Write(kindTenant, 1)}
	old.tenant(ts)
	data, err := old.Written()
	require.NoError(t, err)
	fresh := New(grownUp())
	fresh.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live}, []rule.Rule{failing()}, epoch)
	require.NoError(t, fresh.Restore("shop", data))
	require.Equal(t, r.e.Status("shop", r.now).SLIs, fresh.Status("shop", r.now).SLIs)
}

// An SLI that arrives by either source is not absent.
func TestASpansOnlyTenantIsNotAbsent(t *testing.T) {
	missing := both()
	missing.Kind, missing.Name, missing.Severity = rule.Absent, "Absent", rule.Warning
	r := newRig(t, grownUp(), missing)
	r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch, ExpectedTPM: 240}, []rule.Rule{missing}, epoch)
	r.play(newTraffic(9), epoch.Add(time.Minute), epoch.Add(2*time.Hour))
	require.Empty(t, r.out.Alerts)

	none := newRig(t, grownUp(), missing)
	none.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch, ExpectedTPM: 240}, []rule.Rule{missing}, epoch)
	for m := range 120 {
		none.advance(epoch.Add(time.Duration(m) * time.Minute))
	}
	require.Len(t, firing(none.out.Alerts), 1, "without either it is")
}

// What the status says of a tenant that sends by one source of two.
func TestStatusOfOneSource(t *testing.T) {
	r := newRig(t, Options{YoungFor: time.Hour}, both())
	three().live(r, epoch, epoch.Add(2*time.Hour))
	st := r.e.Status("shop", r.now)
	require.Empty(t, st.SLIsWithoutSeries, "it arrives by the one")
	require.Len(t, st.SLIs, 1)
	require.False(t, st.Young)
	r.happens("otel", called("status", "ok"), 2*3600-1, 3)
	r.e.AddEvents(r.now, "shop", "otel", labels.NewBuilder(called()).Set("span_kind", "client").Labels(), []Event{{T: r.now.UnixMilli(), N: 1}})
	r.at(2*3600 + 60)
	st = r.e.Status("shop", r.now)
	require.False(t, st.Young, "what is only compared makes nobody young")
	require.Len(t, st.SLIs, 2)
	require.Equal(t, st.Series, st.SeriesLive)
	require.Empty(t, st.SeriesWithoutSLI, "a kind of call that is not counted is no mistake")

	none := newRig(t, Options{}, both())
	require.Equal(t, []string{"payments"}, none.e.Status("shop", none.now).SLIsWithoutSeries, "said once")
}
