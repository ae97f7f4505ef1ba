package evaluate

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// combination is a method through an acquirer, with its counters.
type combination struct {
	tps, fail float64
	counts    [2]float64 // succeeded, failed
	series    [2]labels.Labels
}

type combinations struct {
	rng *rand.Rand
	all []*combination
}

func (g *combinations) open(method, acquirer string, tps, fail float64) *combination {
	c := &combination{tps: tps, fail: fail}
	for i, result := range []string{"success", "error"} {
		c.series[i] = counter("method", method, "acquirer", acquirer, "result", result)
	}
	g.all = append(g.all, c)
	return c
}

func (g *combinations) live(r *rig, from, to time.Time) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		r.advance(t.Add(time.Second))
		for _, c := range g.all {
			for i, share := range []float64{1 - c.fail, c.fail} {
				c.counts[i] += poisson(g.rng, c.tps*share*15)
				r.e.Add(r.now, "shop", c.series[i], []Sample{{T: t.UnixMilli(), V: c.counts[i]}})
			}
		}
		r.advance(t.Add(2 * time.Second))
	}
}

func hours(n float64) time.Time { return epoch.Add(time.Duration(n * float64(time.Hour))) }

// matrix is a tenant of two methods and two acquirers, one combination of which it has
// not opted in to, six hours old.
func matrix(t *testing.T) (*rig, *combinations) {
	f := failing()
	f.SLI.Slices = []string{"method", "acquirer"}
	r := newRig(t, Options{YoungFor: 6 * time.Hour}, f)
	g := &combinations{rng: rand.New(rand.NewPCG(7, 7))}
	g.open("card", "alpha", 8, .01)
	g.open("card", "beta", 4, .01)
	g.open("transfer", "alpha", 2, .01)
	g.live(r, hours(0), hours(8))
	require.Empty(t, r.out.Alerts)
	return r, g
}

// A tenant opts in, through one of its acquirers, to a method that fails eight times as
// often there. Nothing rings: not at first, not when the day is over, not when half of
// it goes and comes back. What happens to it later does.
func TestOptingInToAWorseCombinationAlarmsNothing(t *testing.T) {
	r, g := matrix(t)
	worse := g.open("transfer", "beta", 4, .08)
	g.live(r, hours(8), hours(18))
	worse.tps = 1
	g.live(r, hours(18), hours(19))
	worse.tps = 5
	g.live(r, hours(19), hours(22))
	require.Empty(t, firing(r.out.Alerts))
	worse.fail = .5
	g.live(r, hours(22), hours(22.2))
	require.NotEmpty(t, firing(r.out.Alerts))
	require.InDelta(t, .08, firing(r.out.Alerts)[0].Evidence.Usual, .05, "against what its mix makes one expect")
}

// That a combination is new explains that it is worse, not that it does not work.
func TestANewbornCombinationThatFailsAlarms(t *testing.T) {
	r, g := matrix(t)
	g.open("transfer", "beta", 4, .7)
	g.live(r, hours(8), hours(8.2))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	for _, a := range fired {
		require.NotEqual(t, "method=card", a.Slice.Key())
	}
}

// Seven hours of a leak are not learned, although each hour is only a little worse.
func TestALeakIsNotLearned(t *testing.T) {
	r, g := matrix(t)
	usual := func() (out []float64) {
		for _, s := range r.e.tenants["shop"].meters[0].cells {
			if s.judged {
				mean, _ := s.base.Ratio(r.meter().priorOf(r.meter().rules[0], 0))
				out = append(out, mean)
			}
		}
		return out
	}
	g.live(r, hours(8), hours(12))
	before := usual()
	for i := range 28 {
		for _, c := range g.all {
			c.fail = .01 + .15*float64(i)/28
		}
		g.live(r, hours(12+float64(i)/4), hours(12.25+float64(i)/4))
	}
	for _, c := range g.all {
		c.fail = .01
	}
	g.live(r, hours(19), hours(22))
	require.NotEmpty(t, firing(r.out.Alerts))
	for i, now := range usual() {
		require.InEpsilon(t, before[i], now, .15, "cell %d", i)
	}
}

// Combinations come back after a restart as they were.
func TestCombinationsSurviveARestart(t *testing.T) {
	r, _ := matrix(t)
	state, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	f := failing()
	f.SLI.Slices = []string{"method", "acquirer"}
	again := newRig(t, Options{YoungFor: 6 * time.Hour}, f)
	require.NoError(t, again.e.Restore("shop", state))
	require.Equal(t, r.meter().joints, again.meter().joints)
	second, err := again.e.Checkpoint("shop")
	require.NoError(t, err)
	require.Equal(t, state, second)
	// By a record from before combinations were kept none of them is newborn.
	for i, c := range again.meter().cells {
		if c.joint != nil {
			again.meter().cells[i] = &cell{}
		}
	}
	clear(again.meter().joints)
	require.NoError(t, again.e.Restore("shop", func() []byte { b, _ := again.e.Checkpoint("shop"); return b }()))
	for _, c := range again.meter().cells {
		if c.joint != nil {
			require.Equal(t, 6*time.Hour.Milliseconds(), again.meter().clock-c.joint.since)
		}
	}
	require.Len(t, again.meter().joints, 3)
}
