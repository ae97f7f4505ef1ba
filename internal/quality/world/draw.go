package world

import (
	"math"
	"math/rand/v2"
	"time"
)

// walk is a slow swing around 0: an Ornstein-Uhlenbeck process.
type walk struct{ x, sd, hours float64 }

func (w *walk) step(src *rand.Rand, dt time.Duration) float64 {
	a := math.Exp(-dt.Hours() / w.hours)
	w.x = a*w.x + w.sd*math.Sqrt(1-a*a)*src.NormFloat64()
	return math.Exp(w.x - w.sd*w.sd/2)
}

func poisson(src *rand.Rand, mean float64) uint64 {
	switch {
	case mean <= 0:
		return 0
	case mean > 60:
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*src.NormFloat64())))
	}
	limit, p := math.Exp(-mean), 1.0
	for k := uint64(0); ; k++ {
		if p *= src.Float64(); p <= limit {
			return k
		}
	}
}

func binomial(src *rand.Rand, n uint64, p float64) uint64 {
	mean := float64(n) * p
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n <= 30:
		k := uint64(0)
		for range n {
			if src.Float64() < p {
				k++
			}
		}
		return k
	case mean < 20:
		return min(n, poisson(src, mean))
	case float64(n)-mean < 20:
		return n - min(n, poisson(src, float64(n)-mean))
	}
	return uint64(min(float64(n), max(0, math.Round(mean+math.Sqrt(mean*(1-p))*src.NormFloat64()))))
}

// some picks one to most of the names, in a random order.
func some(src *rand.Rand, names []string, most int) []string {
	n := 1 + src.IntN(min(most, len(names)))
	out := make([]string, 0, n)
	for _, i := range src.Perm(len(names))[:n] {
		out = append(out, names[i])
	}
	return out
}
