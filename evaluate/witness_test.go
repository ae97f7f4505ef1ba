package evaluate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
)

// kiosk is a tenant of two methods and two acquirers that nobody counts customers of, half
// a day old.
func kiosk(t testing.TB, tps float64) (*rig, *combinations) {
	f := failing()
	f.SLI.Slices = []string{"method", "acquirer"}
	r := newRig(t, grownUp(), f)
	g := &combinations{rng: rand.New(rand.NewPCG(11, uint64(1000*tps)))}
	for i, c := range [][2]string{{"card", "alpha"}, {"card", "beta"}, {"transfer", "alpha"}, {"transfer", "beta"}} {
		g.open(c[0], c[1], tps*[]float64{.4, .3, .2, .1}[i], .01)
	}
	g.live(r, hours(0), hours(12))
	require.Empty(t, r.out.Alerts)
	return r, g
}

// insist lets one customer fail so many times a minute in a combination.
func (g *combinations) insist(r *rig, c *combination, perMinute float64, from, to time.Time) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		c.counts[1] += poisson(g.rng, perMinute/4)
		g.live(r, t, t.Add(time.Second))
	}
}

func TestOneCustomersRetriesAreHeldWhereNobodyCountsCustomers(t *testing.T) {
	for _, tps := range []float64{.1, 1, 10} {
		for _, perMinute := range []float64{3, 10, 20} {
			t.Run(fmt.Sprintf("%g a minute at %g tps", perMinute, tps), func(t *testing.T) {
				r, g := kiosk(t, tps)
				g.insist(r, g.all[2], perMinute, hours(12), hours(12.5))
				held := 0
				for _, s := range r.e.Status("shop", r.now).SLIs[0].Slices {
					if s.HeldSince != nil {
						held++
						require.Regexp(t, `; held since 1[12]:\d\d UTC: what fails looks like one customer's retries$`, s.Sees())
					}
				}
				require.True(t, held > 0 || perMinute < 5, "it would have fired")
				g.live(r, hours(12.5), hours(14))
				require.Empty(t, r.out.Alerts)
			})
		}
	}
}

func TestFaultsFireWhereNobodyCountsCustomers(t *testing.T) {
	alpha := func(g *combinations) { g.all[0].fail, g.all[2].fail = .9, .9 }
	one := func(g *combinations) { g.all[1].fail = .9 }
	points := func(g *combinations) {
		for _, c := range g.all {
			c.fail = .06
		}
	}
	for _, f := range []struct {
		name   string
		tps    float64
		breaks func(*combinations)
		within time.Duration
	}{
		{"an acquirer down", .1, alpha, 10 * time.Minute},
		{"an acquirer down", 1, alpha, 2 * time.Minute},
		{"an acquirer down", 10, alpha, 90 * time.Second},
		{"one combination down", .1, one, 25 * time.Minute},
		{"one combination down", 1, one, 5 * time.Minute},
		{"one combination down", 10, one, 2 * time.Minute},
		{"five points", 1, points, 15 * time.Minute},
		{"five points", 10, points, 3 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%s at %g tps", f.name, f.tps), func(t *testing.T) {
			r, g := kiosk(t, f.tps)
			f.breaks(g)
			for at := hours(12); at.Before(hours(13)) && len(firing(r.out.Alerts)) == 0; at = at.Add(15 * time.Second) {
				g.live(r, at, at.Add(time.Second))
			}
			fired := firing(r.out.Alerts)
			require.NotEmpty(t, fired)
			after := fired[0].StartsAt.Sub(hours(12))
			t.Log(after)
			require.LessOrEqual(t, after, f.within)
		})
	}
}

// What a customer did is forgotten when he has given up: hours later one failure more is
// no alarm, and nothing was learned from it.
func TestRetriesAreForgottenWhenTheyAreOver(t *testing.T) {
	r, g := kiosk(t, .1)
	g.insist(r, g.all[0], 10, hours(12), hours(12.3))
	g.live(r, hours(12.3), hours(15))
	require.Empty(t, r.out.Alerts)
	for _, c := range r.meter().cells {
		require.False(t, c.doubtful())
		if c.judged {
			require.Less(t, c.base.Mean(detect.Parameters{Prior: .01}), .03)
		}
	}
}
