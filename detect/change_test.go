package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// stretch moves a test by steps of 15 s with so many events a minute, of which a share
// fails that may depend on the minute; level follows as a pool's does. It returns the
// minute at which it fired, or -1.
type stretch struct {
	c     Change
	level Level
	r     *rand.Rand
	at    int64
	n     float64    // events a minute
	usual float64    // what days have taught
	with  Parameters // what it is told
}

func newStretch(seed uint64, n float64) *stretch {
	return &stretch{r: rand.New(rand.NewPCG(seed, 1)), at: nullStart, n: n, usual: 0.01, with: Parameters{Budget: 0.01}}
}

func (x *stretch) pass(minutes float64, ratio func(minute float64) float64) (fired float64, last Decision) {
	from := x.at
	for x.at < from+int64(minutes*60_000) {
		s := Step{Start: x.at, End: x.at + stepMillis, N: x.n / 4, Coverage: 1}
		p := ratio(float64(x.at-from)/60_000 + 0.125)
		s.K = math.Max(0, math.Round(s.N*p+math.Sqrt(s.N*p*(1-p))*x.r.NormFloat64()))
		factor, known := x.level.Factor()
		x.c.Next(&x.with, factor*s.N*x.usual, known, &s, &last)
		if last.Changed && !last.Firing {
			x.level = Level{}
		}
		if !x.c.Suspects() {
			x.level.Observe(s.End, s.K, s.N*x.usual)
		}
		if x.at = s.End; last.Changed {
			return float64(x.at-from) / 60_000, last
		}
	}
	return -1, last
}

func steady(p float64) func(float64) float64 { return func(float64) float64 { return p } }

// TestALeakIsSeenInMinutes lets failures grow by fifteen points over three hours where
// slow swings have carried the ratio a third above what is usual.
func TestALeakIsSeenInMinutes(t *testing.T) {
	sum := 0.0
	for seed := range uint64(20) {
		x := newStretch(seed, 60_000)
		fired, _ := x.pass(90, steady(0.013))
		require.Negative(t, fired, "a level of its own is no change")
		fired, d := x.pass(30, func(minute float64) float64 { return 0.013 + 0.15*minute/180 })
		require.InDelta(t, 4, fired, 1.6, seed)
		require.True(t, d.Firing)
		require.Equal(t, "change", d.Test)
		require.InDelta(t, 0.013, d.Usual, 0.001, "it is held against the last hour")
		require.Greater(t, d.K/d.N, 0.0135)
		sum += fired
	}
	require.Less(t, sum, 20*4.0, "a perfect observer needs three minutes")
}

// TestWhatManyShareIsSeenEarlier: of a stream of many tenants less evidence and a shorter
// time are enough.
func TestWhatManyShareIsSeenEarlier(t *testing.T) {
	seen := func(common bool) (sum float64) {
		for seed := range uint64(20) {
			x := newStretch(seed, 60_000)
			x.with.Common = common
			x.pass(90, steady(0.013))
			fired, d := x.pass(30, func(minute float64) float64 { return 0.013 + 0.15*minute/180 })
			require.True(t, d.Firing)
			sum += fired
		}
		return sum
	}
	require.Less(t, seen(true), seen(false)-20*0.05, "some seconds each")
}

// TestABlipIsNoChange: what a deployment breaks for 42 seconds, at one tenant of many or
// at all of them, is over before two minutes of it could be seen.
func TestABlipIsNoChange(t *testing.T) {
	for seed := range uint64(40) {
		x := newStretch(seed, 30_000)
		x.with.Common = seed%2 == 0
		x.pass(60, steady(0.01))
		for _, size := range []float64{0.02, 0.05, 0.3} {
			fired, _ := x.pass(60, func(minute float64) float64 {
				if minute < 0.7 {
					return 0.01 + size
				}
				return 0.01
			})
			require.Negative(t, fired, "%d, %g", seed, size)
		}
	}
}

// TestABlipAfterAChanceFailureIsNoChange: what fails by chance a minute before a blip makes the
// evidence span the guard; but failures must fill it.
func TestABlipAfterAChanceFailureIsNoChange(t *testing.T) {
	for seed := range uint64(60) {
		x := newStretch(1000+seed, 12_000)
		x.with.Common = seed%2 == 0
		x.pass(60, steady(0.012))
		for range 20 {
			fired, _ := x.pass(30, func(minute float64) float64 {
				if minute > 5.2 && minute < 5.95 {
					return 0.3
				}
				return 0.012
			})
			require.Negative(t, fired, seed)
		}
	}
}

func TestAChangeIsOver(t *testing.T) {
	x := newStretch(3, 30_000)
	x.pass(60, steady(0.01))
	fired, _ := x.pass(10, steady(0.02))
	require.Positive(t, fired)
	over, d := x.pass(60, steady(0.01))
	require.Positive(t, over)
	require.Less(t, over, 10.0)
	require.False(t, d.Firing)
	require.Equal(t, "change", d.Test)
	fired, _ = x.pass(19, steady(0.02))
	require.Negative(t, fired, "it learns its level anew first")
}

// TestWhatLastsIsALevel: after two hours a change is the usual ratio's to judge.
func TestWhatLastsIsALevel(t *testing.T) {
	x := newStretch(3, 30_000)
	x.pass(60, steady(0.01))
	x.pass(10, steady(0.02))
	over, _ := x.pass(180, steady(0.02))
	require.InDelta(t, 120, over, 1)
	fired, _ := x.pass(180, steady(0.02))
	require.Negative(t, fired)
}

func TestAThinStreamIsNotAsked(t *testing.T) {
	x := newStretch(3, 1000) // ten failures a minute: one customer's retries look like this
	x.pass(60, steady(0.01))
	fired, _ := x.pass(60, steady(0.04))
	require.Negative(t, fired)
}

// TestABurstDoesNotMoveALevel: a tenant's own outage is not what is usual of it.
func TestABurstDoesNotMoveALevel(t *testing.T) {
	var l Level
	for at := int64(stepMillis); at <= 4*60*stepMillis; at += stepMillis {
		l.Observe(at, 100, 100)
	}
	before, known := l.Factor()
	require.InDelta(t, 1, before, 0.01)
	require.Greater(t, known, 5000.0)
	for at := int64(4*60*stepMillis) + stepMillis; at <= 4*60*stepMillis+8*stepMillis; at += stepMillis {
		l.Observe(at, 5000, 100)
	}
	after, _ := l.Factor()
	require.Less(t, after, 1.1)
}

// TestChangeNullMonths counts false alarms of streams whose slow swings are those of the
// worlds: a fifth over two days.
func TestChangeNullMonths(t *testing.T) {
	months, fired := 0.0, 0
	for seed := range uint64(6) {
		x := newStretch(100+seed/2, 40_000)
		x.with.Common = seed%2 == 0
		swing, r := 0.0, rand.New(rand.NewPCG(seed, 9))
		keep := math.Exp(-1.0 / 60 / 48)
		for day := 0; day < 10; day++ {
			for minute := 0; minute < 1440; minute++ {
				swing = keep*swing + 0.2*math.Sqrt(1-keep*keep)*r.NormFloat64()
				if at, d := x.pass(1, steady(0.01*math.Exp(swing))); at > 0 && d.Firing {
					fired++
				}
			}
		}
		months += 1.0 / 3
	}
	require.LessOrEqual(t, fired, 1, "in %g months with a budget of 0.01", months)
}

func TestChangeStateSurvives(t *testing.T) {
	a := newStretch(5, 60_000)
	a.pass(60, steady(0.01))
	check := func() {
		raw, err := a.c.MarshalBinary()
		require.NoError(t, err)
		var c Change
		require.NoError(t, c.UnmarshalBinary(raw))
		require.Equal(t, a.c, c)
		before := a.c
		before.worst = 0
		raw, err = before.MarshalBinary()
		require.NoError(t, err)
		raw[1] = 1 // it ended with the block then
		require.NoError(t, c.UnmarshalBinary(raw[:len(raw)-1]))
		require.Equal(t, before, c)
		raw, err = a.c.MarshalBinary()
		require.NoError(t, err)
		for n := range raw {
			require.Error(t, new(Change).UnmarshalBinary(raw[:n]))
		}
	}
	check()
	a.pass(2, steady(0.013))
	check()
	a.pass(5, steady(0.02))
	require.NotZero(t, a.c.rung)
	check()
}
