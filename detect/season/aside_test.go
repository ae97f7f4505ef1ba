package season

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An hour of a shop that closed for stocktaking rang and was no fault. Put back, however
// late, it is learned as if it never had been out; taken out again it never was in.
func TestAnHourThatIsPutBackWasNeverOut(t *testing.T) {
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	for _, late := range []int{0, 1, 10, 21, 22, 23, 30, 50, 120} {
		var learned, out, never Season
		var part, held, whole Share
		at := func(h int) time.Time { return begin.Add(time.Duration(h) * time.Hour) }
		every := func(h int, n float64, ss ...*Season) {
			for _, s := range ss {
				ms := at(h).UnixMilli()
				s.Begin(ms, Slot(at(h)))
				s.Observe(ms, s.At(at(h)), n, 60)
			}
		}
		share := func(h int, n float64, ss ...*Share) {
			for _, s := range ss {
				s.Observe(at(h).UnixMilli(), Slot(at(h)), n, 600)
			}
		}
		for h := range 21 * 24 {
			every(h, 600, &learned, &out, &never)
			share(h, 300, &part, &held, &whole)
		}
		for h := 21 * 24; h < 21*24+3; h++ { // three hours of nothing: the first is taken back, the others are held
			every(h, 0, &learned)
			share(h, 0, &part)
			if h == 21*24 {
				every(h, 0, &out)
				share(h, 0, &held)
				out.Retract(at(h).UnixMilli())
				held.Retract()
				continue
			}
			out.Withhold(at(h).UnixMilli(), Rate{Slot: Slot(at(h)), Expected: 10}, 0, 60)
			held.Withhold(at(h).UnixMilli(), Slot(at(h)), 0, 600)
		}
		for h := 21*24 + 3; h < 21*24+3+late; h++ {
			every(h, 600, &learned, &out, &never)
			share(h, 300, &part, &held, &whole)
		}
		from, to := at(21*24).UnixMilli(), at(21*24+3).UnixMilli()-1
		require.Equal(t, 3, out.Return(from, to), "%d hours late", late)
		require.Zero(t, out.Return(from, to))
		require.Positive(t, held.Return(at(21*24-1).UnixMilli(), to))
		out, held = reread(t, out), reshare(t, held)
		alike(t, &learned, &out, "put back %d hours late", late)
		require.InDelta(t, part.At(Slot(at(21*24))), held.At(Slot(at(21*24))), .03, "put back %d hours late", late)
		if late == 0 {
			continue
		}
		out.Retract(from)
		out.Return(to+1, at(21*24+400).UnixMilli()) // what came after it is no part of it
		held.Remove(from, to)
		out, held = reread(t, out), reshare(t, held)
		alike(t, &never, &out, "taken out %d hours late", late)
		require.InDelta(t, whole.At(Slot(at(21*24))), held.At(Slot(at(21*24))), .03, "taken out %d hours late", late)
	}
}

// alike compares what is expected at each hour of the week, once everything is learned.
func alike(t *testing.T, want, got *Season, words string, late int) {
	t.Helper()
	a, b := reread(t, *want), reread(t, *got)
	local := time.UnixMilli((a.newest + 24) * hour).UTC()
	for h := range 24 {
		at := local.Add(time.Duration(h) * time.Hour)
		a.Begin(at.UnixMilli(), Slot(at))
		b.Begin(at.UnixMilli(), Slot(at))
	}
	for h := range Slots {
		at := local.Add(time.Duration(h) * time.Hour)
		require.InEpsilon(t, a.At(at).Expected, b.At(at).Expected, .06, words+", %d hours on", late, h)
	}
}

func reread(t *testing.T, s Season) (out Season) {
	t.Helper()
	raw, err := s.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, out.UnmarshalBinary(raw))
	return out
}

func reshare(t *testing.T, s Share) (out Share) {
	t.Helper()
	raw, err := s.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, out.UnmarshalBinary(raw))
	return out
}

// Word of how far an hour may be off fades over a week.
func TestWordOfAVolumeFades(t *testing.T) {
	var s Season
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	s.Begin(begin.UnixMilli(), Slot(begin))
	require.InDelta(t, 10, s.Size(), 1e-9)
	s.Tell(begin.UnixMilli(), 50, 100)
	require.InDelta(t, 4, s.Size(), 1e-6)
	s.Untell(begin.UnixMilli(), begin.UnixMilli())
	require.InDelta(t, 10, s.Size(), 1e-9)
	s.Tell(begin.UnixMilli(), 0, 100)
	require.InDelta(t, 2, s.Size(), 1e-6)
	later := begin.Add(5 * 24 * time.Hour)
	s.Observe(later.UnixMilli(), Rate{Slot: Slot(later)}, 1, 1)
	require.InDelta(t, 7, s.Size(), 1e-6)
	s.Tell(begin.Add(-3*24*time.Hour).UnixMilli(), 0, 100)
	require.InDelta(t, 7, s.Size(), 1e-6, "of more than a week ago")
	later = begin.Add(8 * 24 * time.Hour)
	s.Observe(later.UnixMilli(), Rate{Slot: Slot(later)}, 1, 1)
	require.InDelta(t, 10, s.Size(), 1e-6)
	require.Empty(t, s.aside)
}
