package quality

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Fault is something that happens to cells: a real one, or one that only looks
// like it.
type Fault struct {
	Name     string // acquirer_down, five_points, leak, country_down, traffic_lost; benign: retries, blip
	Truth    bool
	From, To time.Time
	Tenant   string // empty: all
	Acquirer string // empty: all
	Country  string // empty: all
	Errors   float64
	Lost     float64       // share of the volume that does not come
	Retries  float64       // of one customer, a minute
	Grows    time.Duration // from nothing to its full size
	// What it did.
	Evidence  map[string]float64 // nats a perfect observer had, by tenant
	LostBy    map[string]float64 // transactions lost, by tenant
	Transacts float64            // lost in all
	minutes   []float64          // lost, by minute since From
}

// Critical says whether it takes most of what it touches.
func (f *Fault) Critical() bool { return f.Errors >= 0.6 || f.Lost >= 0.9 }

// Detectable says whether some tenant's data, or that of all together, shows it.
func (f *Fault) Detectable() bool {
	sum := 0.0
	for _, v := range f.Evidence {
		sum += v
	}
	if f.Shared() {
		return sum >= detectable
	}
	for _, v := range f.Evidence {
		if v >= detectable {
			return true
		}
	}
	return false
}

// Shared says that it touches more than one tenant.
func (f *Fault) Shared() bool { return f.Tenant == "" }

// detectable is the evidence, in nats, from which a fault could be seen.
const detectable = 14

func (f *Fault) hits(t *Tenant, c *Cell) bool {
	return (f.Tenant == "" || f.Tenant == t.ID) && (f.Acquirer == "" || f.Acquirer == c.Acquirer) && (f.Country == "" || f.Country == c.Country)
}

func (f *Fault) grown(at time.Time) float64 {
	if f.Grows <= 0 {
		return 1
	}
	return min(1, float64(at.Sub(f.From))/float64(f.Grows))
}

// harm adds what one step of a fault cost a cell, and how much of it could be seen.
func (w *World) harm(f *Fault, i int, c *Cell, usual, errors, grown float64) {
	id := w.Customers[i].ID
	lost := usual * f.Lost * grown
	nats := 0.0
	if f.Errors > 0 {
		p0 := min(0.5, c.errors)
		p1 := min(errors, 0.999)
		nats += usual * (p1*math.Log(p1/p0) + (1-p1)*math.Log((1-p1)/(1-p0)))
		lost += usual * f.Errors * grown
	}
	if f.Lost > 0 {
		keep := max(1-f.Lost*grown, 0.02)
		nats += usual * (1 - keep + keep*math.Log(keep))
	}
	f.Evidence[id] += nats
	f.LostBy[id] += lost
	f.Transacts += lost
	m := int(w.Now.Sub(f.From) / time.Minute)
	for len(f.minutes) <= m {
		f.minutes = append(f.minutes, 0)
	}
	f.minutes[m] += lost
}

// plan draws what will happen in the scored time.
func (w *World) plan() {
	days := w.Score.Hours() / 24
	when := func(length time.Duration) (from, to time.Time) {
		from = w.Scored().Add(time.Duration(w.src.Float64() * float64(w.Score-length-time.Hour))).Truncate(time.Second)
		return from, from.Add(length)
	}
	minutes := func(low, high float64) time.Duration {
		return time.Duration((low + (high-low)*w.src.Float64()) * float64(time.Minute))
	}
	add := func(f Fault, length time.Duration) {
		f.From, f.To = when(length)
		f.Evidence, f.LostBy = map[string]float64{}, map[string]float64{}
		if f.Truth {
			w.Faults = append(w.Faults, &f)
		} else {
			w.Benign = append(w.Benign, &f)
		}
		w.upcoming = append(w.upcoming, &f)
	}
	for range int(math.Ceil(days / 4)) { // shared by all tenants of an acquirer or country
		a := acquirers[w.src.IntN(len(acquirers))]
		switch w.src.IntN(3) {
		case 0:
			add(Fault{Name: "acquirer_down", Truth: true, Acquirer: a, Errors: 0.9}, minutes(10, 60))
		case 1:
			add(Fault{Name: "five_points", Truth: true, Acquirer: a, Errors: 0.05}, minutes(30, 240))
		default:
			add(Fault{Name: "country_down", Truth: true, Country: countries[w.src.IntN(len(countries))], Errors: 0.8}, minutes(10, 60))
		}
	}
	for _, t := range w.Customers {
		c := t.cells[w.src.IntN(len(t.cells))]
		for range events(w, days/7) { // a fault of its own a week
			switch w.src.IntN(4) {
			case 0:
				add(Fault{Name: "acquirer_down", Truth: true, Tenant: t.ID, Acquirer: c.Acquirer, Errors: 0.95}, minutes(10, 90))
			case 1:
				add(Fault{Name: "five_points", Truth: true, Tenant: t.ID, Errors: 0.05}, minutes(60, 360))
			case 2:
				add(Fault{Name: "leak", Truth: true, Tenant: t.ID, Errors: 0.15, Grows: 3 * time.Hour}, minutes(240, 480))
			default:
				add(Fault{Name: "traffic_lost", Truth: true, Tenant: t.ID, Lost: 0.95}, minutes(15, 120))
			}
		}
		for range events(w, days/10) { // one customer tries again and again
			add(Fault{Name: "retries", Tenant: t.ID, Acquirer: c.Acquirer, Retries: 2 + 18*w.src.Float64()}, minutes(3, 40))
		}
		for range events(w, days/5) { // a deployment
			add(Fault{Name: "blip", Tenant: t.ID, Errors: 0.3}, minutes(0.3, 0.7))
		}
	}
	slices.SortStableFunc(w.upcoming, func(a, b *Fault) int { return a.From.Compare(b.From) })
	byTime := func(a, b *Fault) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Tenant, b.Tenant)) }
	slices.SortStableFunc(w.Faults, byTime)
	slices.SortStableFunc(w.Benign, byTime)
}

// events draws how many of a thing happen that is expected mean times.
func events(w *World, mean float64) int { return int(poisson(w.src, mean)) }
