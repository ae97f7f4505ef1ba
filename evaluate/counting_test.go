package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// dot is one sample in the tables: times in seconds after the epoch.
type dot struct {
	series string
	t, v   float64
	start  float64 // start timestamp; 0 none
	lag    float64 // received so long after t; 0 half a second
}

var named = map[string]labels.Labels{
	"ok":    counter("result", "success"),
	"bad":   counter("result", "error"),
	"other": labels.FromStrings("__name__", "payment_transactions_total", "job", "gateway", "instance", "gw-2", "result", "success"),
}

// steady is the series ok growing by 15 every 15 s from 0 to until.
func steady(series string, from, until float64) (out []dot) {
	for t := from; t <= until; t += 15 {
		out = append(out, dot{series: series, t: t, v: 1000 + t})
	}
	return out
}

func (r *rig) feed(dots ...dot) {
	for _, d := range dots {
		lag := d.lag
		if lag == 0 {
			lag = .5
		}
		if now := epoch.Add(time.Duration((d.t + lag) * float64(time.Second))); now.After(r.now) {
			r.advance(now)
		}
		start := int64(0)
		if d.start != 0 {
			start = epoch.UnixMilli() + int64(d.start*1000)
		}
		r.addFrom(named[d.series], d.t, d.v, start)
	}
}

func merged(lists ...[]dot) (out []dot) {
	for _, l := range lists {
		for _, d := range l {
			i := len(out)
			for i > 0 && out[i-1].t > d.t {
				i--
			}
			out = append(out[:i], append([]dot{d}, out[i:]...)...)
		}
	}
	return out
}

func TestCounting(t *testing.T) {
	for _, c := range []struct {
		name string
		dots []dot
		n, k float64 // over the steps that closed after 300 s
		gap  float64
		late int64
	}{
		{"steady", steady("ok", 0, 390), 90, 0, 0, 0},
		{"a birth in a running target counts from zero", merged(steady("ok", 0, 390), []dot{{series: "bad", t: 345, v: 7}, {series: "bad", t: 360, v: 7}, {series: "bad", t: 375, v: 7}, {series: "bad", t: 390, v: 7}}), 97, 7, 0, 0},
		{"a birth of an unknown target notes the level only", merged(steady("ok", 0, 390), steady("other", 345, 390)), 90 + 45, 0, 0, 0},
		{"unless its start timestamp says when", merged(steady("ok", 0, 390), []dot{{series: "other", t: 345, v: 5, start: 340}, {series: "other", t: 360, v: 5, start: 340}, {series: "other", t: 375, v: 5, start: 340}, {series: "other", t: 390, v: 5, start: 340}}), 95, 0, 0, 0},
		{"a start too long ago joins the volume", merged(steady("ok", 0, 390), []dot{{series: "other", t: 345, v: 500, start: 40}, {series: "other", t: 360, v: 505, start: 40}, {series: "other", t: 375, v: 505, start: 40}, {series: "other", t: 390, v: 505, start: 40}}), 95, 0, 500, 0},
		{"after a reset the value is the increment", append(steady("ok", 0, 345), dot{series: "ok", t: 360, v: 4}, dot{series: "ok", t: 375, v: 19}, dot{series: "ok", t: 390, v: 34}), 45 + 4 + 30, 0, 0, 0},
		{"a later start timestamp is a reset although the value grew", append(steady("ok", 0, 345), dot{series: "ok", t: 360, v: 2000, start: 350}, dot{series: "ok", t: 375, v: 2015, start: 350}, dot{series: "ok", t: 390, v: 2030, start: 350}), 45 + 2000 + 30, 0, 0, 0},
		{"two missed scrapes are spread", append(steady("ok", 0, 330), dot{series: "ok", t: 375, v: 1375}, dot{series: "ok", t: 390, v: 1390}), 90, 0, 0, 0},
		{"three are a gap", append(steady("ok", 0, 315), dot{series: "ok", t: 375, v: 1375}, dot{series: "ok", t: 390, v: 1390}), 30, 0, 60, 0},
		{"an evicted series returns with what it grew by", merged(steady("ok", 0, 390), []dot{
			{series: "bad", t: 60, v: 3}, {series: "bad", t: 75, v: stale}, {series: "bad", t: 360, v: 8}, {series: "bad", t: 375, v: 8}, {series: "bad", t: 390, v: 8}}), 95, 5, 0, 0},
		{"or with all of it when it began anew", merged(steady("ok", 0, 390), []dot{
			{series: "bad", t: 60, v: 3}, {series: "bad", t: 75, v: stale}, {series: "bad", t: 360, v: 2}, {series: "bad", t: 375, v: 2}, {series: "bad", t: 390, v: 2}}), 92, 2, 0, 0},
		{"duplicates and older samples are late", append(steady("ok", 0, 390), dot{series: "ok", t: 390, v: 1390}, dot{series: "ok", t: 389, v: 9}), 90, 0, 0, 2},
		{"no number is no sample", merged(steady("ok", 0, 390), []dot{{series: "ok", t: 385, v: -1}}), 90, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, grownUp())
			var n, k float64
			seen := map[float64]bool{}
			for _, d := range c.dots {
				r.feed(d)
				for _, s := range r.steps() {
					if s.start >= 300 && !seen[s.start] {
						seen[s.start] = true
						n, k = n+s.n, k+s.k
					}
				}
			}
			r.at(425)
			for _, s := range r.steps() {
				if s.start >= 300 && !seen[s.start] {
					n, k = n+s.n, k+s.k
				}
			}
			require.InDelta(t, c.n, n, 1e-6)
			require.InDelta(t, c.k, k, 1e-6)
			st := r.e.Status("shop", r.now)
			require.InDelta(t, c.gap, st.GapEvents, 1e-6)
			require.Equal(t, c.late, st.LateSamples)
			require.Zero(t, st.LateEvents)
		})
	}
}

func TestLastValueIsKeptForADay(t *testing.T) {
	for hours, known := range map[int]bool{23: true, 26: false} {
		r := newRig(t, grownUp())
		r.feed(merged(steady("ok", 0, 60), []dot{{series: "bad", t: 60, v: 3}, {series: "bad", t: 75, v: stale}})...)
		r.feed(steady("ok", 75, float64(hours)*3600)...)
		require.Equal(t, known, len(r.tenant().series) == 2, "after %d hours", hours)
	}
}

func TestSplitRequest(t *testing.T) {
	r := newRig(t, grownUp())
	for at := 0.; at < 300; at += 15 {
		r.at(at+.5).add(named["ok"], at, 10*at)
		r.add(named["bad"], at, at/15)
	}
	// The failures of one scrape come at once, their successes in the next request.
	r.at(300.5).add(named["bad"], 300, 40)
	last := r.steps()[len(r.steps())-1]
	r.at(308)
	require.Equal(t, last, r.steps()[len(r.steps())-1], "the step waits for its successes")
	r.add(named["ok"], 300, 3000)
	r.at(308.5)
	got := r.steps()[len(r.steps())-1]
	require.Equal(t, 300., got.end)
	require.InDelta(t, 171, got.n, 1e-6)
	require.InDelta(t, 21, got.k, 1e-6)
	require.Equal(t, 1., got.share)

	// When they do not come in 30 s, the step is no evidence.
	r.at(315.5).add(named["bad"], 315, 80)
	r.at(345.4)
	require.Equal(t, 300., r.steps()[len(r.steps())-1].end)
	r.at(345.5)
	got = r.steps()[len(r.steps())-1]
	require.Equal(t, 315., got.end)
	require.Less(t, got.share, halfCovered)
	r.add(named["ok"], 315, 3150) // and what comes then is counted as late
	require.InDelta(t, 150, r.e.Status("shop", r.now).LateEvents, 1e-6)
	require.Empty(t, r.out.Alerts)
}

func TestMinuteScrapeMakesMinuteSteps(t *testing.T) {
	r := newRig(t, grownUp())
	for at := 7.; at < 1000; at += 60 {
		r.at(at+.5).add(named["ok"], at, at)
	}
	r.at(1000)
	for _, s := range r.steps()[1:] {
		require.Equal(t, 60., s.end-s.start)
		require.Zero(t, int(s.start)%60)
		require.InDelta(t, 60, s.n, 1e-6)
		require.Equal(t, 1., s.share)
	}
	require.Equal(t, 60., r.e.Status("shop", r.now).SLIs[0].StepSeconds)
}

func TestFreshAndFlatIsZeroTraffic(t *testing.T) {
	r := newRig(t, grownUp())
	for at := 0.; at <= 300; at += 15 {
		r.at(at+.5).add(named["ok"], at, 1000)
	}
	r.at(301)
	got := r.steps()
	require.Equal(t, step{285, 300, 0, 0, 1}, got[len(got)-1])
}

func TestCoverage(t *testing.T) {
	r := newRig(t, grownUp())
	dots := merged(steady("ok", 0, 300), steady("other", 0, 300))
	r.feed(dots...)
	// One of two equal targets falls silent without a word.
	r.feed(steady("ok", 315, 345)...)
	r.at(390)
	got := r.steps()
	require.InDelta(t, .5, got[len(got)-1].share, .02)
	require.Equal(t, 345., got[len(got)-1].end)
	// After a minute without any of its series it is no longer expected.
	r.feed(steady("ok", 360, 450)...)
	r.at(481)
	got = r.steps()
	require.Equal(t, 1., got[len(got)-1].share)
	// Said by a stale marker it is so at once, and nobody waits.
	r = newRig(t, grownUp())
	r.feed(dots...)
	r.feed(dot{series: "other", t: 315, v: stale}, dot{series: "ok", t: 315, v: 1315})
	r.at(316)
	got = r.steps()
	require.Equal(t, step{300, 315, 15, 0, 1}, got[len(got)-1])
}

func TestBlind(t *testing.T) {
	r := newRig(t, grownUp())
	r.feed(steady("ok", 0, 300)...)
	r.at(600.4)
	require.Empty(t, r.out.Blind)
	r.at(700)
	since := epoch.Add(300500 * time.Millisecond)
	require.Equal(t, []BlindChange{{Tenant: "shop", Blind: true, Since: since, At: since.Add(5 * time.Minute)}}, r.out.Blind)
	require.True(t, r.e.Status("shop", r.now).Blind)
	before := r.steps()
	r.at(3000)
	require.Len(t, r.out.Blind, 1)
	require.Equal(t, before, r.steps(), "detectors are held")
	r.feed(dot{series: "ok", t: 3000, v: 5000})
	r.at(3001)
	require.Equal(t, BlindChange{Tenant: "shop", Since: since, At: epoch.Add(3000500 * time.Millisecond)}, r.out.Blind[1])
	r.at(3200)
	require.Len(t, r.out.Blind, 2)
	require.InDelta(t, 3700, r.e.Status("shop", r.now).GapEvents, 1e-6)

	never := newRig(t, grownUp()).at(100000)
	require.Empty(t, never.out.Blind, "a tenant that never sent is not blind")
}

func TestLimits(t *testing.T) {
	r := newRig(t, Options{MaxSeries: 3, YoungFor: time.Second})
	for i := range 5 {
		r.at(1).add(counter("result", "success", "n", fmt.Sprint(i)), 0, 1)
	}
	st := r.e.Status("shop", r.now)
	require.Equal(t, 3, st.Series)
	require.EqualValues(t, 2, st.RefusedSamples)
	r.add(counter("result", "success", "n", "0"), 1000, 1)
	require.EqualValues(t, 3, r.e.Status("shop", r.now).RefusedSamples, "more than five minutes ahead")
	r.add(counter("result", "success", "n", "0"), 15, stale)
	r.at(15).add(counter("result", "success", "n", "9"), 15, 1)
	require.Equal(t, 3, r.e.Status("shop", r.now).Series, "one that is gone gives way")
	require.EqualValues(t, 3, r.e.Status("shop", r.now).RefusedSamples)

	r.e.Add(r.now, "stranger", named["ok"], []Sample{{T: 1, V: 1}})
	require.Equal(t, []tenant.ID{"shop"}, r.e.Tenants())
	require.Equal(t, "stranger", string(r.e.Status("stranger", r.now).Tenant))
}

func TestTopSlices(t *testing.T) {
	r := newRig(t, grownUp())
	judged := func() (out []string) {
		for _, s := range r.e.Status("shop", r.now).SLIs[0].Slices {
			if len(s.Slice) > 0 {
				out = append(out, s.Slice[0].Value)
			}
		}
		return out
	}
	send := func(from, to float64, rate func(i int) float64) {
		for at := from; at < to; at += 15 {
			r.at(at + .5)
			for i := range 12 {
				r.add(counter("result", "success", "acquirer", fmt.Sprintf("a%02d", i)), at, rate(i)*at)
			}
		}
	}
	send(0, 30, func(i int) float64 { return float64(1 + i) })
	require.Equal(t, []string{"a00", "a01", "a02", "a03", "a04", "a05", "a06", "a07"}, judged(), "the first eight, until volume is known")
	send(30, 1000, func(i int) float64 { return float64(1 + i) })
	require.ElementsMatch(t, []string{"a04", "a05", "a06", "a07", "a08", "a09", "a10", "a11"}, judged())
	// A hundred more values share one cell that nobody judges.
	for at := 1000.; at < 1100; at += 15 {
		r.at(at + .5)
		for i := range 100 {
			r.add(counter("result", "success", "acquirer", fmt.Sprintf("b%02d", i)), at, at)
		}
	}
	require.LessOrEqual(t, len(r.meter().cells), 1+knownValues+1+maxJoints)
	require.Len(t, r.meter().joints, maxJoints)
	require.Len(t, judged(), 8)
}
