package season

import (
	"math"
	"slices"
)

// What is not learned of a volume, because it rang, is kept aside hour by hour until
// somebody says what it was: what was lost stays out, a false alarm is learned after all.
// Both can be taken back.

const (
	asideHours = 72     // hours kept aside at most, the newest
	asideFor   = 7 * 24 // hours after which one is dropped
)

// held is one hour kept aside. Of a share, minutes are all events.
type held struct {
	at int64 // unix hour
	past
	back bool    // it was put back
	told float32 // variance that somebody called no fault, of what began in this hour
}

// aside are such hours, the oldest first.
type aside []held

func (a aside) find(at int64) (int, bool) {
	return slices.BinarySearchFunc(a, at, func(h held, at int64) int { return int(h.at - at) })
}

// hour finds or makes the entry of an hour. What is too old is dropped.
func (a *aside) hour(at int64, slot int) *held {
	a.drop(at)
	if _, found := a.find(at); !found {
		i, _ := a.find(at)
		*a = slices.Insert(*a, i, held{at: at, past: past{slot: slot}})
		*a = (*a)[max(0, len(*a)-asideHours):]
	}
	i, found := a.find(at)
	if !found { // older than all that is kept
		return &held{}
	}
	return &(*a)[i]
}

func (a *aside) drop(at int64) {
	*a = slices.DeleteFunc(*a, func(h held) bool { return h.at <= at-asideFor })
}

// within are the entries of the hours that touch [from, to] (unix ms).
func (a aside) within(from, to int64) aside {
	i, _ := a.find(from / hour)
	j, _ := a.find(to/hour + 1)
	return a[i:max(i, j)]
}

// keep adds to an hour that is kept aside. out takes it out of what was learned, if it
// had been put back.
func (a *aside) keep(at int64, p past, out func(*held)) {
	if p.minutes <= 0 {
		return
	}
	x := a.hour(at, p.slot)
	if x.back {
		out(x)
	}
	x.n, x.minutes, x.expected, x.slot = x.n+p.n, x.minutes+p.minutes, x.expected+p.expected, p.slot
}

// taken keeps a whole hour aside; what had been put back of it is part of that.
func (a *aside) taken(at int64, p past) {
	if p.minutes <= 0 {
		return
	}
	if i, found := a.find(at); found && (*a)[i].back {
		(*a)[i].past, (*a)[i].back = past{slot: p.slot}, false
	}
	a.keep(at, p, nil)
}

// giveBack hands out what is kept aside of [from, to] and was not put back yet.
func (a aside) giveBack(from, to int64, in func(h held)) (hours int) {
	list := a.within(from, to)
	for i := range list {
		if x := &list[i]; !x.back && x.minutes > 0 {
			in(*x)
			x.back = true
			hours++
		}
	}
	return hours
}

// takeBack hands out what was put back of [from, to].
func (a aside) takeBack(from, to int64, out func(h *held)) {
	list := a.within(from, to)
	for i := range list {
		if list[i].back {
			out(&list[i])
		}
	}
}

// fades are what an hour of the day, and the mean, have kept by now of an hour that was
// merged when it had waited for waits hours.
func fades(newest, at, waits int64) (day, all float64) {
	age := float64(newest - at - waits - 1)
	return math.Pow(dayKeeps, math.Floor(age/24)), math.Pow(dayKeeps, age/24)
}

// weigh adds with a weight; one below zero takes out.
func (r *learned) weigh(p past, w float64) {
	r.n, r.minutes = max(0, r.n+float32(w)*p.n), max(0, r.minutes+float32(w)*p.minutes)
}

// count is how many hours that touch [from, to] (unix ms) wait.
func (a aside) count(from, to int64) (hours int) {
	for _, h := range a.within(from, to) {
		if !h.back && h.minutes > 0 {
			hours++
		}
	}
	return hours
}

// Aside is how many hours that touch [from, to] (unix ms) are kept aside.
func (s *Season) Aside(from, to int64) int { return s.aside.count(from, to) }

// Aside is how many hours that touch [from, to] (unix ms) are kept aside.
func (s *Share) Aside(from, to int64) int { return s.aside.count(from, to) }

// Withhold keeps a step aside that is not to be learned.
func (s *Season) Withhold(ms int64, r Rate, n, minutes float64) {
	if !(minutes > 0) || !(n >= 0) || n > mostStep {
		return
	}
	s.aside.keep(ms/hour, past{float32(n), float32(minutes), float32(r.Expected * minutes), r.Slot}, s.takeOut)
}

// Return puts what was kept aside of the hours that touch [from, to] (unix ms) back, as if
// it had been learned when it came. It returns how many hours that were.
func (s *Season) Return(from, to int64) int {
	s.level = 0
	return s.aside.giveBack(from, to, func(h held) {
		s.heard += float64(h.minutes)
		if h.at >= s.newest {
			s.Begin(h.at*hour, h.slot)
			s.now.n, s.now.minutes, s.now.expected = s.now.n+float64(h.n), s.now.minutes+float64(h.minutes), s.now.expected+float64(h.expected)
			return
		}
		if s.newest-h.at <= kept {
			p := &s.ring[h.at%kept]
			*p = past{p.n + h.n, p.minutes + h.minutes, p.expected + h.expected, h.slot}
			return
		}
		day, all := fades(s.newest, h.at, kept)
		s.week[h.slot].add(weekKeeps, h.past)
		s.day[h.slot%24].weigh(h.past, day)
		s.all = rate{s.all.n + all*float64(h.n), s.all.minutes + all*float64(h.minutes)}
	})
}

// Remove takes what was put back of [from, to] (unix ms) out again.
func (s *Season) Remove(from, to int64) {
	s.aside.takeBack(from, to, s.takeOut)
	s.level = 0
}

func (s *Season) takeOut(h *held) {
	h.back = false
	s.heard = max(0, s.heard-float64(h.minutes))
	n, minutes, expected := float64(h.n), float64(h.minutes), float64(h.expected)
	switch {
	case h.at == s.newest:
		s.now.n, s.now.minutes, s.now.expected = max(0, s.now.n-n), max(0, s.now.minutes-minutes), max(0, s.now.expected-expected)
		return
	case s.newest-h.at <= kept:
		p := &s.ring[h.at%kept]
		*p = past{max(0, p.n-h.n), max(0, p.minutes-h.minutes), max(0, p.expected-h.expected), p.slot}
		return
	}
	day, all := fades(s.newest, h.at, kept)
	w := &s.week[h.slot]
	w.weigh(h.past, -1)
	w.n, w.minutes = w.n/weekKeeps, w.minutes/weekKeeps
	s.day[h.slot%24].weigh(h.past, -day)
	s.all = rate{max(0, s.all.n-all*n), max(0, s.all.minutes-all*minutes)}
}

// Tell takes a person's word that n events instead of those expected, at a time (unix ms),
// were no fault: for seven days, less and less, hours may scatter so far.
func (s *Season) Tell(ms int64, n, expected float64) {
	if !(expected > 0) || ms/hour <= s.newest-asideFor {
		return
	}
	x := s.aside.hour(ms/hour, 0)
	part := (n - expected) / expected
	x.told = max(x.told, float32(math.Min(part*part, mostSpread)))
}

// Untell takes back what was told of [from, to] (unix ms).
func (s *Season) Untell(from, to int64) {
	list := s.aside.within(from, to)
	for i := range list {
		list[i].told = 0
	}
}

// told is the variance that people called no fault.
func (s *Season) told() (most float64) {
	for i := range s.aside {
		if h := &s.aside[i]; h.told > 0 {
			most = math.Max(most, float64(h.told)*(1-float64(max(0, s.newest-h.at))/asideFor))
		}
	}
	return most
}

// Withhold keeps a step aside that is not to be learned.
func (s *Share) Withhold(ms int64, slot int, n, of float64) {
	if !(n >= 0) || !(of > 0) || n > mostStep || of > mostStep {
		return
	}
	s.aside.keep(ms/hour, past{n: float32(n), minutes: float32(of), slot: slot}, s.takeOut)
}

// Return puts what was kept aside of [from, to] (unix ms) back.
func (s *Share) Return(from, to int64) int {
	return s.aside.giveBack(from, to, func(h held) {
		n, of := float64(h.n), float64(h.minutes)
		switch age := s.newest - h.at; {
		case age <= 0:
			s.Observe(h.at*hour, h.slot, n, of)
		case age == 1:
			s.now[1], s.slot[1] = part{s.now[1].n + n, s.now[1].of + of}, h.slot
		default:
			s.weigh(&h, 1)
		}
	})
}

// Remove takes what was put back of [from, to] (unix ms) out again.
func (s *Share) Remove(from, to int64) { s.aside.takeBack(from, to, s.takeOut) }

func (s *Share) takeOut(h *held) {
	h.back = false
	age := s.newest - h.at
	if age > 1 {
		s.weigh(h, -1)
		return
	}
	p := &s.now[max(0, age)]
	*p = part{max(0, p.n-float64(h.n)), max(0, p.of-float64(h.minutes))}
}

func (s *Share) weigh(h *held, w float64) {
	day, all := fades(s.newest, h.at, 1)
	d := &s.day[h.slot%24]
	d.n, d.of = max(0, d.n+float32(w*day)*h.n), max(0, d.of+float32(w*day)*h.minutes)
	s.all = part{max(0, s.all.n+w*all*float64(h.n)), max(0, s.all.of+w*all*float64(h.minutes))}
}

func (a *aside) fields(c *coder) {
	n := int64(len(*a))
	if c.hours(&n); n < 0 || n > asideHours {
		c.bad = true
	}
	if c.reading {
		*a = make(aside, max(0, min(n, asideHours)))
	}
	for i := range *a {
		h := &(*a)[i]
		c.hours(&h.at)
		c.small(&h.n, &h.minutes, &h.expected, &h.told)
		c.slot(&h.slot)
		back := 0
		if h.back {
			back = 1
		}
		c.slot(&back)
		h.back = back != 0
		if i > 0 && (*a)[i-1].at >= h.at {
			c.bad = true
		}
	}
}
