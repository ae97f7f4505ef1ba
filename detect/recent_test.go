package detect

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// months of a ratio that swings, learned a while ago: after a fault nothing is learned
// for half a day.
func swinging(t *testing.T, hours int, ratioAt func(hour float64) float64) (fired []float64) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 8))
	d, b := &ErrorRatio{}, &Baseline{}
	for h := int64(5 * 24); h > 0; h-- { // hours that swing by a fifth
		start := testStart - h*hour
		ratio := 0.016 * (1 + 0.2*random.NormFloat64())
		b.Observe(Step{Start: start, End: start + hour, N: 100_000, K: 100_000 * ratio, Coverage: 1})
	}
	for i := int64(0); i < int64(hours)*240; i++ {
		s := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 400, Coverage: 1}
		ratio := ratioAt(float64(i) / 240)
		for range 400 {
			if random.Float64() < ratio {
				s.K++
			}
		}
		if out := d.Step(at16(), b, s); out.Changed && out.Firing {
			fired = append(fired, float64(i)/240)
		}
	}
	return fired
}

// A large stream's ratio that wanders up by half in a day is no fault; the same at
// once is one, within minutes.
func TestASlowSwingIsNoFault(t *testing.T) {
	require.Empty(t, swinging(t, 30, func(at float64) float64 { return 0.016 + 0.012*min(1, at/24) }))
	fired := swinging(t, 8, func(at float64) float64 {
		if at < 6 {
			return 0.016
		}
		return 0.032
	})
	require.Len(t, fired, 1)
	require.InDelta(t, 6, fired[0], 0.4)
}

// What grows beyond any swing is never taken for one.
func TestALeakIsNotTakenForASwing(t *testing.T) {
	fired := swinging(t, 30, func(at float64) float64 {
		return 0.016 + 0.15*max(0, at-6)/12 // slower than any hour's lag
	})
	require.NotEmpty(t, fired)
	require.Less(t, fired[0], 10.0)
}

func TestRecordsBeforeTheLastHoursAreRead(t *testing.T) {
	d := &ErrorRatio{last: testStart, slow: cusum{score: 2, onset: testStart - 5, lastBad: testStart, n: 3, k: 2}}
	data, err := d.MarshalBinary()
	require.NoError(t, err)
	for version, lacks := range map[byte]int{1: 8, 2: 2} { // so many fields of one byte each
		old := append([]byte{data[0], version}, data[2:len(data)-lacks]...)
		var got ErrorRatio
		require.NoError(t, got.UnmarshalBinary(old))
		require.Equal(t, *d, got)
	}
	var got ErrorRatio
	d.held, d.worst = testStart-5, 0.3
	d.recent = recent{at: 5, n: 10, k: 1, olderN: 100, olderK: 3, until: 4}
	data, err = d.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, got.UnmarshalBinary(data))
	require.Equal(t, *d, got)
}
