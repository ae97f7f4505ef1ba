package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBaselineRecoversTheRatio(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for _, c := range []struct{ rate, ratio float64 }{{0.01, 0.05}, {1, 0.01}, {100, 0.002}, {1, 0.3}} {
		b := &Baseline{}
		failed, passed := newPoisson(c.rate*60*c.ratio), newPoisson(c.rate*60*(1-c.ratio))
		for i := int64(0); i < 7*24*60; i++ {
			k := failed.draw(r)
			b.Observe(Step{Start: testStart + i*60_000, End: testStart + (i+1)*60_000, N: k + passed.draw(r), K: k, Coverage: 1})
		}
		mean, upper := b.Ratio(Parameters{})
		sigma := math.Sqrt(c.ratio / (c.rate * 3600 * 106)) // 106 hours: seven days, forgotten over seven
		require.InDelta(t, c.ratio, mean, 4*sigma+0.04*100/(c.rate*3600*106), "%+v", c)
		require.Greater(t, upper, c.ratio, "%+v", c)
		require.Less(t, upper, 2*c.ratio, "%+v", c)
		require.InEpsilon(t, c.rate*60, b.Rate(), 0.15, "%+v", c)
	}
}

func TestBaselineDrawsOnThePriorWhileYoung(t *testing.T) {
	var none *Baseline
	p := Parameters{Prior: 0.02}
	mean, upper := none.Ratio(p)
	require.InDelta(t, 0.02, mean, 1e-12)
	require.Greater(t, upper, 0.04, "a prior is not knowledge")
	require.Zero(t, none.Rate())
	b := &Baseline{}
	for i := int64(0); i < 5; i++ {
		b.Observe(Step{Start: testStart + i*hour, End: testStart + (i+1)*hour, N: 100, K: 10, Coverage: 1})
		mean, _ := b.Ratio(p)
		old := math.Max(0, float64(i-1)) * 100 // this hour and the last do not count
		require.InDelta(t, (2+0.1*old)/(100+old), mean, 1e-9, "hour %d", i)
	}
}

func TestBaselineForgetsOverSevenDays(t *testing.T) {
	b := taught(1, 0.05)
	for h := int64(0); h < 7*24; h++ {
		b.Observe(Step{Start: testStart + h*hour, End: testStart + (h+1)*hour, N: 3600, K: 36, Coverage: 1})
	}
	mean, _ := b.Ratio(Parameters{})
	require.Less(t, mean, 0.03)
	require.Greater(t, mean, 0.015)
	b.Accept(testStart+7*24*hour, 10_000, 700, 10_000)
	mean, _ = b.Ratio(Parameters{})
	require.InDelta(t, 0.07, mean, 0.002)
	require.InDelta(t, 60, b.Rate(), 0.01)
}

func TestZoneFollowsSlowSwings(t *testing.T) {
	steady, swinging := taught(10, 0.01), &Baseline{}
	for h := int64(0); h < 120; h++ {
		start := testStart - (120-h)*hour
		ratio := 0.01 * (1 + 0.6*math.Sin(float64(h)*math.Pi/12))
		swinging.Observe(Step{Start: start, End: start + hour, N: 36_000, K: 36_000 * ratio, Coverage: 1})
	}
	_, narrow := steady.Ratio(Parameters{})
	mean, wide := swinging.Ratio(Parameters{})
	require.InDelta(t, 0.01, mean, 0.001)
	require.Less(t, narrow, 0.0126)
	young := &Baseline{}
	for h := int64(12); h > 0; h-- {
		young.Observe(Step{Start: testStart - h*hour, End: testStart - (h-1)*hour, N: 36_000, K: 360, Coverage: 1})
	}
	_, unsure := young.Ratio(Parameters{})
	require.Greater(t, unsure, 0.0134, "after half a day nobody knows how far it swings")
	require.InDelta(t, mean+2*0.6*0.01/math.Sqrt2, wide, 0.002, "two standard deviations of the swing")
}

func TestRetractKeepsAnOutageOut(t *testing.T) {
	run := func(retract bool) float64 {
		d, b := &ErrorRatio{}, taught(1, 0.01)
		for i := int64(0); i < 8*240; i++ {
			s := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 15, K: 0.15, Coverage: 1}
			if i >= 480 && i < 1200 { // three hours of a leak of four points
				s.K = 0.75
			}
			decision := d.Step(at16(), b, s)
			switch {
			case !retract:
				b.Observe(s)
			case decision.Changed && decision.Firing:
				require.Positive(t, b.Retract(decision.Onset, s.End))
			case !decision.Firing:
				b.Observe(s)
			}
		}
		mean, _ := b.Ratio(Parameters{})
		return mean
	}
	require.InDelta(t, 0.01, run(true), 0.0001)
	require.Greater(t, run(false), 0.0105, "without taking it back the leak teaches")
}

// Hours close, wrap and age the same whatever the gaps between steps.
func TestHoursWrapWithoutLoss(t *testing.T) {
	for _, gap := range []int64{1, 2, 23, 24, 25, 40, 100} {
		b := &Baseline{}
		want := 0.0
		for i := int64(0); i <= 20; i++ {
			at := testStart + i*gap*hour
			b.Observe(Step{Start: at, End: at + hour, N: 1000, K: 10, Coverage: 1})
		}
		for i := int64(0); i < 20; i++ {
			age := (20 - i) * gap
			if age >= 2 {
				want += 1000 * math.Exp(-float64(max(0, age-keptHours-1))/forgetting)
			}
		}
		require.InEpsilon(t, want, b.Events(), 0.01, "gap %d", gap)
		mean, _ := b.Ratio(Parameters{})
		require.InDelta(t, 0.01, mean, 1e-6)
	}
}

// TestOneCustomersRetriesSayNothingOfTomorrow: what fails far beyond the usual in one hour of a
// thin tenant and rings for nothing is learned as little; what lasts, or comes each night, is.
func TestOneCustomersRetriesSayNothingOfTomorrow(t *testing.T) {
	thin := func(from, hours int64, b *Baseline, odd func(h int64) (n, k float64)) {
		for h := from; h < from+hours; h++ {
			s := hourly(h, 30, 0)
			n, k := odd(h)
			s.N, s.K = s.N+n, 0.6+k
			b.Observe(s)
		}
	}
	none := func(int64) (n, k float64) { return 0, 0 }
	mean := func(b *Baseline) (mean, upper float64) { return b.Ratio(Parameters{}) }

	usual, retried, lasts, nightly := &Baseline{}, &Baseline{}, &Baseline{}, &Baseline{}
	for _, b := range []*Baseline{usual, retried, lasts, nightly} {
		thin(0, 72, b, none)
	}
	thin(72, 48, usual, none)
	thin(72, 48, retried, func(h int64) (n, k float64) {
		if h == 80 {
			return 300, 300
		}
		return 0, 0
	})
	m, u := mean(usual)
	rm, ru := mean(retried)
	require.InEpsilon(t, m, rm, 0.1, "300 failures in one hour, 72 in all the others")
	require.InEpsilon(t, u, ru, 0.25)

	thin(72, 240, lasts, func(int64) (n, k float64) { return 0, 5.4 })
	m, _ = mean(lasts)
	require.Greater(t, m, 0.12, "a fifth fails for ten days")

	thin(72, 240, nightly, func(h int64) (n, k float64) {
		if h%24 == 3 {
			return 100, 100
		}
		return 0, 0
	})
	m, _ = mean(nightly)
	require.Greater(t, m, 0.09, "each night a hundred fail")
}
