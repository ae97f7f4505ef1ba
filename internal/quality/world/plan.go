package world

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// plan draws what will happen in the scored time: every kind of fault about as often
// as every other one, for one tenant or for all that an acquirer or a country carries.
func (w *World) plan() {
	days := w.Score.Hours() / 24
	shared := int(math.Ceil(days * w.Shared))
	for i := range shared {
		w.addFault(Kinds[(i+int(w.Seed%6))%len(Kinds)], nil)
	}
	if w.Shared > usualShared {
		w.inTurn()
	}
	own := w.src.IntN(len(Kinds))
	for _, t := range w.Tenants {
		left := w.End().Sub(w.earliest(t)).Hours() / 24
		for range poisson(w.src, w.Busy*left/7) { // a fault of its own a week
			w.addFault(Kinds[own%len(Kinds)], t)
			own++
		}
		for range poisson(w.src, w.Busy*days/10) { // one customer tries again and again
			w.add(&Fault{Name: "retries", Tenant: t.ID, cell: t.Cells[w.src.IntN(len(t.Cells))], Retries: 2 + 18*w.src.Float64()}, w.Scored(), w.minutes(3, 40))
		}
		for range poisson(w.src, w.Busy*days/5) { // a deployment
			w.add(&Fault{Name: "blip", Tenant: t.ID, Errors: 0.3, Slower: 1.5}, w.Scored(), w.minutes(0.3, 0.7))
		}
		for _, c := range t.Cells {
			if !c.Opens.IsZero() {
				w.Benign = append(w.Benign, &Fault{Name: "opt_in", Tenant: t.ID, From: c.Opens, To: c.Opens.AddDate(0, 0, 2)})
			}
		}
	}
	slices.SortStableFunc(w.upcoming, func(a, b *Fault) int { return a.From.Compare(b.From) })
	slices.SortStableFunc(w.Faults, func(a, b *Fault) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Tenant, b.Tenant)) })
}

// earliest is from when on a tenant has faults of its own: in its first day it has
// nothing that it could be compared with.
func (w *World) earliest(t *Tenant) time.Time {
	if grown := t.Born.Add(24 * time.Hour); grown.After(w.Scored()) {
		return grown
	}
	return w.Scored()
}

func (w *World) minutes(low, high float64) time.Duration {
	return time.Duration((low + (high-low)*w.src.Float64()) * float64(time.Minute))
}

// addFault draws a true one; t is nil for one that is shared.
func (w *World) addFault(kind string, t *Tenant) {
	f := &Fault{Name: kind, Truth: true, Evidence: map[string]float64{}, LostBy: map[string]float64{}}
	from := w.Scored()
	if t != nil {
		f.Tenant, from = t.ID, w.earliest(t)
		c := t.Cells[w.src.IntN(len(t.Cells))]
		f.Acquirer, f.Country = c.Acquirer, c.Country
	} else {
		f.Acquirer, f.Country = Acquirers[w.src.IntN(len(Acquirers))], countries[w.src.IntN(len(countries))]
	}
	length := w.minutes(10, 90)
	switch kind {
	case "acquirer_down":
		f.Country, f.Errors = "", 0.9
	case "five_points":
		f.Country, f.Errors, length = "", 0.05, w.minutes(60, 360)
	case "latency":
		f.Country, f.Slower, length = "", 3, w.minutes(20, 180)
	case "traffic_lost":
		f.Acquirer, f.Lost, length = "", 0.95, w.minutes(15, 120)
	case "leak":
		f.Country, f.Errors, f.Grows, length = "", 0.15, 3*time.Hour, w.minutes(240, 480)
	case "country_down":
		f.Acquirer, f.Errors = "", 0.8
	}
	if whole := w.src.IntN(2) == 0; t != nil && whole && f.Acquirer != "" && kind != "acquirer_down" {
		f.Acquirer = "" // the tenant's own systems
	}
	w.add(f, from, length)
}

// add gives it a time between from and the end of the world.
func (w *World) add(f *Fault, from time.Time, length time.Duration) {
	room := w.End().Sub(from) - length - time.Hour
	if room <= 0 {
		return
	}
	for try := 0; try == 0 || f.Truth && w.crowded(f); try++ {
		if try == mostTries {
			return
		}
		f.From = from.Add(time.Duration(w.src.Float64() * float64(room))).Truncate(time.Second)
		f.To = f.From.Add(length)
	}
	if f.Truth {
		w.Faults = append(w.Faults, f)
	} else {
		w.Benign = append(w.Benign, f)
	}
	w.upcoming = append(w.upcoming, f)
}

// inTurn spreads the faults that were drawn so far evenly, so that each is by itself.
func (w *World) inTurn() {
	slot := w.Score / time.Duration(len(w.Faults)+1)
	for i, f := range w.Faults {
		length := min(f.To.Sub(f.From), slot-time.Hour)
		room := float64(slot - time.Hour - length)
		f.From = w.Scored().Add(time.Duration(i)*slot + time.Duration(w.src.Float64()*room)).Truncate(time.Second)
		f.To = f.From.Add(length)
	}
}

const (
	mostTries = 50
	between   = time.Hour // of two faults of one tenant: what the first one raised is over by then
)

// crowded says whether another true fault touches a tenant of this one too near in time. All
// of a tenant's rules are one in the score, so that of two at once nobody could tell.
func (w *World) crowded(f *Fault) bool {
	return slices.ContainsFunc(w.Faults, func(o *Fault) bool {
		return f.From.Before(o.To.Add(between)) && o.From.Before(f.To.Add(between)) && w.meet(f, o)
	})
}

// meet says whether some tenant is touched by both.
func (w *World) meet(a, b *Fault) bool {
	touches := func(f *Fault, t *Tenant) bool {
		return slices.ContainsFunc(t.Cells, func(c *Cell) bool { return f.hits(t, c) })
	}
	return slices.ContainsFunc(w.Tenants, func(t *Tenant) bool { return touches(a, t) && touches(b, t) })
}
