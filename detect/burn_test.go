package detect

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var three9s = BurnParameters{Objective: 0.999, LeastEvents: 30}

// feed gives a stream 100 events a minute of which a part fails, in steps of 15 s.
func feed(b *Burn, p BurnParameters, from, minutes int, failing float64) (last Decision, changed []Decision) {
	for i := range 4 * minutes {
		at := int64(from)*60_000 + int64(i)*15_000
		last = b.Step(p, Step{Start: at, End: at + 15_000, N: 25, K: 25 * failing, Coverage: 1})
		if last.Changed {
			changed = append(changed, last)
		}
	}
	return last, changed
}

func TestABudgetSpentTooFastRings(t *testing.T) {
	for _, c := range []struct {
		failing float64
		after   int // minutes of the fault until it rings; 0: never
		test    string
	}{
		{0.0005, 0, ""},
		{0.005, 0, ""},           // five times the pace: a matter for a ticket in a week
		{0.0065, 332, "burn_6h"}, // at 6.5 times: when 6 hours are full of it
		{0.02, 43, "burn_1h"},    // 20 times: 14.4/20 of an hour
		{0.2, 4, "burn_1h"},      // 200 times: the hour's average passes within five minutes
		{1, 0, "burn_1h"},        // everything: at once
	} {
		var b Burn
		_, none := feed(&b, three9s, 0, 600, 0)
		require.Empty(t, none)
		last, changed := feed(&b, three9s, 600, 400, c.failing)
		if c.test == "" {
			require.Empty(t, changed, "%v", c.failing)
			continue
		}
		require.Equal(t, c.test, changed[0].Test, "%v", c.failing)
		require.True(t, changed[0].Firing)
		var n Burn // the same again, to learn when
		feed(&n, three9s, 0, 600, 0)
		minutes := 0
		for d := (Decision{}); !d.Firing; minutes++ {
			d, _ = feed(&n, three9s, 600+minutes, 1, c.failing)
		}
		require.InDelta(t, c.after, minutes, 6, "%v", c.failing)
		require.InDelta(t, 600*60_000, changed[0].Onset, 10*60_000, "it knows when it began: %v", c.failing)
		require.Greater(t, changed[0].Score, changed[0].Needed)
		require.Equal(t, c.failing == 1, last.Hard)
		// It ends when the short window is clean, long before the long one is.
		end, over := feed(&b, three9s, 1000, 120, 0)
		require.False(t, end.Firing)
		require.NotEmpty(t, over)
		require.Equal(t, changed[0].Onset, over[len(over)-1].Onset, "of what is over")
	}
}

func TestFewEventsAndYoungTenantsSayNothing(t *testing.T) {
	var b Burn
	p := BurnParameters{Objective: 0.99, LeastEvents: 30}
	for i := range 100 {
		at := int64(i) * 300_000
		d := b.Step(p, Step{Start: at, End: at + 15_000, N: 1, K: 1, Coverage: 1})
		require.False(t, d.Firing && d.N < 30, "%d events an hour", 12)
		if i < 12 {
			require.False(t, d.Firing)
		}
	}
	b = Burn{}
	p.Young = true
	_, changed := feed(&b, p, 0, 60, 0.4)
	require.Empty(t, changed, "while young, only a hard fault")
	_, changed = feed(&b, p, 60, 10, 0.9)
	require.Len(t, changed, 1)
	require.True(t, changed[0].Hard)
}

func TestSilenceEndsWhatBurns(t *testing.T) {
	var b Burn
	d, _ := feed(&b, three9s, 0, 60, 0.5)
	require.True(t, d.Firing)
	for i := range 4 * 31 {
		at := int64(60*60_000 + i*15_000)
		d = b.Step(three9s, Step{Start: at, End: at + 15_000, Coverage: 1})
	}
	require.False(t, d.Firing, "without an event for half an hour nothing fails")
	require.False(t, b.Step(three9s, Step{Start: 0, End: 15_000, N: 10, K: 10, Coverage: 1}).Changed, "an old step is none")
}

func TestWindowsAreExactToTheirUnit(t *testing.T) {
	var b Burn
	rng := rand.New(rand.NewPCG(1, 2))
	var steps []Step
	for i := range 4 * 60 * 8 {
		at := int64(i) * 15_000
		s := Step{Start: at, End: at + 15_000, N: float64(rng.IntN(50)), Coverage: 1}
		s.K = float64(rng.IntN(int(s.N) + 1))
		steps = append(steps, s)
		b.Step(three9s, s)
		if i < 4*60*7 || i%7 != 0 {
			continue
		}
		for _, w := range []struct{ length, unit int64 }{{300_000, 15_000}, {1_800_000, 60_000}, {3_600_000, 60_000}, {6 * 3_600_000, 600_000}} {
			n, k, most := 0.0, 0.0, 0.0
			for _, s := range steps {
				if s.Start >= b.last-w.length {
					n, k = n+s.N, k+s.K
				}
				if s.Start >= (b.last-w.length)/w.unit*w.unit && s.Start < (b.last-w.length)/w.unit*w.unit+w.unit {
					most += s.N
				}
			}
			got := b.window(w.length)
			require.InDelta(t, n, got.n, most+1e-6)
			require.InDelta(t, k, got.k, most+1e-6)
			if w.unit == 15_000 || (b.last-w.length)%w.unit == 0 {
				require.InDelta(t, n, got.n, 1e-6)
			}
		}
	}
	for i, list := range b.sums {
		require.LessOrEqual(t, len(list), []int{21, 62, 38}[i], "bounded")
	}
}

func TestABurnGoesOnAfterARestart(t *testing.T) {
	for cut := 0; cut < 130; cut += 7 {
		var a Burn
		feed(&a, three9s, 0, cut, 0.001)
		feed(&a, three9s, cut, 10, 0.3)
		raw, err := a.MarshalBinary()
		require.NoError(t, err)
		var b Burn
		require.NoError(t, b.UnmarshalBinary(raw))
		c := a.Clone()
		for i := range 60 {
			x, _ := feed(&a, three9s, cut+10+i, 1, 0)
			y, _ := feed(&b, three9s, cut+10+i, 1, 0)
			z, _ := feed(c, three9s, cut+10+i, 1, 0)
			require.Equal(t, x, y)
			require.Equal(t, x, z)
		}
		for n := range raw {
			_ = b.UnmarshalBinary(raw[:n]) // refused or taken, never a panic
		}
	}
	require.Error(t, new(Burn).UnmarshalBinary([]byte{kindBurn, codecVersion, 0, 9}))
}

// TestABurnSaysWhenItFires: what is told is what the windows do, of a stream that fails by
// another share from some minute on.
func TestABurnSaysWhenItFires(t *testing.T) {
	for _, c := range []struct {
		usual, delta, objective float64
		young                   bool
	}{
		{0, 0.02, 0.999, false}, {0.0005, 0.005, 0.999, false}, {0.002, 0.05, 0.99, false}, {0.01, 0.05, 0.95, false},
		{0.002, 0.3, 0.99, false}, {0.002, 0.998, 0.99, false}, {0.002, 0.998, 0.99, true}, {0.002, 0.3, 0.99, true},
	} {
		p := BurnParameters{Objective: c.objective, LeastEvents: 30, Young: c.young}
		after, ok := p.Seen(c.usual, c.delta, 100)
		var b Burn
		_, early := feed(&b, p, 0, 600, c.usual)
		require.Empty(t, early)
		took, fired := 0, false
		for ; took < 400 && !fired; took++ {
			d, _ := feed(&b, p, 600+took, 1, c.usual+c.delta)
			fired = d.Firing
		}
		require.Equal(t, fired, ok, "%+v", c)
		if ok {
			require.InDelta(t, after.Minutes(), took, 2+after.Minutes()/20, "%+v", c)
		}
	}
	thin := BurnParameters{Objective: 0.99, LeastEvents: 30}
	_, ok := thin.Seen(0.002, 0.998, 0.08)
	require.False(t, ok, "28.8 events in six hours")
	after, ok := thin.Seen(0.002, 0.998, 0.4)
	require.True(t, ok)
	require.Greater(t, after, 15*time.Minute, "an hour has too few: six hours decide")
}
