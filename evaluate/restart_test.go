package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
)

// everything fires once: errors, declines, slowness and a loss, one after the other.
func everything(t *testing.T, restart bool) []alert.Alert {
	rules := []rule.Rule{failing(), declining(), slowing(), flowing()}
	for i := range rules {
		rules[i].FalsePages = rules[i].FalseAlarms / 10
	}
	r := newRig(t, Options{YoungFor: 3 * time.Hour}, rules...)
	s := newShop(11)
	alpha, beta := acquirers()
	mode := func(at time.Time) (declined, slower, left float64) {
		declined, slower, left = .1, 1, 1
		switch m := at.Sub(epoch); {
		case m > 30*time.Hour && m < 30*time.Hour+20*time.Minute:
			declined = .4
		case m > 31*time.Hour && m < 31*time.Hour+20*time.Minute:
			slower = 3
		case m > 32*time.Hour && m < 32*time.Hour+20*time.Minute:
			left = 0
		}
		return declined, slower, left
	}
	for i, at := 0, epoch; at.Before(epoch.Add(33 * time.Hour)); i, at = i+1, at.Add(s.every) {
		declined, slower, left := mode(at)
		s.share["card"], s.tps["card"], s.tps["wallet"] = declined, 3*left, .3*left
		alpha.median, alpha.tps, beta.tps = .3*slower, .7*left, left
		s.grow(at)
		r.advance(at.Add(time.Second))
		for _, g := range s.series {
			r.e.Add(r.now, "shop", g.ls, []Sample{{T: at.UnixMilli(), V: g.v}})
		}
		for _, h := range []*timer{alpha, beta} {
			h.run(s.every)
			h.scrape(r, at)
		}
		r.advance(at.Add(2 * time.Second))
		if restart && i%97 == 0 {
			raw, err := r.e.Checkpoint("shop")
			require.NoError(t, err)
			again := newRig(t, Options{YoungFor: 3 * time.Hour}, rules...)
			require.NoError(t, again.e.Restore("shop", raw))
			back, err := again.e.Checkpoint("shop")
			require.NoError(t, err)
			require.Equal(t, raw, back, "a restored state is written as it was read")
			r.e = again.e
		}
	}
	return r.out.Alerts
}

func TestRestartsInTheMiddleOfEveryKindOfFault(t *testing.T) {
	through, again := everything(t, false), everything(t, true)
	kinds := map[rule.Kind]int{}
	for _, a := range through {
		kinds[a.Kind]++
	}
	for _, k := range []rule.Kind{rule.Declines, rule.Latency, rule.Traffic} {
		require.Greater(t, kinds[k], 3, k)
	}
	require.Equal(t, len(through), len(again))
	for i := range through {
		require.Equal(t, through[i], again[i])
	}
}
