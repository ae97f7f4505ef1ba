package detect

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// hourly is a step of one hour, so many hours after testStart.
func hourly(h, n, k int64) Step {
	return Step{Start: testStart + h*hour, End: testStart + (h+1)*hour, N: float64(n), K: float64(k), Coverage: 1}
}

// What was kept aside and is put back leaves the baseline as if it had been learned in
// its time, however late; taking it out again leaves it as if it never had been.
func TestWhatIsPutBackWasNeverOut(t *testing.T) {
	for _, late := range []int64{0, 1, 5, 13, 20, 24, 25, 30, 60, 150} {
		learned, out := taught(1, .01), taught(1, .01)
		never := taught(1, .01)
		for h := int64(0); h < 14; h++ { // two hours of a fault, and twelve in which nothing is learned
			s := hourly(h, 3600, 36)
			if h < 2 {
				s.K = 108
			}
			learned.Observe(s)
			if h == 0 {
				out.Observe(s) // seen late: taken back
				require.Equal(t, 1, out.Retract(s.Start, s.End-1))
				continue
			}
			out.Withhold(s)
		}
		for h := int64(14); h < 14+late; h++ {
			for _, b := range []*Baseline{learned, out, never} {
				b.Observe(hourly(h, 3600, 36))
			}
		}
		from, to := testStart, testStart+14*hour-1
		require.Equal(t, 14, out.Return(from, to), "%d hours late", late)
		require.Zero(t, out.Return(from, to), "again it changes nothing")
		out = through(t, out)
		same(t, learned, out, "put back, %d hours late", late)
		require.Positive(t, out.Retract(from, to))
		out = through(t, out)
		if late > 0 {
			same(t, never, out, "taken out, %d hours late", late)
		}
		require.Equal(t, 14, out.Return(from, to))
		same(t, learned, out, "and back, %d hours late", late)
	}
}

// same compares what the tests of a fault ask a baseline for.
func same(t *testing.T, want, got *Baseline, words string, args ...any) {
	t.Helper()
	want, got = through(t, want), through(t, got)
	for _, b := range []*Baseline{want, got} { // so that both count the same hours
		b.advance(testStart/hour + 200)
	}
	wm, wu := want.Ratio(Parameters{})
	gm, gu := got.Ratio(Parameters{})
	require.InEpsilon(t, wm, gm, 1e-4, append([]any{words}, args...)...)
	require.InEpsilon(t, wu, gu, 1e-3, append([]any{words}, args...)...)
	require.InEpsilon(t, want.Rate(), got.Rate(), 1e-4, append([]any{words}, args...)...)
}

func through(t *testing.T, b *Baseline) *Baseline {
	t.Helper()
	raw, err := b.MarshalBinary()
	require.NoError(t, err)
	out := &Baseline{}
	require.NoError(t, out.UnmarshalBinary(raw))
	return out
}

// What came after a word was given and is taken back by the next alarm is one sum, not two.
func TestAHourIsKeptAsideOnce(t *testing.T) {
	b := taught(1, .01)
	b.Withhold(hourly(0, 1800, 180))
	b.Return(testStart, testStart)
	b.Observe(hourly(0, 1800, 18))
	require.Equal(t, 1, b.Retract(testStart, testStart))
	b.Withhold(hourly(0, 600, 6))
	x := b.aside.within(testStart, testStart)
	require.Len(t, x, 1)
	require.Equal(t, hourSum{4200, 204, 10800}, x[0].hourSum)
	require.False(t, x[0].back)
	b.Return(testStart, testStart)
	b.Withhold(hourly(0, 100, 1)) // and one that is held after it was put back
	require.Equal(t, hourSum{4300, 205, 14400}, b.aside.within(testStart, testStart)[0].hourSum)
	require.Zero(t, b.n, "nothing of it is learned")
}

// A person's word widens the zone to what it was said of, by twenty points at most, and
// fades over seven days; what is kept aside is bounded and dropped when they are over.
func TestWordFadesAndWhatIsAsideIsBounded(t *testing.T) {
	b := taught(1, .01)
	_, before := b.Ratio(Parameters{})
	b.Tell(testStart, .09, Parameters{})
	_, told := b.Ratio(Parameters{})
	require.InDelta(t, .09, told, .005)
	b.Tell(testStart, .9, Parameters{})
	_, most := b.Ratio(Parameters{})
	require.InDelta(t, .21, most, .01)
	b.Untell(testStart, testStart)
	_, none := b.Ratio(Parameters{})
	require.Equal(t, before, none)
	b.Tell(testStart-8*24*hour, .9, Parameters{})
	_, none = b.Ratio(Parameters{})
	require.Equal(t, before, none, "of more than a week ago")

	b.Tell(testStart, .09, Parameters{})
	for h := int64(0); h < 7*24; h++ {
		b.Observe(hourly(h, 3600, 36))
		if h == 84 {
			_, half := through(t, b).Ratio(Parameters{})
			require.InDelta(t, .05, half, .006)
		}
	}
	require.NotNil(t, b.aside)
	b.Observe(hourly(7*24, 3600, 36))
	require.Nil(t, b.aside)

	for h := int64(200); h < 300; h++ {
		b.Withhold(hourly(h, 3600, 36))
	}
	require.Len(t, b.aside.hours, asideHours)
	require.EqualValues(t, testStart/hour+299, b.aside.hours[asideHours-1].at)
	b.Withhold(hourly(201, 3600, 36)) // older than all that is kept
	require.Len(t, b.aside.hours, asideHours)
	require.EqualValues(t, testStart/hour+228, b.aside.hours[0].at)
	b.Accept(testStart+300*hour, 100, 1, 100)
	require.Nil(t, b.aside, "of another level")
}
