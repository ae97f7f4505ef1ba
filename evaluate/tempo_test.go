package evaluate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a meter keeps up of its series, sample by sample, is what looking at all of them
// finds: through births, stale markers, missed scrapes, late and far ones.
func TestTempoIsKeptUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	r := newRig(t, Options{})
	kept := 0
	at := map[string]float64{}
	now := 0.
	for i := range 6000 {
		if now += 3; rng.IntN(500) == 0 {
			now += 400 // nothing comes for a while
		}
		r.at(now + 1)
		for j, a := range []string{"alpha", "beta", "gamma", "delta"} {
			if i%5 != j || rng.IntN(30) == 0 {
				continue
			}
			at[a] = max(at[a], now-float64(rng.IntN(3)))
			switch v := float64(i); rng.IntN(80) {
			case 0:
				r.add(counter("acquirer", a, "result", "success"), at[a]+1, stale)
			case 1:
				r.add(counter("acquirer", a, "result", "success"), at[a]+40, v)
				at[a] += 40
			default:
				r.add(counter("acquirer", a, "result", "success"), at[a], v)
			}
		}
		if len(r.tenant().meters) == 0 {
			continue
		}
		m := r.meter()
		if x := m.tempo; x.counted && x.length == m.length {
			kept++
			m.lookThrough(x.end)
			x.smooth, m.tempo.smooth = false, false
			require.Equal(t, x, m.tempo)
		}
	}
	require.Greater(t, kept, 1000)
}
