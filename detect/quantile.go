package detect

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

const (
	leastShape  = 2.0  // a normal approximation of a beta distribution starts near from here on
	leastGamma  = 0.2  // and one of a gamma distribution, where c is large, from here on
	lastStep    = 1e-5 // relative: what is left after a step as small is its cube
	mostRefined = 8    // steps; two are usual
)

// upperNormal is upperShare's quantile of a normal distribution.
var upperNormal = math.Sqrt2 * math.Erfinv(2*upperShare-1)

// betaUpper is the upperShare quantile of a beta distribution, as
// mathext.InvRegIncBeta(a, c, upperShare), which halves intervals and asks a dozen times for
// the distribution function. Here an approximation is refined by Halley's steps.
func betaUpper(a, c float64) float64 {
	x := nearUpper(a, c)
	norm := -logBeta(a, c)
	for range mostRefined {
		if !(x > 0 && x < 1) {
			break
		}
		density := math.Exp(norm + (a-1)*math.Log(x) + (c-1)*math.Log1p(-x))
		u := (mathext.RegIncBeta(a, c, x) - upperShare) / density
		by := u / (1 - 0.5*math.Min(1, u*((a-1)/x-(c-1)/(1-x))))
		if math.IsNaN(by) {
			break
		}
		x -= by
		if math.Abs(by) < lastStep*x {
			return x
		}
	}
	return mathext.InvRegIncBeta(a, c, upperShare)
}

// nearUpper is where to begin: by a normal approximation (Abramowitz and Stegun, 26.5.22),
// of few failures among many events by that of a gamma distribution (Wilson and Hilferty);
// 0 where neither holds.
func nearUpper(a, c float64) float64 {
	switch {
	case a > leastShape && c > leastShape:
		s, t, r := 1/(2*a-1), 1/(2*c-1), (upperNormal*upperNormal-3)/6
		h := 2 / (s + t)
		w := -upperNormal*math.Sqrt(h+r)/h - (t-s)*(r+5./6-2/(3*h))
		return a / (a + c*math.Exp(2*w))
	case a > leastGamma && c > 10*leastShape:
		g := 1 - 1/(9*a) + upperNormal/(3*math.Sqrt(a))
		g *= a * g * g
		return g / (g + c + (a-1)/2)
	}
	return 0
}
