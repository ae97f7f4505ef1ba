package detect

import "math"

// klDivergence is the divergence of two coins in nats, KL(q || p), 0 < p < 1.
func klDivergence(q, p float64) float64 {
	switch {
	case q <= 0:
		return -math.Log1p(-p)
	case q >= 1:
		return -math.Log(p)
	}
	return q*math.Log(q/p) + (1-q)*math.Log((1-q)/(1-p))
}

// Beyond is how much k of n speaks for a ratio above the given one, in nats; 0 when
// it does not.
func Beyond(n, k, ratio float64) float64 {
	if !(n > 0) || !(k/n > ratio) {
		return 0
	}
	return n * klDivergence(math.Min(k/n, 1), clampRatio(ratio))
}

// binomialTail is ln P(X >= k) for X binomial(n, p), n and k whole, exact up to
// rounding (about 1e-7 nats at n = 1e7).
func binomialTail(n, k, p float64) float64 {
	switch {
	case k <= 0:
		return 0
	case k > n:
		return math.Inf(-1)
	}
	odds := p / (1 - p)
	if k > n*p {
		return binomialMass(n, k, p) + upwards(n-k, func(i float64) float64 {
			j := k + i
			return (n - j) / (j + 1) * odds
		})
	}
	below := binomialMass(n, k-1, p) + upwards(k-1, func(i float64) float64 {
		j := k - 1 - i
		return j / ((n - j + 1) * odds)
	})
	return math.Log1p(-math.Min(1, math.Exp(below)))
}

// betaBinomialTail is ln P(X >= k) for X binomial(n, P), P beta(a, b): what a
// baseline of a failures and b successes makes one expect of n further events.
func betaBinomialTail(n, k, a, b float64) float64 {
	switch {
	case k <= 0:
		return 0
	case k > n:
		return math.Inf(-1)
	}
	if k > n*a/(a+b) {
		return betaBinomialMass(n, k, a, b) + upwards(n-k, func(i float64) float64 {
			j := k + i
			return (n - j) / (j + 1) * (a + j) / (b + n - j - 1)
		})
	}
	below := betaBinomialMass(n, k-1, a, b) + upwards(k-1, func(i float64) float64 {
		j := k - 1 - i
		return j / (n - j + 1) * (b + n - j) / (a + j - 1)
	})
	return math.Log1p(-math.Min(1, math.Exp(below)))
}

// upwards is ln(1 + r0 + r0 r1 + ...) of at most terms further terms: a tail
// relative to its first mass. It stops when what is left cannot be seen.
func upwards(terms float64, ratio func(i float64) float64) float64 {
	sum, term := 1.0, 1.0
	for i := 0.0; i < terms; i++ {
		r := ratio(i)
		term *= r
		sum += term
		if r < 1 && term < 1e-13*sum*(1-r) {
			break
		}
		if sum > 1e250 { // keep the sum in range; the caller is far below the mean
			return math.Log(sum)
		}
	}
	return math.Log(sum)
}

func binomialMass(n, k, p float64) float64 {
	return logChoose(n, k) + k*math.Log(p) + (n-k)*math.Log1p(-p)
}

func betaBinomialMass(n, k, a, b float64) float64 {
	return logChoose(n, k) + logBeta(k+a, n-k+b) - logBeta(a, b)
}

func logChoose(n, k float64) float64 {
	return logGamma(n+1) - logGamma(k+1) - logGamma(n-k+1)
}

func logBeta(a, b float64) float64 { return logGamma(a) + logGamma(b) - logGamma(a+b) }

func logGamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// tailBelow says whether P(X >= k | n) < exp(-needed) and how many nats the tail
// is worth. n and k may be fractions: k counts down, n counts up. The cheap bounds
// come first: exp(-n KL) / sqrt(8 k (1 - k/n)) <= P <= exp(-n KL) for the binomial at p.
//
// A baseline of few events beside n (strength, its events and the prior's) is not a
// known ratio: then the tail is the beta-binomial's around mean, which is never thinner
// where it matters.
func tailBelow(n, k, p, mean, strength, needed float64) (nats float64, below bool) {
	n, k = math.Ceil(n-1e-9), math.Floor(k+1e-9)
	if k < 1 || k <= n*p {
		return 0, false
	}
	cheap := n * klDivergence(k/n, p)
	if least := cheap + 0.5*math.Log(math.Max(1, 8*k*(1-k/n))); least < needed {
		return cheap, false
	}
	if young := strength < 100*n; young {
		nats = -betaBinomialTail(n, k, mean*strength, (1-mean)*strength)
		return nats, nats > needed
	}
	if cheap > needed {
		return cheap, true
	}
	nats = -binomialTail(n, k, p)
	return nats, nats > needed
}
