package detect

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
)

func TestTheUpperBoundIsThatOfTheLibrary(t *testing.T) {
	for _, strength := range []float64{0.5, 5, 22, 37, 100, 1234.5, 1e4, 3e5, 1e7} {
		for _, ratio := range []float64{1e-6, 1e-4, 0.003, 0.01, 0.07, 0.3, 0.5, 0.9, 0.999} {
			a, c := ratio*strength, (1-ratio)*strength
			want := mathext.InvRegIncBeta(a, c, upperShare)
			if want == 0 {
				require.Zero(t, betaUpper(a, c))
				continue
			}
			require.InEpsilon(t, want, betaUpper(a, c), 1e-8, "%g of %g", ratio, strength)
		}
	}
}

// Most cells are thin: their few failures are the first of the two shapes.
func TestTheUpperBoundOfFewFailuresIsThatOfTheLibrary(t *testing.T) {
	for a := 0.05; a < 2.5; a += 0.0371 {
		for _, c := range []float64{1, 19.9, 20.1, 25, 60, 99, 400, 1e3, 1e5, 1e7} {
			require.InEpsilon(t, mathext.InvRegIncBeta(a, c, upperShare), betaUpper(a, c), 1e-8, "%g and %g", a, c)
		}
	}
}

func BenchmarkUpper(b *testing.B) {
	b.Run("betaUpper", func(b *testing.B) {
		for i := range b.N {
			betaUpper(100+float64(i%50), 9900)
		}
	})
	b.Run("few", func(b *testing.B) {
		for i := range b.N {
			betaUpper(1+float64(i%50)/50, 500)
		}
	})
	b.Run("InvRegIncBeta", func(b *testing.B) {
		for i := range b.N {
			mathext.InvRegIncBeta(100+float64(i%50), 9900, upperShare)
		}
	})
}
