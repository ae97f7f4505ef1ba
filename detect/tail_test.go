package detect

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// exactTail sums the binomial's upper tail in rational-like precision.
func exactTail(n, k int64, p float64) float64 {
	sum := new(big.Float).SetPrec(300)
	bp := new(big.Float).SetPrec(300).SetFloat64(p)
	bq := new(big.Float).SetPrec(300).Sub(big.NewFloat(1).SetPrec(300), bp)
	for j := k; j <= n; j++ {
		term := new(big.Float).SetPrec(300).SetInt(new(big.Int).Binomial(n, j))
		for range j {
			term.Mul(term, bp)
		}
		for range n - j {
			term.Mul(term, bq)
		}
		sum.Add(sum, term)
	}
	mantissa := new(big.Float)
	exponent := sum.MantExp(mantissa)
	m, _ := mantissa.Float64()
	return math.Log(m) + float64(exponent)*math.Ln2
}

func TestBinomialTailIsExact(t *testing.T) {
	for _, c := range []struct {
		n, k int64
		p    float64
	}{{1, 1, 0.5}, {10, 1, 0.3}, {10, 10, 1e-6}, {40, 7, 0.01}, {40, 1, 0.2}, {100, 50, 0.5}, {100, 3, 0.5}, {200, 60, 0.1}, {150, 150, 0.9}} {
		require.InDelta(t, exactTail(c.n, c.k, c.p), binomialTail(float64(c.n), float64(c.k), c.p), 1e-9, "%+v", c)
	}
	require.Zero(t, binomialTail(10, 0, 0.1))
	require.True(t, math.IsInf(binomialTail(10, 11, 0.1), -1))
}

// The tail of counts too large to sum is held between the bounds of Chernoff and of
// the single largest mass.
func TestTailsAreStable(t *testing.T) {
	for _, n := range []float64{1e3, 1e5, 1e7} {
		for _, p := range []float64{1e-6, 1e-4, 0.01, 0.3} {
			for _, q := range []float64{1.5, 3, 30} {
				k := math.Ceil(n*p*q) + 1
				if k > n {
					continue
				}
				got := binomialTail(n, k, p)
				chernoff := n * klDivergence(k/n, p)
				require.LessOrEqual(t, got, -chernoff+1e-6, "n %g k %g p %g", n, k, p)
				require.GreaterOrEqual(t, got, -chernoff-0.5*math.Log(8*k*(1-k/n)+1)-1e-6, "n %g k %g p %g", n, k, p)
				wide := betaBinomialTail(n, k, p*1e12, (1-p)*1e12)
				require.InEpsilon(t, got, wide, 0.05, "a baseline of very many events is a known ratio: n %g k %g p %g", n, k, p)
				young := betaBinomialTail(n, k, p*1000, (1-p)*1000)
				if chernoff > 8 {
					require.Greater(t, young, got, "what is not well known surprises less: n %g k %g p %g", n, k, p)
				}
				require.LessOrEqual(t, young, 0.0)
			}
		}
	}
	around := binomialTail(1e7, 1e5, 0.01)
	require.InDelta(t, math.Log(0.5), around, 0.01, "at the mean")
}

func TestBetaBinomialTailSums(t *testing.T) {
	const n, a, b = 30.0, 2.5, 40.0
	sum := 0.0
	for k := n; k >= 1; k-- {
		sum += math.Exp(betaBinomialMass(n, k, a, b))
		require.InDelta(t, math.Log(sum), betaBinomialTail(n, k, a, b), 1e-9, "k %g", k)
	}
}

// The cheap way and the exact one never disagree.
func TestTailBelowAgreesWithTheTail(t *testing.T) {
	const needed = 16.0
	for _, n := range []float64{20, 100, 1000, 50_000} {
		for _, p := range []float64{0.001, 0.01, 0.2} {
			fired := false
			for k := 0.0; k <= n; k += math.Max(1, math.Floor(n*p/10)) {
				_, below := tailBelow(n, k, p, p, math.Inf(1), needed)
				exact := k > n*p && -binomialTail(n, k, p) > needed
				require.Equal(t, exact, below, "n %g k %g p %g", n, k, p)
				require.False(t, fired && !below, "monotone in k: n %g k %g p %g", n, k, p)
				fired = below
			}
		}
	}
}

func TestFractionsCountAgainstTheFault(t *testing.T) {
	whole, _ := tailBelow(100, 12, 0.01, 0.01, math.Inf(1), 0)
	less, _ := tailBelow(99.2, 12.9, 0.01, 0.01, math.Inf(1), 0)
	require.Equal(t, whole, less, "12.9 of 99.2 are taken as 12 of 100")
}
