package season

const (
	shareEvents = 200.0 // of all events that the part's overall share is worth in one hour of the day
	days        = 24
	mostWeight  = 1.5 // hours of the usual volume that an hour with more counts for at most
)

// Share is which part of a season one slice has, by the hour of the day. It takes far
// less room than a season of its own, and follows the same level. The zero value has
// learned nothing.
type Share struct {
	day    [days]struct{ n, of float32 }
	all    part
	now    [2]part // the current hour and the one before: they can be taken back
	newest int64   // unix hour of now[0]
	slot   [2]int
	aside  aside // what was not learned
}

type part struct{ n, of float64 }

// Observe adds a step that started at ms (unix) in a slot of the week: n of all events.
func (s *Share) Observe(ms int64, slot int, n, of float64) {
	if !(n >= 0) || !(of >= 0) || n > mostStep || of > mostStep {
		return
	}
	if at := ms / hour; at > s.newest {
		s.merge(s.now[1], s.slot[1])
		if at-s.newest > 1 {
			s.merge(s.now[0], s.slot[0])
			s.now[0] = part{}
		}
		s.now[1], s.slot[1] = s.now[0], s.slot[0]
		s.now[0], s.slot[0], s.newest = part{}, slot, at
	}
	s.now[0].n, s.now[0].of = s.now[0].n+n, s.now[0].of+of
}

func (s *Share) merge(p part, slot int) {
	if p.of <= 0 {
		return
	}
	d := &s.day[slot%24]
	if most := mostWeight*(1-dayKeeps)*float64(d.of) + mostBeyond; d.of > 0 && p.of > most {
		p = part{p.n * most / p.of, most} // an hour unlike the others says no more than they do
	}
	d.n, d.of = d.n*dayKeeps+float32(p.n), d.of*dayKeeps+float32(p.of)
	const hourly = 0.9932 // dayKeeps to the power 1/24
	s.all = part{s.all.n*hourly + p.n, s.all.of*hourly + p.of}
}

// Retract takes the last two hours back out. They are kept aside.
func (s *Share) Retract() {
	for i, p := range s.now {
		s.aside.taken(s.newest-int64(i), past{n: float32(p.n), minutes: float32(p.of), slot: s.slot[i]})
	}
	s.now = [2]part{}
}

// At is the slice's usual part in a slot of the week, 0..1, from what is an hour old.
func (s *Share) At(slot int) float64 {
	if s.all.of <= 0 {
		return 0
	}
	overall := s.all.n / s.all.of
	d := s.day[slot%24]
	return (float64(d.n) + shareEvents*overall) / (float64(d.of) + shareEvents)
}
