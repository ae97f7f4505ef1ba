// Package quality measures detection: a simulated world whose truth is known,
// tocsin and what users would run instead on the same streams, and a score.
//
// The world knows nothing of detectors and detectors know nothing of the world:
// they meet in counters and in the score.
package quality

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Config of a World. The same configuration gives the same world.
type Config struct {
	Seed    uint64
	Tenants int
	Start   time.Time
	Learn   time.Duration // before this nothing is scored and nothing breaks
	Score   time.Duration
}

// Step is how finely time passes: one scrape.
const Step = 15 * time.Second

// acquirers, methods and countries of the world; a tenant has some of each.
var (
	acquirers = []string{"alpha", "beta", "gamma", "delta"}
	methods   = []string{"card", "wallet", "transfer"}
	countries = []string{"DE", "FR", "ES", "PL"}
	zones     = map[string]string{"DE": "Europe/Berlin", "FR": "Europe/Paris", "ES": "Europe/Madrid", "PL": "Europe/Warsaw"}
)

// Tenant of the world.
type Tenant struct {
	ID      string
	TPS     float64 // mean over a week
	Country string  // home: its zone, its holidays
	zone    *time.Location
	swing   float64 // of the day, 0..0.9
	weekend float64 // factor on Saturday and Sunday
	ramp    time.Time
	batch   int // minute of the day of its daily batch; -1: none
	volume  walk
	cells   []*Cell
	first   int // of its cells in World.Cells
}

// Cell is one combination that is counted.
type Cell struct {
	Tenant                    int
	Method, Acquirer, Country string
	share                     float64
	opens                     time.Time // opted in then; zero: from the start
	errors, declines          float64   // usual shares
	quality                   walk      // of errors
	// What happened in the last step.
	N, Errors, Declined uint64
}

// World passes in steps of 15 s.
type World struct {
	Config
	Customers []*Tenant
	Cells     []*Cell
	Faults    []*Fault
	Benign    []*Fault // what looks like a fault and is none
	Now       time.Time
	src       *rand.Rand
	active    []*Fault
	upcoming  []*Fault
	minute    int64
	spread    []float64 // of this minute, by tenant
	holiday   map[string]map[string]bool
}

// walk is a slow swing around 0: an Ornstein-Uhlenbeck process.
type walk struct{ x, sd, hours float64 }

func (w *walk) step(src *rand.Rand, dt time.Duration) float64 {
	a := math.Exp(-dt.Hours() / w.hours)
	w.x = a*w.x + w.sd*math.Sqrt(1-a*a)*src.NormFloat64()
	return math.Exp(w.x - w.sd*w.sd/2)
}

// NewWorld draws tenants, faults and what is benign.
func NewWorld(c Config) (*World, error) {
	w := &World{Config: c, Now: c.Start, src: rand.New(rand.NewPCG(c.Seed, 0x746f6373696e)), minute: -1, holiday: map[string]map[string]bool{}}
	for i := range c.Tenants {
		if err := w.addTenant(i); err != nil {
			return nil, err
		}
	}
	w.spread = make([]float64, len(w.Customers))
	for _, country := range countries { // one bank holiday in three weeks, common to a country
		days := map[string]bool{}
		for day := 0; day < int((c.Learn+c.Score).Hours()/24); day += 21 {
			days[c.Start.AddDate(0, 0, day+w.src.IntN(21)).Format(time.DateOnly)] = true
		}
		w.holiday[country] = days
	}
	w.plan()
	return w, nil
}

func (w *World) addTenant(i int) error {
	src := w.src
	t := &Tenant{ID: fmt.Sprintf("t%04d", i), TPS: math.Exp(math.Log(0.005) + src.Float64()*math.Log(1000/0.005)),
		Country: countries[src.IntN(len(countries))], swing: 0.3 + 0.6*src.Float64(), weekend: 0.5 + 0.7*src.Float64(), batch: -1,
		volume: walk{sd: 0.15, hours: 72}}
	zone, err := time.LoadLocation(zones[t.Country])
	if err != nil {
		return err
	}
	t.zone = zone
	if src.IntN(10) == 0 {
		t.batch = src.IntN(24 * 60)
	}
	if src.IntN(20) == 0 {
		t.ramp = w.Start.Add(w.Learn / 2)
	}
	t.first = len(w.Cells)
	ms, as := some(src, methods, 3), some(src, acquirers, 2)
	for mi, m := range ms {
		for ai, a := range as {
			c := &Cell{Tenant: i, Method: m, Acquirer: a, Country: t.Country, share: 1 / float64((mi+1)*(ai+1)),
				errors: 0.003 + 0.02*src.Float64(), declines: 0.03 + 0.08*src.Float64(), quality: walk{sd: 0.2, hours: 48}}
			if mi > 0 && mi == len(ms)-1 && src.IntN(5) == 0 { // opts in later to a method that fails more
				c.opens = w.Start.Add(w.Learn + time.Duration(src.Float64()*float64(w.Score)))
				c.errors *= 4
			}
			t.cells = append(t.cells, c)
		}
	}
	total := 0.0
	for _, c := range t.cells {
		if c.opens.IsZero() {
			total += c.share
		}
	}
	for _, c := range t.cells {
		c.share /= total
	}
	w.Customers = append(w.Customers, t)
	w.Cells = append(w.Cells, t.cells...)
	return nil
}

// some picks one to most of the names, in a random order.
func some(src *rand.Rand, names []string, most int) []string {
	n := 1 + src.IntN(min(most, len(names)))
	out := make([]string, 0, n)
	for _, i := range src.Perm(len(names))[:n] {
		out = append(out, names[i])
	}
	return out
}

// End is when the world ends.
func (w *World) End() time.Time { return w.Start.Add(w.Learn + w.Score) }

// Scored is when scoring begins.
func (w *World) Scored() time.Time { return w.Start.Add(w.Learn) }

// Pass lets one step pass; false at the end of the world.
func (w *World) Pass() bool {
	if !w.Now.Before(w.End()) {
		return false
	}
	at := w.Now
	w.Now = w.Now.Add(Step)
	for len(w.upcoming) > 0 && !w.upcoming[0].From.After(at) {
		w.active = append(w.active, w.upcoming[0])
		w.upcoming = w.upcoming[1:]
	}
	kept := w.active[:0]
	for _, f := range w.active {
		if f.To.After(at) {
			kept = append(kept, f)
		}
	}
	w.active = kept
	if m := at.Unix() / 60; m != w.minute { // over-dispersion is drawn by the minute
		w.minute = m
		for i, t := range w.Customers {
			w.spread[i] = t.volume.step(w.src, time.Minute) * math.Exp(0.08*w.src.NormFloat64())
			for _, c := range t.cells {
				c.quality.step(w.src, time.Minute)
			}
		}
	}
	for i, t := range w.Customers {
		w.passTenant(i, t, at)
	}
	return true
}

func (w *World) passTenant(i int, t *Tenant, at time.Time) {
	rate := t.TPS * w.season(t, at) * w.spread[i] * Step.Seconds()
	for _, c := range t.cells {
		c.N, c.Errors, c.Declined = 0, 0, 0
		if at.Before(c.opens) {
			continue
		}
		mean, errors := rate*c.share, min(0.5, c.errors*math.Exp(c.quality.x))
		injected := 0.0
		for _, f := range w.active {
			if !f.hits(t, c) {
				continue
			}
			g := f.grown(at)
			mean *= 1 - f.Lost*g
			errors += f.Errors * g * (1 - errors)
			injected += f.Retries / 60 * Step.Seconds() * c.share
			if f.Truth {
				w.harm(f, i, c, rate*c.share, errors, g)
			}
		}
		c.N = poisson(w.src, mean)
		c.Errors = binomial(w.src, c.N, min(errors, 1))
		c.Declined = binomial(w.src, c.N-c.Errors, c.declines)
		if injected > 0 { // one customer's retries: all fail
			n := poisson(w.src, injected)
			c.N, c.Errors = c.N+n, c.Errors+n
		}
	}
}

// season is the factor of the hour, the weekday, the holiday, the ramp and the
// batch, in the tenant's own zone.
func (w *World) season(t *Tenant, at time.Time) float64 {
	local := at.In(t.zone)
	minute := local.Hour()*60 + local.Minute()
	f := 1 - t.swing*math.Cos(2*math.Pi*float64(minute-240)/1440)
	if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
		f *= t.weekend
	}
	if w.holiday[t.Country][local.Format(time.DateOnly)] {
		f *= 0.45
	}
	if !t.ramp.IsZero() {
		f *= min(1, max(0.05, at.Sub(t.ramp).Hours()/(7*24)))
	}
	if t.batch >= 0 && minute >= t.batch && minute < t.batch+10 {
		f *= 3
	}
	return f
}

func poisson(src *rand.Rand, mean float64) uint64 {
	switch {
	case mean <= 0:
		return 0
	case mean > 60:
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*src.NormFloat64())))
	}
	limit, p := math.Exp(-mean), 1.0
	for k := uint64(0); ; k++ {
		if p *= src.Float64(); p <= limit {
			return k
		}
	}
}

func binomial(src *rand.Rand, n uint64, p float64) uint64 {
	mean := float64(n) * p
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n <= 30:
		k := uint64(0)
		for range n {
			if src.Float64() < p {
				k++
			}
		}
		return k
	case mean < 20:
		return min(n, poisson(src, mean))
	case float64(n)-mean < 20:
		return n - min(n, poisson(src, float64(n)-mean))
	}
	return uint64(min(float64(n), max(0, math.Round(mean+math.Sqrt(mean*(1-p))*src.NormFloat64()))))
}
