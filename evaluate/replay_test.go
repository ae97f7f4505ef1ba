package evaluate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func three() *gateway {
	return newGateway(3, map[string]float64{"alpha": 2, "beta": 2, "gamma": 1}, map[string]float64{"alpha": .01, "beta": .01, "gamma": .01})
}

// backfill sends history: received at once, a millisecond apart, from received on.
func (g *gateway) backfill(r *rig, from, to, received time.Time) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		g.run(15 * time.Second)
		received = received.Add(time.Millisecond)
		g.scrape(r, "shop", t, received)
	}
}

func TestYoungTenantsAlertHardFaultsOnly(t *testing.T) {
	for _, c := range []struct {
		name       string
		history    time.Duration
		fail       float64
		fires, yng bool
	}{
		{"young, a third fails", 2 * time.Hour, .33, false, true},
		{"young, nearly all fail", 2 * time.Hour, .9, true, true},
		{"a day old, a third fails", 25 * time.Hour, .33, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			g := three()
			// History that came before the tenant was onboarded counts.
			r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(c.history)}, []rule.Rule{failing()}, epoch)
			g.backfill(r, epoch, epoch.Add(c.history), epoch.Add(c.history))
			require.Equal(t, c.yng, r.e.Status("shop", r.now).Young)
			g.live(r, epoch.Add(c.history), epoch.Add(c.history+30*time.Minute))
			require.Empty(t, r.out.Alerts)
			for a := range g.fail {
				g.fail[a] = c.fail
			}
			g.live(r, epoch.Add(c.history+30*time.Minute), epoch.Add(c.history+40*time.Minute))
			require.Equal(t, c.fires, len(firing(r.out.Alerts)) > 0)
		})
	}
}

func TestReplayedStepsRaiseNothing(t *testing.T) {
	r := newRig(t, grownUp())
	g := three()
	g.live(r, epoch, epoch.Add(3*time.Hour))
	// The source is cut off for an hour, in which a fault begins and ends.
	r.advance(epoch.Add(4 * time.Hour))
	out := Output{}
	out, r.out = r.out, out
	require.Empty(t, out.Alerts)
	from := epoch.Add(3 * time.Hour)
	g.fail["alpha"] = 1
	back := from.Add(time.Hour)
	g.backfill(r, from, from.Add(15*time.Minute), back)
	require.True(t, r.meter().cells[1].watches[0].Firing, "the detectors are moved")
	g.fail["alpha"] = .01
	g.backfill(r, from.Add(15*time.Minute), back, back.Add(time.Second))
	require.Empty(t, r.out.Alerts, "it was over before anybody could be told")
	g.live(r, back, back.Add(10*time.Minute))
	require.Empty(t, r.out.Alerts)
}

func TestFaultStillOnAtTheLiveEdge(t *testing.T) {
	r := newRig(t, grownUp())
	g := three()
	g.live(r, epoch, epoch.Add(3*time.Hour))
	from, back := epoch.Add(3*time.Hour), epoch.Add(4*time.Hour)
	g.fail["alpha"] = 1
	g.backfill(r, from, back, back)
	g.live(r, back, back.Add(time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.WithinDuration(t, from, fired[0].OnsetAt, 30*time.Second, "its true onset")
	require.WithinDuration(t, back.Add(-10*time.Minute), fired[0].StartsAt, 30*time.Second, "raised by the first live step")
	require.False(t, fired[0].Backlog, "the source was known before")
	require.Equal(t, fired[0].AsOf, fired[0].StartsAt)
}

func TestBacklog(t *testing.T) {
	r := newRig(t, grownUp())
	g := three()
	connected := epoch.Add(3 * time.Hour)
	g.backfill(r, epoch, epoch.Add(2*time.Hour), connected)
	g.fail["alpha"] = 1
	g.backfill(r, epoch.Add(2*time.Hour), connected, connected.Add(time.Second))
	g.live(r, connected, connected.Add(5*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	for _, a := range fired {
		require.True(t, a.Backlog, a.Slice.Key())
	}
	r.out = Output{}
	g.fail["beta"] = 1
	g.live(r, connected.Add(5*time.Minute), connected.Add(10*time.Minute))
	for _, a := range firing(r.out.Alerts) {
		require.Equal(t, a.Slice.Key() != "acquirer=beta", a.Backlog, "what begins later is no backlog: %q", a.Slice.Key())
	}
	require.True(t, func() bool {
		for _, a := range r.out.Alerts {
			if a.Slice.Key() == "acquirer=beta" {
				return true
			}
		}
		return false
	}())
}

func TestAWorseMixIsNoFault(t *testing.T) {
	// Ten in a hundred fail through beta as always; the merchant moves most of its volume there.
	r := newRig(t, Options{YoungFor: 6 * time.Hour})
	g := newGateway(5, map[string]float64{"alpha": 9, "beta": .5}, map[string]float64{"alpha": .005, "beta": .1})
	g.live(r, epoch, epoch.Add(12*time.Hour))
	require.Empty(t, r.out.Alerts)
	g.tps = map[string]float64{"alpha": 2, "beta": 7.5}
	g.live(r, epoch.Add(12*time.Hour), epoch.Add(13*time.Hour))
	require.Empty(t, r.out.Alerts)
	g.tps = map[string]float64{"alpha": 9, "beta": .5} // and back
	g.live(r, epoch.Add(13*time.Hour), epoch.Add(16*time.Hour))
	require.Empty(t, r.out.Alerts)
	g.fail["alpha"], g.fail["beta"] = .5, .6
	g.live(r, epoch.Add(16*time.Hour), epoch.Add(16*time.Hour+5*time.Minute))
	total := 0
	for _, a := range firing(r.out.Alerts) {
		if len(a.Slice) == 0 {
			total++
			require.Greater(t, a.Evidence.K/a.Evidence.N, .45, "alerts say what was observed")
		}
	}
	require.NotZero(t, total, "a fault on top of it is seen")
}

func TestRulesAndTenantsThatGoResolve(t *testing.T) {
	start := func() (*rig, *gateway, time.Time) {
		r := newRig(t, grownUp())
		g := three()
		g.live(r, epoch, epoch.Add(2*time.Hour))
		g.fail["alpha"] = 1
		now := epoch.Add(2*time.Hour + 5*time.Minute)
		g.live(r, epoch.Add(2*time.Hour), now)
		require.NotEmpty(t, firing(r.out.Alerts))
		last := r.out.Alerts[len(r.out.Alerts)-1]
		r.out = Output{}
		require.Equal(t, alert.Firing, last.State)
		return r, g, now
	}
	shop := tenant.Tenant{ID: "shop", State: tenant.Live}
	for name, do := range map[string]func(r *rig, now time.Time){
		"removed": func(r *rig, now time.Time) {
			ending := r.e.Ending("shop", "the tenant was removed")
			require.Equal(t, ending, r.e.Ending("shop", "the tenant was removed"), "asking changes nothing")
			require.Equal(t, "no longer evaluated: the tenant was removed", ending[0].Reason)
			r.e.RemoveTenant("shop")
			require.Empty(t, r.e.Ending("shop", "the tenant was removed"))
			r.out.Alerts = append(r.out.Alerts, ending...)
		},
		"paused": func(r *rig, now time.Time) {
			r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Paused}, []rule.Rule{failing()}, now)
		},
		"no rules": func(r *rig, now time.Time) { r.e.SetTenant(shop, nil, now) },
	} {
		r, _, now := start()
		do(r, now)
		r.advance(now.Add(time.Second))
		require.NotEmpty(t, r.out.Alerts, name)
		for _, a := range r.out.Alerts {
			require.Equal(t, alert.Resolved, a.State)
			require.NotNil(t, a.EndsAt)
			require.Equal(t, rule.Critical, a.Severity)
			require.Equal(t, failing().SLI.ID(), a.SLI)
		}
	}
	// A rule that is renamed nowhere but in its words goes on firing, and another beside it learns from the same cells.
	r, g, now := start()
	again, beside := failing(), failing()
	again.Summary, again.SLI.Name = "other words", "renamed"
	beside.Name, beside.Severity = "Beside", rule.Warning
	learned := r.meter().learned
	r.e.SetTenant(shop, []rule.Rule{again, beside}, now)
	g.live(r, now, now.Add(2*time.Minute))
	require.Greater(t, r.meter().learned, learned)
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved))
	names := map[string]bool{}
	for _, a := range r.out.Alerts {
		names[a.Rule+a.Summary] = true
	}
	require.Equal(t, map[string]bool{"PaymentsFailingother words": true, "Besidepayments fail": true}, names)
}

// chaos is a random but reproducible stream of calls for three tenants.
func chaos(seed uint64, steps int) []func(e *Engine) Output {
	rng := rand.New(rand.NewPCG(seed, 9))
	ids := []tenant.ID{"a", "b", "c"}
	gs := map[tenant.ID]*gateway{}
	for i, id := range ids {
		gs[id] = newGateway(seed+uint64(i), map[string]float64{"alpha": 2, "beta": 1, "gamma": .3}, map[string]float64{"alpha": .02, "beta": .02, "gamma": .02}, "instance", fmt.Sprint("i", i))
	}
	var calls []func(e *Engine) Output
	for i := range steps {
		at := epoch.Add(time.Duration(i) * 15 * time.Second)
		for _, id := range ids {
			g := gs[id]
			g.run(15 * time.Second)
			if rng.Float64() < .01 {
				g.fail["alpha"] = []float64{.02, .3, 1}[rng.IntN(3)]
			}
			if rng.Float64() < .003 {
				clear(g.counts)
			}
			if i%400 > 360 && id == "b" {
				continue // silent for ten minutes
			}
			split := len(g.keys)
			if rng.Float64() < .2 {
				split = rng.IntN(len(g.keys))
			}
			for part, keys := range [][]string{g.keys[:split], g.keys[split:]} {
				received := at.Add(time.Duration(500+part*rng.IntN(14000)) * time.Millisecond)
				if i > 0 && rng.Float64() < .02 {
					continue
				}
				samples := map[string]Sample{}
				for _, k := range keys {
					samples[k] = Sample{T: at.UnixMilli(), V: g.counts[k]}
					if rng.Float64() < .002 {
						samples[k] = Sample{T: at.UnixMilli(), V: stale}
					}
				}
				calls = append(calls, func(e *Engine) Output {
					out := e.Advance(received)
					for _, k := range keys {
						e.Add(received, id, g.series[k], []Sample{samples[k]})
					}
					return out
				})
			}
		}
	}
	return calls
}

// said is all that a contribution says.
func said(c exchange.Contribution) string {
	return fmt.Sprint(*c.Origin, c.Slice, c.Step, c.Usual, c.Over, c.Expected, c.Live)
}

// An engine that was cut off anywhere and restored from checkpoints goes on as
// if nothing had been, but for contributions that it sends again.
func TestRestoreAnywhere(t *testing.T) {
	steps := 3000
	if testing.Short() {
		steps = 900
	}
	for seed := range uint64(3) {
		calls := chaos(seed, steps)
		install := func() *Engine {
			e := New(Options{YoungFor: 30 * time.Minute, MaxSlices: 2})
			for _, id := range []tenant.ID{"a", "b", "c"} {
				e.SetTenant(tenant.Tenant{ID: id, State: tenant.Live}, []rule.Rule{failing()}, epoch)
			}
			return e
		}
		rng := rand.New(rand.NewPCG(seed, 77))
		whole, cut := install(), install()
		alerts, contributions, blind, cuts := 0, 0, 0, 0
		for i, call := range calls {
			sent := map[string]bool{}
			if rng.Float64() < .02 {
				cuts++
				fresh := install()
				for _, id := range cut.Tenants() {
					data, err := cut.Checkpoint(id)
					require.NoError(t, err)
					again, err := cut.Checkpoint(id)
					require.NoError(t, err)
					require.Equal(t, data, again)
					require.NoError(t, fresh.Restore(id, data))
					for _, m := range cut.tenants[id].meters {
						for _, c := range m.recent {
							for _, v := range cut.tenants[id].contributions(m, &c, nil) {
								sent[said(v)] = true
							}
						}
					}
				}
				cut = fresh
			}
			a, b := call(whole), call(cut)
			require.Equal(t, a.Alerts, b.Alerts, "call %d", i)
			require.Equal(t, a.Blind, b.Blind, "call %d", i)
			var news []exchange.Contribution
			for _, c := range b.Contributions {
				if !sent[said(c)] {
					news = append(news, c)
				}
			}
			require.Equal(t, a.Contributions, news, "call %d", i)
			alerts, contributions, blind = alerts+len(a.Alerts), contributions+len(a.Contributions), blind+len(a.Blind)
		}
		require.NotZero(t, alerts)
		require.NotZero(t, blind)
		require.NotZero(t, contributions)
		require.Equal(t, whole.Status("a", epoch), cut.Status("a", epoch))
		t.Logf("%d alerts, %d contributions, %d blind changes, %d cuts", alerts, contributions, blind, cuts)
	}
}

// Advancing more often, as a timer does, changes nothing but the moment.
func TestTimerChangesNothing(t *testing.T) {
	run := func(timer bool) (out []alert.Alert) {
		e := New(Options{YoungFor: 30 * time.Minute})
		for _, id := range []tenant.ID{"a", "b", "c"} {
			e.SetTenant(tenant.Tenant{ID: id, State: tenant.Live}, []rule.Rule{failing()}, epoch)
		}
		last := epoch
		for _, call := range chaos(21, 1200) {
			o := call(e)
			if timer {
				out = append(out, o.Alerts...)
				o = e.Advance(last) // never later than the next record
			}
			out = append(out, o.Alerts...)
		}
		return out
	}
	require.Equal(t, run(false), run(true))
	require.NotEmpty(t, run(true))
}

func TestRestoreRefuses(t *testing.T) {
	r := newRig(t, grownUp())
	three().live(r, epoch, epoch.Add(time.Hour))
	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.True(t, problem.Is(r.e.Restore("nobody", data), problem.NotFound))
	newer := append([]byte{}, data...)
	newer[1]++
	require.True(t, problem.Is(r.e.Restore("shop", newer), problem.Invalid))
	require.True(t, problem.Is(r.e.Restore("shop", []byte("P\x01")), problem.Malformed))
	for n := range len(data) - 1 {
		require.Error(t, r.e.Restore("shop", data[:n]), "cut at %d", n)
	}
	after, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.Equal(t, data, after, "a refusal changes nothing")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 { // damage must not panic or hang
		bad := append([]byte{}, data...)
		bad[2+rng.IntN(len(bad)-2)] ^= byte(1 << rng.IntN(8))
		e := New(Options{})
		e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live}, []rule.Rule{failing()}, epoch)
		_ = e.Restore("shop", bad)
	}
	_, err = r.e.Checkpoint("nobody")
	require.True(t, problem.Is(err, problem.NotFound))
}

func TestRestoreUnderOtherRules(t *testing.T) {
	r := newRig(t, grownUp())
	g := three()
	g.live(r, epoch, epoch.Add(2*time.Hour))
	g.fail["alpha"] = 1
	g.live(r, epoch.Add(2*time.Hour), epoch.Add(2*time.Hour+5*time.Minute))
	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	e := New(grownUp())
	other := failing()
	other.SLI = sli.Spec{Metric: "logins_total"}
	e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live}, []rule.Rule{other}, epoch)
	require.NoError(t, e.Restore("shop", data))
	out := e.Advance(epoch.Add(3 * time.Hour))
	require.Len(t, ofState(out.Alerts, alert.Resolved), len(out.Alerts))
	require.NotEmpty(t, out.Alerts)
	require.Equal(t, "PaymentsFailing", out.Alerts[0].Rule)
	require.Equal(t, failing().SLI.ID(), out.Alerts[0].SLI)
}
