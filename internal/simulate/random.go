package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

func poisson(mean float64, src rand.Source) uint64 {
	if mean <= 0 {
		return 0
	}
	return uint64(distuv.Poisson{Lambda: mean, Src: src}.Rand())
}

func binomial(n uint64, p float64, src rand.Source) uint64 {
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	}
	return min(n, uint64(distuv.Binomial{N: float64(n), P: p, Src: src}.Rand()))
}

// gammaAroundOne has mean one and the standard deviation sd.
func gammaAroundOne(sd float64, src rand.Source) float64 {
	if sd <= 0 {
		return 1
	}
	shape := 1 / (sd * sd)
	return distuv.Gamma{Alpha: shape, Beta: shape, Src: src}.Rand()
}

// betaAround has the mean p and the intra-class correlation rho.
func betaAround(p, rho float64, src rand.Source) float64 {
	if rho <= 0 || p <= 0 || p >= 1 {
		return p
	}
	strength := 1/rho - 1
	return distuv.Beta{Alpha: p * strength, Beta: (1 - p) * strength, Src: src}.Rand()
}

// season is the factor of the day: mean one, the top at three in the afternoon
// of the zone.
func season(at time.Time, zone *time.Location, swing float64) float64 {
	if swing == 0 {
		return 1
	}
	local := at.In(zone)
	hour := float64(local.Hour()) + float64(local.Minute())/60
	return 1 + swing*math.Cos(2*math.Pi*(hour-15)/24)
}

func normalised(in []Share) []Share {
	if len(in) == 0 {
		return []Share{{Name: "none", Weight: 1}}
	}
	var sum float64
	for _, s := range in {
		sum += s.Weight
	}
	out := make([]Share, len(in))
	for i, s := range in {
		out[i] = Share{Name: s.Name, Weight: s.Weight / sum}
	}
	return out
}
