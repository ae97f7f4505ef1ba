package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testStart = nullStart

// taught is a baseline of five days at a steady rate (events a second) and ratio.
func taught(rate, ratio float64) *Baseline {
	b := &Baseline{}
	for h := int64(5 * 24); h > 0; h-- {
		start := testStart - h*hour
		b.Observe(Step{Start: start, End: start + hour, N: rate * 3600, K: rate * 3600 * ratio, Coverage: 1})
	}
	return b
}

// at16 are parameters whose threshold is h = 16, as in the published figures.
func at16() Parameters {
	return Parameters{Prior: 0.01, Budget: LooksAtQuarterMinute / math.Exp(16)}
}

// stream makes events one by one and hands them out as steps of 15 s. Healthy failures
// are every hundredth event, so that what a test sees is no matter of luck.
type stream struct {
	rate   float64
	random *rand.Rand
	clock  float64 // seconds since testStart, of the next event
	count  int
}

func newStream(rate float64) *stream {
	return &stream{rate: rate, random: rand.New(rand.NewPCG(1, 2)), clock: 0.5 / rate}
}

// step is the i-th step; fails says whether the event at that second fails.
func (s *stream) step(i int64, fails func(second float64) bool) Step {
	out := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, Coverage: 1}
	for end := float64(i+1) * 15; s.clock < end; s.clock += 1 / s.rate {
		out.N++
		if s.count++; fails(s.clock) || s.count%100 == 50 {
			out.K++
		}
	}
	return out
}

func TestThreshold(t *testing.T) {
	require.InDelta(t, 16.6, Threshold(18, 43_200, 0.05), 0.05, "the published example")
	require.InDelta(t, math.Log(2), Threshold(36, 43_200, 0.05)-Threshold(18, 43_200, 0.05), 1e-12)
	p := Parameters{Budget: 0.05 / 18, LooksPerMonth: 43_200}
	require.InDelta(t, Threshold(18, 43_200, 0.05), p.H(), 1e-9, "m streams share a budget")
	require.InDelta(t, 16, at16().H(), 1e-9)
}

// A total outage is seen within eight failed transactions, or, where those are quick,
// within the guard of 20 s, the step by which counters blur it and one step.
func TestTotalOutageIsFoundInTime(t *testing.T) {
	for _, rate := range []float64{0.01, 0.1, 1, 10, 100} {
		for offset := 0; offset < 15; offset += 2 {
			begins := 4*3600 + float64(offset)
			d, b, s := &ErrorRatio{}, taught(rate, 0.01), newStream(rate)
			for i := int64(0); ; i++ {
				decision := d.Step(at16(), b, s.step(i, func(at float64) bool { return at >= begins }))
				if decision.Firing {
					end := float64(i+1) * 15
					require.Greater(t, end, begins)
					failed := math.Floor((end-begins)*rate) + 1
					require.True(t, failed <= 8 || end-begins <= 50, "%g tps + %d s: %g s, %g failed", rate, offset, end-begins, failed)
					require.True(t, decision.Hard)
					require.InDelta(t, begins, float64(decision.Onset-testStart)/1000, 30+1.5/rate, "onset at %g tps", rate)
					break
				}
				require.Less(t, float64(i*15), begins+3600, "never found at %g tps", rate)
			}
		}
	}
}

// Five points more are found within twice what an ideal test would take.
func TestFivePointsAreFound(t *testing.T) {
	for _, rate := range []float64{0.1, 1, 100} {
		d, b, s := &ErrorRatio{}, taught(rate, 0.01), newStream(rate)
		events, fired := 0.0, false
		for i := int64(0); i < 40_000 && !fired; i++ {
			step := s.step(i, func(float64) bool { return false })
			if i >= 400 {
				step.K = math.Min(step.N, math.Round(step.N*0.06+s.random.Float64()-0.5))
				events += step.N
			}
			fired = d.Step(at16(), b, step).Firing
		}
		require.True(t, fired, "%g tps", rate)
		require.LessOrEqual(t, events, math.Max(2*273, 75*rate), "%g tps", rate)
	}
}

func TestBlipOfOneStepDoesNotFire(t *testing.T) {
	for _, rate := range []float64{0.01, 0.1, 1, 10, 100} {
		d, b, s := &ErrorRatio{}, taught(rate, 0.01), newStream(rate)
		for i := int64(0); i < 2000; i++ {
			step := s.step(i, func(float64) bool { return false })
			if i == 1000 { // one customer's retries, beside the usual ones
				step.N, step.K = step.N+200, step.K+200
			}
			require.False(t, d.Step(at16(), b, step).Firing, "%g tps, step %d", rate, i)
		}
	}
}

// 45 s of a third failing are a blip, wherever in the steps they fall: of 45 s and two
// steps something is bad throughout.
func TestGuardIsInTime(t *testing.T) {
	for _, length := range []int64{10_000, 15_000, 60_000} {
		d, b := &ErrorRatio{}, taught(100, 0.01)
		for i := int64(0); ; i++ {
			step := Step{Start: testStart + i*length, End: testStart + (i+1)*length, N: 1000, K: 330, Coverage: 1}
			if d.Step(at16(), b, step).Firing {
				require.GreaterOrEqual(t, (i+1)*length, 45_000+2*length)
				require.Less(t, (i+1)*length, 45_000+3*length)
				break
			}
			require.Less(t, i, int64(10))
		}
	}
}

// A blip of 42 s that scrapes cut as badly as can be fires nowhere.
func TestABlipFiresAtNoOffset(t *testing.T) {
	for offset := 0.0; offset < 15; offset++ {
		d, b := &ErrorRatio{}, taught(100, 0.01)
		for i := int64(0); i < 100; i++ {
			from, to := float64(i)*15, float64(i+1)*15
			bad := math.Max(0, math.Min(to, 600+offset+42)-math.Max(from, 600+offset))
			step := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 1500, K: 15 + 30*bad, Coverage: 1}
			require.False(t, d.Step(at16(), b, step).Firing, "offset %g s, step %d", offset, i)
		}
	}
}

// A total failure of 20 s fires nowhere either; one that fills two steps does with the
// second: nobody waits for a third to be sure that it lasted.
func TestATotalFailureNeedsNoThirdStep(t *testing.T) {
	run := func(offset, lasts float64) (firedAt int64) {
		d, b := &ErrorRatio{}, taught(100, 0.01)
		for i := int64(0); i < 100; i++ {
			from, to := float64(i)*15, float64(i+1)*15
			bad := math.Max(0, math.Min(to, 600+offset+lasts)-math.Max(from, 600+offset))
			step := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 1500, K: 15 + 99*bad, Coverage: 1}
			if d.Step(at16(), b, step).Firing {
				return i + 1
			}
		}
		return 0
	}
	for offset := 0.0; offset < 15; offset++ {
		require.Zero(t, run(offset, 20), "offset %g s", offset)
	}
	require.Equal(t, int64(42), run(0, 30))
	require.LessOrEqual(t, run(7, 60), int64(43))
}

func TestRecoveryClears(t *testing.T) {
	for _, c := range []struct{ rate, least, most float64 }{{100, 75, 120}, {1, 75, 240}, {0.1, 240, 900}, {0.01, 600, 5400}} {
		d, b, s := &ErrorRatio{}, taught(c.rate, 0.01), newStream(c.rate)
		begins, ends := 3600.0, 3600+3600+4*3600*math.Min(1, 0.01/c.rate)
		cleared := 0.0
		for i := int64(0); float64(i)*15 < ends+86_400; i++ {
			decision := d.Step(at16(), b, s.step(i, func(at float64) bool { return at >= begins && at < ends }))
			if decision.Changed && !decision.Firing {
				cleared = float64(i+1)*15 - ends
				break
			}
		}
		t.Logf("%g tps: clears after %g s", c.rate, cleared)
		require.GreaterOrEqual(t, cleared, c.least, "%g tps", c.rate)
		require.LessOrEqual(t, cleared, c.most, "%g tps", c.rate)
	}
}

// What is half mended goes on ringing.
func TestPartialRecoveryGoesOnFiring(t *testing.T) {
	d, b := &ErrorRatio{}, taught(1, 0.01)
	for i := int64(0); i < 1000; i++ {
		step := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 15, K: 15, Coverage: 1}
		if i >= 40 {
			step.K = 0.9 // six percent
		}
		decision := d.Step(at16(), b, step)
		require.Equal(t, i >= 1, decision.Firing, "step %d", i)
	}
}

func TestYoungFiresOnlyOnHardFaults(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		fires bool
	}{{0.05, false}, {0.3, false}, {0.55, false}, {0.7, true}, {1, true}} {
		p := at16()
		p.Young = true
		d, fired := &ErrorRatio{}, false
		step := func(i int64) Step {
			return Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 20, K: 20 * c.ratio, Coverage: 1}
		}
		for i := int64(0); i < 2000; i++ {
			fired = d.Step(p, nil, step(i)).Firing
		}
		require.Equal(t, c.fires, fired, "%g failing", c.ratio)
		if fired {
			continue
		}
		p.Young = false
		first := d.Step(p, taught(1, c.ratio), step(2000))
		require.False(t, first.Firing, "nothing was saved up while young")
	}
}

func TestNoEvidence(t *testing.T) {
	d, b := &ErrorRatio{}, taught(1, 0.01)
	before := *d
	for i, s := range []Step{
		{Start: testStart, End: testStart + stepMillis, N: 0, Coverage: 1},
		{Start: testStart, End: testStart + stepMillis, N: 100, K: 100, Coverage: 0.49},
		{Start: testStart, End: testStart, N: 100, K: 100, Coverage: 1},
		{Start: testStart, End: testStart + stepMillis, N: math.NaN(), K: 1, Coverage: 1},
		{Start: testStart, End: testStart + stepMillis, N: math.Inf(1), K: 1, Coverage: 1},
		{Start: -15_000, End: 0, N: 100, K: 100, Coverage: 1},
	} {
		require.False(t, d.Step(at16(), b, s).Firing)
		d.memo, d.calm = memo{}, calm{}
		require.Equal(t, before, *d, "case %d", i)
	}
	bad := Step{Start: testStart, End: testStart + stepMillis, N: 10, K: 10, Coverage: 1}
	first := d.Step(at16(), b, bad)
	require.Positive(t, first.Score)
	require.Equal(t, first, d.Step(at16(), b, bad), "the same step twice counts once")
}

// More failures never mean less evidence: until it fires, what a detector says is
// monotone in k.
func TestMonotoneInFailures(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		b := taught(1, 0.01)
		less, more := &ErrorRatio{}, &ErrorRatio{}
		fired := false
		for i := int64(0); i < 200 && !fired; i++ {
			n := float64(r.IntN(30))
			k := math.Floor(n * r.Float64() * 0.1)
			s := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: n, K: k, Coverage: 1}
			worse := s
			worse.K = math.Min(n, k+float64(r.IntN(2)))
			a, c := less.Step(at16(), b, s), more.Step(at16(), b, worse)
			require.LessOrEqual(t, less.slow.score, more.slow.score+1e-9)
			require.LessOrEqual(t, less.hard.score, more.hard.score+1e-9)
			fired = c.Firing
			require.False(t, a.Firing && !c.Firing)
		}
	}
}

// An event spread over two steps is worth one event.
func TestFractionsAddUp(t *testing.T) {
	b := taught(0.1, 0.01)
	whole, split := &ErrorRatio{}, &ErrorRatio{}
	for i := int64(0); i < 40; i++ {
		s := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, Coverage: 1}
		half := s
		half.N, half.K = 0.5, 0.5
		if i%2 == 0 {
			s.N, s.K = 1, 1
		}
		a, c := whole.Step(at16(), b, s), split.Step(at16(), b, half)
		if i%2 == 1 && !a.Firing && !c.Firing {
			require.InDelta(t, whole.slow.score, split.slow.score, 1e-9)
			require.InDelta(t, whole.hard.score, split.hard.score, 1e-9)
		}
		if i > 12 {
			require.True(t, a.Firing && c.Firing)
		}
	}
}

func TestStateSurvives(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		r := rand.New(rand.NewPCG(seed, 5))
		d, b := &ErrorRatio{}, taught(1, 0.01)
		changes := 0
		for i := int64(0); i < 3000; i++ {
			n := float64(r.IntN(30)) / 2
			ratio := 0.01
			if i/300%3 == 1 {
				ratio = []float64{0.08, 0.2, 1}[int(seed)-1]
			}
			s := Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: n, K: n * ratio * 2 * r.Float64(), Coverage: 1}
			var copied ErrorRatio
			var learned Baseline
			record, err := d.MarshalBinary()
			require.NoError(t, err)
			require.NoError(t, copied.UnmarshalBinary(record))
			other, err := b.MarshalBinary()
			require.NoError(t, err)
			require.NoError(t, learned.UnmarshalBinary(other))
			decision := d.Step(at16(), b, s)
			require.Equal(t, decision, copied.Step(at16(), &learned, s), "step %d", i)
			if decision.Changed {
				changes++
			}
			if !decision.Firing {
				b.Observe(s)
			}
		}
		require.GreaterOrEqual(t, changes, 4, "the run must hold alarms to show anything")
	}
}

func TestRecordsOfOthersAreRefused(t *testing.T) {
	d := &ErrorRatio{}
	good, err := d.MarshalBinary()
	require.NoError(t, err)
	require.LessOrEqual(t, len(good), 60)
	for _, bad := range [][]byte{nil, {'E'}, {'B', 1}, {'E', 99}, good[:len(good)-1]} {
		require.Error(t, d.UnmarshalBinary(bad), "%v", bad)
		require.Error(t, (&Baseline{}).UnmarshalBinary(bad[:min(len(bad), 3)]), "%v", bad)
	}
}

func FuzzUnmarshal(f *testing.F) {
	d, b := &ErrorRatio{}, taught(1, 0.01)
	for i := int64(0); i < 5; i++ {
		record, _ := d.MarshalBinary()
		f.Add(record)
		d.Step(at16(), b, Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: 15, K: 15, Coverage: 1})
	}
	record, _ := b.MarshalBinary()
	f.Add(record)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, b := &ErrorRatio{}, &Baseline{}
		_ = d.UnmarshalBinary(data)
		_ = b.UnmarshalBinary(data)
		s := Step{Start: testStart, End: testStart + stepMillis, N: 15, K: 15, Coverage: 1}
		d.Step(at16(), b, s)
		b.Observe(s)
	})
}

func TestSmallestFaultIsWhatHappens(t *testing.T) {
	for _, rate := range []float64{0.05, 1, 100} {
		for _, delta := range []float64{0.05, 0.2, 0.95} {
			b := taught(rate, 0.01)
			_, upper := b.Ratio(at16())
			said, events := SmallestFault(at16(), upper, rate*60, delta)
			require.InEpsilon(t, said.Minutes()*rate*60, events, 1e-6)
			d, took := &ErrorRatio{}, time.Duration(0)
			n := rate * 15
			for i := int64(0); ; i++ {
				decision := d.Step(at16(), b, Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: n, K: n * (upper + delta), Coverage: 1})
				if decision.Firing {
					took = time.Duration(i+1) * 15 * time.Second
					break
				}
				require.Less(t, i, int64(100_000))
			}
			t.Logf("%g tps +%g: said %s (%.0f events), took %s", rate, delta, said.Round(time.Second), events, took)
			require.LessOrEqual(t, took, said*13/10+30*time.Second)
			require.GreaterOrEqual(t, took, said/3)
		}
	}
	_, never := SmallestFault(at16(), 0.01, 0, 0.05)
	require.True(t, math.IsInf(never, 1))
	young := at16()
	young.Young = true
	_, never = SmallestFault(young, 0.01, 60, 0.05)
	require.True(t, math.IsInf(never, 1))
	few, _ := SmallestFault(at16(), 0.01, 0.6, 0.05)
	many, _ := SmallestFault(at16(), 0.01, 6, 0.05)
	require.Less(t, few.Hours(), 10*many.Hours(), "ten times the rate, a tenth of the time, but for what a thin stream needs less")
	require.Greater(t, few.Hours(), 8*many.Hours())
}

func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name string
		n, k float64
	}{{"empty", 0, 0}, {"quiet", 15, 0}, {"one_failure", 15, 0.3}, {"busy", 1500, 15}, {"outage", 15, 15}} {
		b.Run(c.name, func(b *testing.B) {
			d, base, p := &ErrorRatio{}, taught(1, 0.01), at16()
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				d.Step(p, base, Step{Start: testStart + i*stepMillis, End: testStart + (i+1)*stepMillis, N: c.n, K: c.k, Coverage: 1})
			}
		})
	}
	for _, cells := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("quiet_%d_cells", cells), func(b *testing.B) {
			detectors, bases, p := make([]ErrorRatio, cells), make([]Baseline, cells), at16()
			for i := range bases {
				bases[i] = *taught(1, 0.01)
			}
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				at, step := int(i)%cells, i/int64(cells)
				detectors[at].Step(p, &bases[at], Step{Start: testStart + step*stepMillis, End: testStart + (step+1)*stepMillis, N: 15, Coverage: 1})
			}
		})
	}
}
