// Package season is what a cell has learned of its volume: how many events a minute
// an hour of the week usually brings in the tenant's own zone, and how much of that
// the last day brought.
//
// An hour of the week is shrunk to that hour of the day, and that to the mean. What
// is learned waits most of a day before it counts, so that it can be taken back when
// it turns out to have been a fault; it still is in time for the same hour of the
// next day.
//
// It knows counts and local hours. It must not know tenants, series, thresholds or
// clocks: a local time comes in with every call.
//
// Units: events, minutes observed, unix hours. Nothing here is safe for use by two
// goroutines at once.
package season

import (
	"math"
	"time"
)

const (
	hour        = 3_600_000 // ms
	kept        = 22        // hours that can be taken back one by one
	weekKeeps   = 0.6       // of what an hour of the week brought a week ago
	dayKeeps    = 0.85      // of what an hour of the day brought a day ago
	weekShrink  = 60.0      // minutes that the hour of the day is worth to the hour of the week
	dayShrink   = 1.0       // and the mean to the hour of the day: nights are not like days
	levelEvents = 10.0      // events that an unchanged level is worth
	mostLevel   = 5.0       // the level of a day is within this factor
	leastSpread = 0.01      // variance of an hour's true volume beside what is expected: at least
	mostSpread  = 0.5       // and at most this, as a share squared
	firstSpread = 0.1
	spreadKeeps = 0.985 // of what was known of the spread an hour ago
	spreadFrom  = 8.0   // events that an hour must promise to tell of the spread
	spreadClip  = 3.0   // times what is known that the square of an hour counts at most: a bank holiday is no swing
	spreadLeft  = 0.858 // of the mean of a normal square is left by that
	mostTimes   = 3.0   // an hour is learned as so many times what was usual at most,
	mostBeyond  = 10.0  // and so many events,
	plainFrom   = 150.0 // where so many minutes of that hour of the day were learned: three days;
	plainSooner = 12    // before that so many hours of the last day say what is large
	mostStep    = 1e9   // events of one step: what is above is no count
)

// Slots of a week.
const Slots = 7 * 24

// Slot is the hour of the week of a local time, Sunday's first hour being 0.
func Slot(local time.Time) int { return int(local.Weekday())*24 + local.Hour() }

// rate is events in minutes observed, fading.
type rate struct{ n, minutes float64 }

func (r rate) perMinute() float64 {
	if r.minutes <= 0 {
		return 0
	}
	return r.n / r.minutes
}

// learned is a rate as it is kept: a tenant has 192 of them, 24 bits are enough.
type learned struct{ n, minutes float32 }

// towards is the rate drawn to a coarser one, which is worth so many minutes.
func (r learned) towards(coarse, worth float64) float64 {
	return (float64(r.n) + worth*coarse) / (float64(r.minutes) + worth)
}

func (r *learned) add(keeps float64, p past) {
	r.n, r.minutes = r.n*float32(keeps)+p.n, r.minutes*float32(keeps)+p.minutes
}

// past is one hour that can still be taken back.
type past struct {
	n, minutes float32
	expected   float32 // as it was then
	slot       int
}

// present is the hour that is not over.
type present struct {
	n, minutes, expected float64
	slot                 int
}

func (p present) over() past {
	return past{float32(p.n), float32(p.minutes), float32(p.expected), p.slot}
}

// Season is what was learned. The zero value has learned nothing.
type Season struct {
	week [Slots]learned
	day  [24]learned
	all  rate
	ring [kept]past // by unix hour modulo kept; minutes 0: nothing, or taken back
	now  present    // of the hour newest
	// newest is the unix hour of now; 0 before the first step.
	newest int64
	spread float64 // variance; 0: not known
	heard  float64 // minutes observed, ever
	aside  aside   // what was not learned

	level float64 // derived when an hour closes; 0: to be made
}

// Rate is what is expected at a moment, in events a minute; zero: nothing was learned.
type Rate struct {
	Slot     int     // of the week
	Expected float64 // between the middles of two hours, with the level of the last day
	// Low and High are the same for the hours that begin or end within half an hour: a
	// shop that closes at ten has no traffic at five past, whatever lies between two
	// hours' middles.
	Low, High float64
}

// Observe adds a step that started at ms (unix), at which r was expected: n events in
// minutes observed.
func (s *Season) Observe(ms int64, r Rate, n, minutes float64) {
	if !(minutes > 0) || !(n >= 0) || n > mostStep {
		return
	}
	if len(s.aside) > 0 && ms/hour > s.newest {
		s.aside.drop(ms / hour)
	}
	if s.Begin(ms, r.Slot); ms/hour < s.newest {
		return
	}
	s.heard += minutes
	s.now.expected += r.Expected * minutes
	s.now.n, s.now.minutes = s.now.n+n, s.now.minutes+minutes
}

// Begin closes the hours before ms (unix), which is in a slot of the week.
func (s *Season) Begin(ms int64, slot int) {
	switch at := ms / hour; {
	case s.newest == 0:
		s.newest, s.now.slot = at, slot
	case at > s.newest:
		s.advance(at, slot)
	}
}

// advance closes hours until at is the current one.
func (s *Season) advance(at int64, slot int) {
	for i := s.newest; i < at && i < s.newest+kept+1; i++ {
		p := &s.ring[i%kept]
		s.merge(*p)
		if *p = (past{}); i == s.newest {
			*p = s.plain(s.now.over())
		}
	}
	s.newest, s.now, s.level = at, present{slot: slot}, 0
}

// plain is an hour as it is learned: what is far beyond the usual, as a customer's retries
// are of a tenant with a payment a minute, is not to be expected of the same hour
// tomorrow. What lasts raises the usual day by day; of a tenant that was learned for less
// than that, hour by hour.
func (s *Season) plain(p past) past {
	if d := s.day[p.slot%24]; d.minutes >= plainFrom {
		usual := math.Max(float64(p.expected), float64(d.n/d.minutes*p.minutes))
		p.n = min(p.n, float32(mostTimes*usual+mostBeyond))
	} else if large, hours := s.large(); hours >= plainSooner {
		p.n = min(p.n, mostTimes*large*p.minutes+mostBeyond)
	}
	return p
}

// large is what the fourth largest of the last day's hours brought a minute, and how many
// hours there are: three of them may be odd.
func (s *Season) large() (perMinute float32, hours int) {
	var most [4]float32 // falling
	for _, p := range s.ring {
		if p.minutes <= 0 {
			continue
		}
		hours++
		x := p.n / p.minutes
		for i := range most {
			if x > most[i] {
				x, most[i] = most[i], x
			}
		}
	}
	return most[3], hours
}

// merge learns an hour for good.
func (s *Season) merge(p past) {
	if p.minutes <= 0 {
		return
	}
	s.week[p.slot].add(weekKeeps, p)
	s.day[p.slot%24].add(dayKeeps, p)
	n, minutes, expected := float64(p.n), float64(p.minutes), float64(p.expected)
	keeps := math.Pow(dayKeeps, minutes/1440)
	s.all = rate{s.all.n*keeps + n, s.all.minutes*keeps + minutes}
	if expected >= spreadFrom {
		if s.spread == 0 {
			s.spread = firstSpread
		}
		off, chance := n/expected-1, 1/expected
		square := math.Min(off*off, spreadClip*(s.spread+chance)) / spreadLeft
		s.spread = math.Max(s.spread*spreadKeeps+math.Max(math.Min(square-chance, 1), -1)*(1-spreadKeeps), leastSpread)
	}
}

// Retract takes what was learned since ms (unix) back out, as far as it is kept hour
// by hour (22 h) or was put back by Return. It is kept aside.
func (s *Season) Retract(ms int64) { s.RetractSpan(ms, math.MaxInt64) }

// RetractSpan is Retract of the hours that touch [from, to] (unix ms) only.
func (s *Season) RetractSpan(from, to int64) {
	s.Remove(from, min(to, (s.newest-kept)*hour-1))
	for at := max(from/hour, s.newest-kept); at < min(s.newest, to/hour+1); at++ {
		if at >= 0 {
			s.aside.taken(at, s.ring[at%kept])
			s.ring[at%kept] = past{}
		}
	}
	if s.newest != 0 && to/hour >= s.newest {
		s.aside.taken(s.newest, s.now.over())
		s.now = present{slot: s.now.slot}
	}
	s.level = 0
}

// Mean is the usual number of events a minute, whatever the hour; the last hours
// count too. 0: nothing was learned.
func (s *Season) Mean() float64 {
	m := s.all
	for _, p := range s.ring {
		m.n, m.minutes = m.n+float64(p.n), m.minutes+float64(p.minutes)
	}
	m.n, m.minutes = m.n+s.now.n, m.minutes+s.now.minutes
	return m.perMinute()
}

// Minutes is how long it was observed, ever.
func (s *Season) Minutes() float64 { return s.heard }

// Above is how many of the last hours' minutes lie in hours that brought more than rate
// events a minute.
func (s *Season) Above(rate float64) (minutes float64) {
	for _, p := range s.ring {
		if float64(p.n) > rate*float64(p.minutes) {
			minutes += float64(p.minutes)
		}
	}
	if s.now.n > rate*s.now.minutes {
		minutes += s.now.minutes
	}
	return minutes
}

// At is what is usual at a local time, from hours at least one hour old: the season
// between the middles of two hours, times the level of the last day.
func (s *Season) At(local time.Time) Rate {
	if s.level == 0 {
		s.level = s.lastDay()
	}
	slot, mean := Slot(local), s.mean()
	a := s.slot(Slot(local.Add(-30*time.Minute)), mean)
	b := s.slot(Slot(local.Add(30*time.Minute)), mean)
	part := (float64((local.Minute()+30)%60) + float64(local.Second())/60) / 60
	season := a*(1-part) + b*part
	return Rate{Slot: slot, Expected: season * s.level, Low: math.Min(a, b) * s.level, High: math.Max(a, b) * s.level}
}

func (s *Season) slot(slot int, mean float64) float64 {
	return s.week[slot].towards(s.day[slot%24].towards(mean, dayShrink), weekShrink)
}

// mean is what is learned for good, or, while that is nothing, what waits.
func (s *Season) mean() float64 {
	if s.all.minutes > 0 {
		return s.all.perMinute()
	}
	var m rate
	for i, p := range s.ring {
		if s.old(i) {
			m.n, m.minutes = m.n+float64(p.n), m.minutes+float64(p.minutes)
		}
	}
	return m.perMinute()
}

// old says whether the hour at place i of the ring ended an hour ago at least.
func (s *Season) old(i int) bool { return s.newest > 0 && int64(i) != (s.newest-1)%kept }

// lastDay is how much the last day brought of what its hours usually bring.
func (s *Season) lastDay() float64 {
	n, expected, mean := levelEvents, levelEvents, s.mean()
	for i, p := range s.ring {
		if p.minutes > 0 && s.day[p.slot%24].minutes > 0 && s.old(i) { // of an hour never seen before nothing was usual
			n, expected = n+float64(p.n), expected+s.slot(p.slot, mean)*float64(p.minutes)
		}
	}
	return math.Min(math.Max(n/expected, 1/mostLevel), mostLevel)
}

// Seen says whether an hour of the week was observed before: on any day from Monday to
// Friday for one of those, else on that very day.
func (s *Season) Seen(slot int) bool {
	if day := slot / 24; day == 0 || day == 6 {
		return s.week[slot].minutes > 0
	}
	for day := 1; day <= 5; day++ {
		if s.week[day*24+slot%24].minutes > 0 {
			return true
		}
	}
	return false
}

// Before is how many events a minute the hour before this one brought; 0 where that is not
// known.
func (s *Season) Before() float64 {
	if s.newest == 0 {
		return 0
	}
	p := s.ring[(s.newest-1)%kept]
	return rate{float64(p.n), float64(p.minutes)}.perMinute()
}

// Size is the r of a negative binomial: how alike the minutes of an hour are. Counts
// scatter around what is expected by mu + mu²/r.
func (s *Season) Size() float64 {
	spread := s.spread
	if spread == 0 {
		spread = firstSpread
	}
	return 1 / math.Min(math.Max(math.Max(spread, s.told()), leastSpread), mostSpread)
}
