package alert

import (
	"math"

	"github.com/tocsin-alerting/tocsin/rule"
)

// LostPerMinute is how many events a minute go wrong or do not come that usually go
// well: the failing part beyond the usual one of the slice's usual rate. What is only
// slow is not lost.
func (a Alert) LostPerMinute() float64 {
	ev := a.Evidence
	switch a.Kind {
	case rule.Traffic:
		if ev.Expected <= 0 {
			return 0
		}
		return math.Max(0, 1-ev.N/ev.Expected) * ev.RatePerMinute
	case "", rule.Errors, rule.Declines, rule.BurnRate:
		if ev.N <= 0 {
			return 0
		}
		return math.Max(0, ev.K/ev.N-ev.Usual) * ev.RatePerMinute
	}
	return 0
}

// Nats is all evidence since the onset: the log-likelihood ratio of what was counted
// against what is usual, which goes on growing while the detector's own score stays at
// what it needed to fire. Never less than that score.
func (a Alert) Nats() float64 {
	ev := a.Evidence
	var all float64
	switch {
	case a.Kind == rule.Traffic && ev.Expected > 0:
		all = ev.Expected - ev.N
		if ev.N > 0 {
			all += ev.N * math.Log(ev.N/ev.Expected)
		}
	case ev.N > 0:
		q, p := math.Min(ev.K/ev.N, 1), math.Min(math.Max(ev.Usual, 1e-6), 1-1e-6)
		if q > p {
			all = ev.N * (q * math.Log(q/p))
			if q < 1 {
				all += ev.N * (1 - q) * math.Log((1-q)/(1-p))
			}
		}
	}
	return math.Max(all, ev.Score)
}
