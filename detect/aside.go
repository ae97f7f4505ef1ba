package detect

import (
	"math"
	"slices"
)

// What is not learned, because it rang or had rung shortly before, is kept aside hour
// by hour until somebody says what it was: a fault stays out, a false alarm is learned
// after all. Both can be taken back.

const (
	asideHours = 72     // hours kept aside at most, the newest
	asideFor   = 7 * 24 // hours after which one is dropped: as long as learning remembers

	// MostTold is what a person's word widens the indifference zone to at most.
	MostTold = 0.2
)

// asideHour is what one hour counted that was not learned.
type asideHour struct {
	at int32 // hour number
	hourSum
	back bool    // it was put back: the baseline holds it
	told float32 // how far above the usual ratio somebody called no fault, of what began in this hour
}

// aside are such hours, the oldest first.
type aside struct{ hours []asideHour }

// hour finds or makes the entry of an hour.
func (a *aside) hour(at int64) *asideHour {
	find := func() (int, bool) {
		return slices.BinarySearchFunc(a.hours, at, func(h asideHour, at int64) int { return int(int64(h.at) - at) })
	}
	i, found := find()
	if !found {
		a.hours = slices.Insert(a.hours, i, asideHour{at: int32(at)}) //nolint:gosec // hours since 1970
		a.hours = a.hours[max(0, len(a.hours)-asideHours):]
		if i, found = find(); !found { // older than all that is kept
			return &asideHour{}
		}
	}
	return &a.hours[i]
}

// within are the entries of the hours that touch [from, to] (unix ms).
func (a *aside) within(from, to int64) []asideHour {
	if a == nil {
		return nil
	}
	i, _ := slices.BinarySearchFunc(a.hours, from/hour, func(h asideHour, at int64) int { return int(int64(h.at) - at) })
	j, _ := slices.BinarySearchFunc(a.hours, to/hour+1, func(h asideHour, at int64) int { return int(int64(h.at) - at) })
	return a.hours[i:max(i, j)]
}

// toldAt is how wide the indifference zone must be for what people called no fault. Their
// word fades as what was learned does, and is gone when its hour is dropped.
func (a *aside) toldAt(at int64) (zone float64) {
	if a == nil {
		return 0
	}
	for i := range a.hours {
		if h := &a.hours[i]; h.told > 0 {
			age := float64(max(0, at-int64(h.at)))
			zone = max(zone, float64(h.told)*(1-age/asideFor))
		}
	}
	return zone
}

// drop forgets hours that nobody will say anything of any more.
func (a *aside) drop(at int64) {
	a.hours = slices.DeleteFunc(a.hours, func(h asideHour) bool { return int64(h.at) <= at-asideFor })
}

// Withhold keeps a step aside that is not to be learned.
func (b *Baseline) Withhold(s Step) {
	if s.teaches() {
		b.setAside(s.Start/hour, s.sum())
	}
}

func (b *Baseline) setAside(at int64, h hourSum) {
	if h.seconds <= 0 {
		return
	}
	if b.aside == nil {
		b.aside = &aside{}
	}
	b.aside.drop(at)
	x := b.aside.hour(at)
	if x.back {
		b.takeOut(x)
	}
	x.n, x.k, x.seconds = x.n+h.n, x.k+h.k, x.seconds+h.seconds
}

// Aside is how many hours that touch [from, to] (unix ms) are kept aside.
func (b *Baseline) Aside(from, to int64) (hours int) {
	for _, h := range b.aside.within(from, to) {
		if !h.back && h.seconds > 0 {
			hours++
		}
	}
	return hours
}

// Return puts what was kept aside of the hours that touch [from, to] (unix ms) back, as
// if it had been learned when it came. It returns how many hours that were.
func (b *Baseline) Return(from, to int64) (hours int) {
	list := b.aside.within(from, to)
	for i := range list {
		x := &list[i]
		if x.back || x.seconds <= 0 {
			continue
		}
		b.place(int64(x.at), x.hourSum)
		x.back = true
		hours++
	}
	if hours > 0 {
		b.moved()
	}
	return hours
}

// Remove takes what was put back of the hours that touch [from, to] (unix ms) out again. It
// returns how many hours that were.
func (b *Baseline) Remove(from, to int64) (hours int) {
	list := b.aside.within(from, to)
	for i := range list {
		if list[i].back {
			b.takeOut(&list[i])
			hours++
		}
	}
	return hours
}

// place learns an hour late.
func (b *Baseline) place(at int64, h hourSum) {
	switch {
	case at >= b.newest:
		held := b.aside
		b.aside = nil // the list is being walked: nothing is dropped from it now
		b.advance(at)
		b.aside = held
		b.n, b.k, b.seconds = b.n+float64(h.n), b.k+float64(h.k), b.seconds+float64(h.seconds)
	case b.newest-at <= keptHours:
		slot := &b.ring[at%keptHours]
		slot.n, slot.k, slot.seconds = slot.n+h.n, slot.k+h.k, slot.seconds+h.seconds
	default:
		b.older.weigh(h, fadedBy(b.newest-at))
	}
}

// takeOut is the other way round.
func (b *Baseline) takeOut(x *asideHour) {
	at := int64(x.at)
	switch h := x.hourSum; {
	case at == b.newest:
		b.n, b.k, b.seconds = max(0, b.n-float64(h.n)), max(0, b.k-float64(h.k)), max(0, b.seconds-float64(h.seconds))
		b.k = min(b.k, b.n)
	case b.newest-at <= keptHours:
		slot := &b.ring[at%keptHours]
		*slot = hourSum{max(0, slot.n-h.n), max(0, slot.k-h.k), max(0, slot.seconds-h.seconds)}
		slot.k = min(slot.k, slot.n)
	default:
		b.older.weigh(h, -fadedBy(b.newest-at))
	}
	x.back = false
	b.moved()
}

// fadedBy is the weight of an hour so many hours old that is no longer kept by itself.
func fadedBy(age int64) float64 { return math.Exp(-float64(age-keptHours-1) / forgetting) }

// weigh adds an hour with a weight; one below zero takes it out.
func (o *olderSum) weigh(h hourSum, w float64) {
	var x olderSum
	x.add(h)
	o.n, o.k, o.seconds = max(0, o.n+w*x.n), max(0, o.k+w*x.k), max(0, o.seconds+w*x.seconds)
	o.hours, o.squares, o.sizes = max(0, o.hours+w*x.hours), max(0, o.squares+w*x.squares), max(0, o.sizes+w*x.sizes)
	o.k = min(o.k, o.n)
}

// Tell takes a person's word that a ratio seen at a time (unix ms) was no fault: for
// seven days, less and less, the indifference zone reaches so far, by twenty points at
// most. Word that comes later than that is forgotten.
func (b *Baseline) Tell(at int64, ratio float64, p Parameters) {
	beyond := min(ratio-b.Mean(p), MostTold)
	if !(beyond > 0) || at/hour <= b.newest-asideFor {
		return
	}
	if b.aside == nil {
		b.aside = &aside{}
	}
	x := b.aside.hour(at / hour)
	x.told = max(x.told, float32(beyond))
	b.moved()
}

// Untell takes back what was told of [from, to] (unix ms).
func (b *Baseline) Untell(from, to int64) {
	list := b.aside.within(from, to)
	for i := range list {
		list[i].told = 0
	}
	b.moved()
}

// aside writes what is kept aside.
func (w *writer) aside(a *aside) {
	w.int(int64(len(a.hours)))
	for _, h := range a.hours {
		w.int(int64(h.at))
		w.floats(float64(h.n), float64(h.k), float64(h.seconds), float64(h.told))
		w.flag(h.back)
	}
}

func (r *reader) aside() *aside {
	a := &aside{}
	for range min(max(r.int(), 0), asideHours) {
		at := r.int()
		h := asideHour{at: int32(min(max(at, 0), math.MaxInt32)), hourSum: hourSum{float32(r.float()), float32(r.float()), float32(r.float())}} //nolint:gosec // bounded
		h.told, h.back = float32(r.float()), r.int() != 0
		h.k = min(h.k, h.n)
		if n := len(a.hours); r.err != nil || n > 0 && a.hours[n-1].at >= h.at {
			continue
		}
		a.hours = append(a.hours, h)
	}
	return a
}
