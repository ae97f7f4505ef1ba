package detect

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSuccessesTellAFaultFromRetries(t *testing.T) {
	for _, c := range []struct {
		name                                       string
		k, successes, minutes, expected, low, high float64
	}{
		{"an outage of a small tenant, two minutes", 4, 0, 2, 3.1, 2, 10},
		{"ten retries a minute there", 20, 2, 2, 3.1, -100, -5},
		{"two retries a minute there", 4, 3, 2, 3.1, -10, 2},
		{"five failures at once: nobody knows", 5, 0, 0.75, 1.2, -2, 2},
		{"half of a slice fails", 90, 90, 10, 180, 2, 100},
		{"as many retries on top of it", 180, 180, 10, 180, -100, -2},
		{"five points more: cannot be told, and fires", 21, 315, 5, 336, -2, 5},
		{"a machine", 600, 60, 2, 60, 100, 1e4},
		{"an outage in which a job tries on, two minutes", 120, 0, 2, 13, 10, 1e4},
		{"as much of one customer who tries as often as he can", 50, 0, 2, 4, -100, 2},
		{"failures of hours", 5, 95, 50, 100, 20, 1e4},
	} {
		alone := Scene{Parts: []Part{{Successes: c.successes, Failures: c.k, Usual: (c.k + c.successes) * 0.01, Share: 1}}, Slices: []uint32{1}, Among: 1,
			Minutes: c.minutes, Active: c.minutes, Expected: c.expected * 0.99, Size: aloneSize, Sharing: aloneSharing}
		x := alone.fault()
		t.Logf("%s: %.1f nats", c.name, x)
		require.GreaterOrEqual(t, x, c.low, c.name)
		require.LessOrEqual(t, x, c.high, c.name)
	}
}

// A customer who fails ten times a minute beside a small tenant's usual payments rings
// nothing; the same tenant's outage does, within four minutes.
func TestRetriesDoNotFireWhereOutagesDo(t *testing.T) {
	p := at16()
	p.PerMinute = 3
	run := func(n, k []float64) (firedAfter int) {
		d, b := &ErrorRatio{}, taught(0.05, 0.01)
		for i := range n {
			start := testStart + int64(i)*stepMillis
			if d.Step(p, b, Step{Start: start, End: start + stepMillis, N: n[i], K: k[i], Coverage: 1}).Firing {
				return i + 1
			}
		}
		return 0
	}
	var n, k, n2, k2 []float64
	for i := range 120 {
		ok := []float64{1, 0, 1, 1}[i%4]
		n, k = append(n, ok), append(k, 0)
		if i >= 40 && i < 80 {
			n[i], k[i] = n[i]+2.5, 2.5
		}
		n2, k2 = append(n2, ok), append(k2, 0)
		if i >= 40 {
			k2[i] = ok
		}
	}
	require.Zero(t, run(n, k))
	after := run(n2, k2)
	require.NotZero(t, after)
	require.LessOrEqual(t, after-40, 16)
	for i := 80; i < 200; i++ { // forty minutes of it: still nothing is missing
		ok := []float64{1, 0, 1, 1}[i%4]
		if i >= len(n) {
			n, k = append(n, ok), append(k, 0)
		}
		n[i], k[i] = ok+2.5, 2.5
	}
	require.Zero(t, run(n, k))
	p.PerMinute = 0
	require.NotZero(t, run(n, k), "without an expectation failures count as they come")
}

// A job that goes on trying through an outage of refunds fails many times as often as refunds
// are missing: it is seen as soon as any outage, and not held to be a customer's retries.
func TestAnOutageInWhichAJobTriesOnIsSeen(t *testing.T) {
	p, b := at16(), taught(0.05, 0.01)
	p.PerMinute = 6.5
	for _, perMinute := range []float64{40, 60, 600} {
		d, after := &ErrorRatio{}, 0
		for i := 0; i < 240 && after == 0; i++ {
			start := testStart + int64(i)*stepMillis
			s := Step{Start: start, End: start + stepMillis, N: []float64{2, 1, 2, 1}[i%4], Coverage: 1}
			if i >= 200 {
				s.N, s.K = perMinute/4, perMinute/4
			}
			if d.Step(p, b, s).Firing {
				after = i - 199
			}
		}
		require.NotZero(t, after, "%g a minute", perMinute)
		require.LessOrEqual(t, after, 14, "%g a minute", perMinute)
	}
}
