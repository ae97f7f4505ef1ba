package season

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// teach lets minutes pass, each with the events a minute of its local time.
func teach(s *Season, zone *time.Location, from, to time.Time, perMinute func(local time.Time) float64) {
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		local := t.In(zone)
		s.Observe(t.UnixMilli(), s.At(local), perMinute(local), 1)
	}
}

// shop is busy by day, quiet by night and half as busy on Sundays.
func shop(local time.Time) float64 {
	v := 10.0
	if h := local.Hour(); h >= 8 && h < 22 {
		v = 100
	}
	if local.Weekday() == time.Sunday {
		v /= 2
	}
	return v
}

func TestADayIsEnoughForTheDayAndAWeekForTheWeek(t *testing.T) {
	var s Season
	require.Zero(t, s.At(monday).Expected, "nothing was learned")
	teach(&s, time.UTC, monday, monday.Add(2*time.Hour+time.Minute), shop)
	require.InDelta(t, 10, s.At(monday.Add(2*time.Hour)).Expected, .1, "the mean, at first")
	teach(&s, time.UTC, monday.Add(2*time.Hour+time.Minute), monday.Add(26*time.Hour), shop)
	noon := monday.Add(36 * time.Hour)
	teach(&s, time.UTC, monday.Add(26*time.Hour), noon, shop)
	require.InDelta(t, 100, s.At(noon).Expected, 20, "the same hour of the day before")
	sunday := monday.Add(6*24*time.Hour + 12*time.Hour)
	teach(&s, time.UTC, noon, sunday, shop)
	require.False(t, s.Seen(Slot(sunday)))
	require.True(t, s.Seen(Slot(monday.Add(12*time.Hour))))
	require.Greater(t, s.At(sunday).Expected, 55.0, "the first Sunday is not known")
	teach(&s, time.UTC, sunday, sunday.Add(3*7*24*time.Hour), shop)
	require.True(t, s.Seen(Slot(sunday)))
	require.InDelta(t, 50, s.At(sunday.Add(3*7*24*time.Hour)).Expected, 15, "the fourth is, drawn a little to other days")
	require.InDelta(t, 10, s.At(sunday.Add(3*7*24*time.Hour+15*time.Hour)).Expected, 2)
}

func TestMinutesAboveARate(t *testing.T) {
	var s Season
	require.Zero(t, s.Above(1))
	teach(&s, time.UTC, monday.Add(6*time.Hour), monday.Add(9*time.Hour+30*time.Minute), shop)
	require.InDelta(t, 90, s.Above(50), 0, "the hour that is not over too")
	require.InDelta(t, 210, s.Above(9), 0)
	teach(&s, time.UTC, monday.Add(9*time.Hour+30*time.Minute), monday.Add(60*time.Hour), func(time.Time) float64 { return 10 })
	require.Zero(t, s.Above(50), "a day later")
}

func TestTheLevelOfTheLastDay(t *testing.T) {
	var s Season
	end := monday.Add(15 * 24 * time.Hour)
	teach(&s, time.UTC, monday, end, shop)
	require.InDelta(t, 100, s.At(end.Add(12*time.Hour)).Expected, 12)
	grown := func(l time.Time) float64 { return 2 * shop(l) }
	teach(&s, time.UTC, end, end.Add(36*time.Hour), grown)
	require.InDelta(t, 200, s.At(end.Add(36*time.Hour)).Expected, 45, "a tenant that doubled is expected so a day later")
}

func TestTheDayFollowsTheTenantsClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for name, change := range map[string]time.Time{
		"into summer": time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),
		"into winter": time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
	} {
		var s Season
		teach(&s, berlin, change.Add(-15*24*time.Hour), change.Add(-time.Hour), shop)
		worst := 0.0
		for at := change.Add(-time.Hour); at.Before(change.Add(48 * time.Hour)); at = at.Add(time.Minute) {
			local := at.In(berlin)
			r := s.At(local)
			if local.Minute() == 30 && local.Weekday() != time.Sunday { // between two hours it is in between
				worst = math.Max(worst, math.Abs(math.Log(r.Expected/shop(local))))
			}
			s.Observe(at.UnixMilli(), r, shop(local), 1)
		}
		require.Less(t, worst, math.Log(1.5), "%s: eight o'clock is eight o'clock", name)
	}
}

func TestWhatWasAFaultIsTakenBack(t *testing.T) {
	var s, clean Season
	end := monday.Add(15*24*time.Hour + 10*time.Hour)
	teach(&s, time.UTC, monday, end, shop)
	clean = s
	teach(&s, time.UTC, end, end.Add(9*time.Hour), func(time.Time) float64 { return 0 })
	s.Retract(end.UnixMilli())
	after, wanted := end.Add(24*time.Hour), end.Add(10*time.Hour)
	require.InDelta(t, clean.At(wanted).Expected, s.At(wanted).Expected, 3)
	teach(&s, time.UTC, end.Add(9*time.Hour), after, shop)
	require.InDelta(t, 100, s.At(after).Expected, 10)
}

// TestAnHourUnlikeTheOthersIsNotExpectedTomorrow: a customer's retries are ten times the
// usual hour of a thin tenant. What lasts is expected all the same.
func TestAnHourUnlikeTheOthersIsNotExpectedTomorrow(t *testing.T) {
	half := func(time.Time) float64 { return 0.5 }
	odd, usual := monday.Add(8*24*time.Hour+13*time.Hour), Season{}
	teach(&usual, time.UTC, monday, odd, half)
	retried := usual
	teach(&retried, time.UTC, odd, odd.Add(time.Hour), func(time.Time) float64 { return 8 })
	tomorrow := odd.Add(24*time.Hour + 30*time.Minute)
	teach(&retried, time.UTC, odd.Add(time.Hour), tomorrow, half)
	require.Less(t, retried.At(tomorrow).Expected, 0.75, "480 events in that hour, 30 in every other")

	grown := usual
	teach(&grown, time.UTC, odd, odd.Add(4*24*time.Hour), func(time.Time) float64 { return 5 })
	require.InDelta(t, 5, grown.At(odd.Add(4*24*time.Hour+30*time.Minute)).Expected, 1, "ten times as much for four days")
}

// TestTheSecondDayOfATenantIsPlain: a customer's retries on the day after it was onboarded.
func TestTheSecondDayOfATenantIsPlain(t *testing.T) {
	grows := func(at time.Time) float64 { return 0.02 + 0.1*at.Sub(monday).Hours()/48 }
	var s Season
	odd := monday.Add(37 * time.Hour)
	teach(&s, time.UTC, monday, odd, grows)
	teach(&s, time.UTC, odd, odd.Add(time.Hour), func(time.Time) float64 { return 14 })
	tomorrow := odd.Add(24*time.Hour + 30*time.Minute)
	teach(&s, time.UTC, odd.Add(time.Hour), tomorrow, grows)
	require.Less(t, s.At(tomorrow).Expected, 0.6, "840 events in that hour, five in every other")

	var live Season
	teach(&live, time.UTC, monday, odd, func(time.Time) float64 { return 1 })
	teach(&live, time.UTC, odd, odd.Add(42*time.Hour), func(time.Time) float64 { return 50 })
	require.Greater(t, live.At(odd.Add(42*time.Hour)).Expected, 40.0, "after a day of trials it is in earnest")
}

// TestAnHourUnlikeTheOthersSaysLittleOfShares: all that was retried came by one slice.
func TestAnHourUnlikeTheOthersSaysLittleOfShares(t *testing.T) {
	var s Share
	for h := range int64(10 * 24) {
		n, of := 6.0, 30.0
		if h == 9*24+12 {
			n, of = 456, 480
		}
		s.Observe(h*hour, int(h%Slots), n, of)
	}
	require.InDelta(t, 0.2, s.At(12), 0.1, "learned as it came it would be 0.65")
}

func TestSwingsAreLearned(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var calm, wild Season
	for h := range 21 * 24 {
		swing := math.Exp(.5 * rng.NormFloat64())
		from := monday.Add(time.Duration(h) * time.Hour)
		teach(&calm, time.UTC, from, from.Add(time.Hour), func(time.Time) float64 { return 50 + 7*rng.NormFloat64() })
		teach(&wild, time.UTC, from, from.Add(time.Hour), func(time.Time) float64 { return 50 * swing })
	}
	require.Greater(t, calm.Size(), 50.0)
	require.Less(t, wild.Size(), 8.0)
}

// swung teaches so many days of a shop with 40 payments an hour, whose hours swing by so much, times
// as many as part says, and returns the mean of what was known of the swings in the last week.
func swung(s *Season, rng *rand.Rand, from time.Time, days int, swing, part float64) (spread float64) {
	week := 0.0
	for h := range days * 24 {
		at := from.Add(time.Duration(h) * time.Hour)
		mean := 40 * part * math.Exp(swing*rng.NormFloat64()-swing*swing/2)
		n := math.Max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
		s.Observe(at.UnixMilli(), s.At(at), n, 60)
		if h >= (days-7)*24 {
			spread, week = spread+s.spread, week+1
		}
	}
	return spread / week
}

// TestSwingsAreLearnedAsTheyAre: what an hour counts at most leaves out no more of usual swings
// than is put back. That an hour's expectation is learned as well makes them seem a little larger.
func TestSwingsAreLearnedAsTheyAre(t *testing.T) {
	for _, swing := range []float64{.15, .25, .4} {
		mean := 0.0
		for seed := range uint64(8) {
			var s Season
			mean += swung(&s, rand.New(rand.NewPCG(seed, 9)), monday, 42, swing, 1) / 8
		}
		require.Greater(t, mean, swing*swing, swing)
		require.Less(t, mean, swing*swing+.01, swing)
	}
}

// TestTheDayAfterABankHolidayIsNoSwing: half of what is usual comes for a day, and on the
// next twice what that day made one expect. It is watched as closely as the day before.
func TestTheDayAfterABankHolidayIsNoSwing(t *testing.T) {
	before, after := 0.0, 0.0
	for seed := range uint64(8) {
		var s Season
		rng := rand.New(rand.NewPCG(seed, 10))
		swung(&s, rng, monday, 28, .15, 1)
		before += s.spread / 8
		swung(&s, rng, monday.Add(28*24*time.Hour), 1, .15, .45)
		swung(&s, rng, monday.Add(29*24*time.Hour), 1, .15, 1)
		after += s.spread / 8
	}
	require.Less(t, before, .04)
	require.Less(t, after, .065, "each hour counted as it came it is 0.076")
}

func TestAGapOfDaysKeepsWhatWasLearned(t *testing.T) {
	var s Season
	teach(&s, time.UTC, monday, monday.Add(8*24*time.Hour), shop)
	back := monday.Add(12*24*time.Hour + 12*time.Hour)
	teach(&s, time.UTC, back, back.Add(time.Minute), shop)
	require.InDelta(t, 100, s.At(back).Expected, 15)
}

func TestShares(t *testing.T) {
	var s Share
	require.Zero(t, s.At(0))
	for h := range 30 * 24 {
		slot := h % Slots
		share := .2
		if slot%24 >= 20 {
			share = .6
		}
		s.Observe(int64(h)*hour+1, slot, 1000*share, 1000)
	}
	require.InDelta(t, .2, s.At(10), .02)
	require.InDelta(t, .6, s.At(22), .03)
	before := s.At(0)
	s.Observe(30*24*hour+1, 0, 0, 1000)
	s.Retract()
	s.Observe(31*24*hour, 0, 200, 1000)
	require.InDelta(t, before, s.At(0), .01)
}

func TestRecords(t *testing.T) {
	var s, back Season
	teach(&s, time.UTC, monday, monday.Add(9*24*time.Hour+90*time.Minute), shop)
	raw, err := s.MarshalBinary()
	require.NoError(t, err)
	require.Less(t, len(raw), 2200)
	require.NoError(t, back.UnmarshalBinary(raw))
	at := monday.Add(9*24*time.Hour + 12*time.Hour)
	require.Equal(t, s.At(at), back.At(at), "nothing is lost on the way")
	again, err := back.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, raw, again)
	for _, bad := range [][]byte{nil, raw[:40], append(raw[:len(raw):len(raw)], 0), {'X', 1}, {kindSeason, 9}} {
		require.Error(t, back.UnmarshalBinary(bad))
	}
	var h, hb Share
	h.Observe(hour, 1, 5, 10)
	h.Observe(3*hour, 3, 5, 10)
	raw, err = h.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, hb.UnmarshalBinary(raw))
	require.Equal(t, h, hb)
}
