// Package world is a simulated gateway of many tenants whose truth is known: what
// each of them does every 15 seconds, what breaks, what only looks broken, and how
// its counters reach a monitoring system.
//
// It knows nothing of detectors and detectors know nothing of it: they meet in
// counters and in the score.
package world

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Config of a World. The same configuration gives the same world.
type Config struct {
	Seed   uint64
	Count  int           // of tenants
	Start  time.Time     // zero: so that, by the seed, clocks change in the scored time or just before it
	Learn  time.Duration // before this nothing is scored and nothing breaks
	Score  time.Duration
	Scrape time.Duration // a multiple of Step; default Step
	// Informed is the share of tenants that count the customers whose payments
	// fail; 0 means 0.7, negative none.
	Informed float64
	// Shared is how many faults a day many tenants share; 0 means one in two days. Where
	// there are more they come one after the other.
	Shared float64
	// Least and Most bound the transactions a second of its tenants; 0: usualLeast, usualMost.
	Least, Most float64
	// Busy is how many times as much as usual happens, true and benign, while
	// tenants are scored; 0 means once.
	Busy float64
}

// What a Config stands for where nothing is said.
const (
	usualShared = 0.5
	usualLeast  = 0.005
	usualMost   = 1000
)

// Step is how finely time passes.
const Step = 15 * time.Second

// Acquirers of the world; a tenant has one or two.
var Acquirers = []string{"alpha", "beta", "gamma", "delta"}

// A tenant has some of the methods, and a home among the countries.
var (
	methods   = []string{"card", "wallet", "transfer"}
	countries = []string{"DE", "FR", "ES", "PL"}
	zones     = map[string]string{"DE": "Europe/Berlin", "FR": "Europe/Paris", "ES": "Europe/Madrid", "PL": "Europe/Warsaw"}
	// clocks change then in all of them
	summer = time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
)

// Tenant of the world.
type Tenant struct {
	ID       string
	TPS      float64 // mean over a week
	Country  string  // home: its zone, its holidays
	Zone     *time.Location
	Informed bool      // counts the customers whose payments fail
	Born     time.Time // onboarded then
	Cells    []*Cell

	index   int
	swing   float64 // of the day, 0..0.9
	weekend float64 // factor on Saturday and Sunday
	ramps   bool    // grows over its first week
	batch   int     // minute of the day of its daily batch; -1: none
	volume  walk
	active  []*Fault
}

// Cell is one combination that is counted.
type Cell struct {
	Tenant                    int
	Method, Acquirer, Country string
	Opens                     time.Time // opted in then; zero: from the start

	share            float64
	errors, declines float64 // usual shares
	quality          walk    // of errors
	took             duration
	// What happened in the last step.
	N, Errors, Declined uint64
	Failing             uint64          // customers who failed for the first time in an hour
	Took                [Buckets]uint64 // by duration
}

// Share of its tenant's volume that is the cell's.
func (c *Cell) Share() float64 { return c.share }

// World passes in steps.
type World struct {
	Config
	Tenants []*Tenant
	Cells   []*Cell
	Faults  []*Fault // true ones, by time
	Benign  []*Fault // what looks like a fault and is none
	Now     time.Time

	src      *rand.Rand
	active   []*Fault
	upcoming []*Fault
	shared   []*Fault // of the active ones
	minute   int64
	spread   []float64 // volume of this minute beside the mean, by tenant
	holiday  map[string]map[string]bool
}

// New draws tenants, faults and what is benign.
func New(c Config) (*World, error) {
	if c.Scrape <= 0 {
		c.Scrape = Step
	}
	if c.Informed == 0 {
		c.Informed = 0.7
	}
	if c.Shared <= 0 {
		c.Shared = usualShared
	}
	if c.Busy <= 0 {
		c.Busy = 1
	}
	if c.Least <= 0 {
		c.Least = usualLeast
	}
	if c.Most <= 0 {
		c.Most = usualMost
	}
	if c.Start.IsZero() { // half of the seeds see the clocks change in the scored time, half learn from the days around it
		scored := summer.Add(-2 * 24 * time.Hour)
		if c.Seed%2 == 1 {
			scored = summer.Add(24 * time.Hour)
		}
		c.Start = scored.Truncate(24 * time.Hour).Add(-c.Learn)
	}
	w := &World{Config: c, Now: c.Start, src: rand.New(rand.NewPCG(c.Seed, 0x746f6373696e)), minute: -1, holiday: map[string]map[string]bool{}}
	for i := range c.Count {
		if err := w.addTenant(i); err != nil {
			return nil, err
		}
	}
	w.spread = make([]float64, len(w.Tenants))
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
	t := &Tenant{ID: fmt.Sprintf("t%04d", i), TPS: math.Exp(math.Log(w.Least) + src.Float64()*math.Log(w.Most/w.Least)), index: i,
		Country: countries[src.IntN(len(countries))], Born: w.Start, swing: 0.3 + 0.6*src.Float64(), weekend: 0.5 + 0.7*src.Float64(), batch: -1,
		volume: walk{sd: 0.15, hours: 72}, Informed: src.Float64() < w.Informed}
	zone, err := time.LoadLocation(zones[t.Country])
	if err != nil {
		return err
	}
	t.Zone = zone
	if src.IntN(10) == 0 {
		t.batch = src.IntN(24 * 60)
	}
	if src.IntN(12) == 0 { // born later, most while others are scored
		t.Born = w.Start.Add(w.Learn/2 + time.Duration(src.Float64()*float64(w.Learn/2+w.Score/2))).Truncate(time.Hour)
		t.ramps = true
	}
	w.addCells(t)
	w.Tenants = append(w.Tenants, t)
	w.Cells = append(w.Cells, t.Cells...)
	return nil
}

// addCells gives a tenant every pair of some methods and acquirers at home, and now and
// then a second country.
func (w *World) addCells(t *Tenant) {
	src := w.src
	middle := math.Log(0.15 + 0.5*src.Float64())
	add := func(method, acquirer, country string, share float64) *Cell {
		c := &Cell{Tenant: t.index, Method: method, Acquirer: acquirer, Country: country, share: share,
			errors: 0.003 + 0.02*src.Float64(), declines: 0.03 + 0.08*src.Float64(), quality: walk{sd: 0.2, hours: 48},
			took: duration{middle: middle + 0.15*src.NormFloat64(), sigma: 0.45 + 0.25*src.Float64(), swing: walk{sd: 0.06, hours: 24}}}
		t.Cells = append(t.Cells, c)
		return c
	}
	ms, as := some(src, methods, 3), some(src, Acquirers, 2)
	for mi, m := range ms {
		opens := time.Time{}
		if mi > 0 && mi == len(ms)-1 && src.IntN(5) == 0 { // opts in later to a method that fails more
			opens = w.Start.Add(w.Learn + time.Duration(src.Float64()*float64(w.Score)))
			if opens.Before(t.Born) {
				opens = t.Born.Add(36 * time.Hour)
			}
		}
		for ai, a := range as {
			c := add(m, a, t.Country, 1/float64((mi+1)*(ai+1)))
			if c.Opens = opens; !opens.IsZero() {
				c.errors *= 4
			}
		}
	}
	if other := countries[src.IntN(len(countries))]; src.IntN(3) == 0 && other != t.Country {
		add(ms[0], as[0], other, 0.3)
	}
	total := 0.0
	for _, c := range t.Cells {
		if c.Opens.IsZero() {
			total += c.share
		}
	}
	for _, c := range t.Cells {
		c.share /= total
	}
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
	w.begin(at)
	if m := at.Unix() / 60; m != w.minute { // over-dispersion is drawn by the minute
		w.minute = m
		for i, t := range w.Tenants {
			w.spread[i] = w.season(t, at) * t.volume.step(w.src, time.Minute) * math.Exp(0.08*w.src.NormFloat64())
			for _, c := range t.Cells {
				c.quality.step(w.src, time.Minute)
				c.took.swing.step(w.src, time.Minute)
				c.took.usual = c.took.shares(1)
			}
		}
	}
	for i, t := range w.Tenants {
		w.passTenant(i, t, at)
	}
	return true
}

func (w *World) passTenant(i int, t *Tenant, at time.Time) {
	rate := t.TPS * w.spread[i] * Step.Seconds()
	for _, c := range t.Cells {
		c.N, c.Errors, c.Declined, c.Failing, c.Took = 0, 0, 0, 0, [Buckets]uint64{}
		if at.Before(c.Opens) || at.Before(t.Born) {
			continue
		}
		base := min(0.5, c.errors*math.Exp(c.quality.x))
		now := step{usual: rate * c.share, base: base, errors: base, keep: 1, times: 1}
		for _, f := range t.active {
			w.hit(&now, f, t, c, at)
		}
		for _, f := range w.shared {
			w.hit(&now, f, t, c, at)
		}
		c.N = poisson(w.src, now.usual*now.keep)
		c.Errors = binomial(w.src, c.N, min(now.errors, 1))
		c.Declined = binomial(w.src, c.N-c.Errors, c.declines)
		c.Failing = binomial(w.src, c.Errors, newcomers)
		if now.retries > 0 { // all fail, and it is one customer
			n := poisson(w.src, now.retries)
			c.N, c.Errors = c.N+n, c.Errors+n
			if n > 0 && !at.Before(now.retrier.told.Add(time.Hour)) {
				now.retrier.told = at
				c.Failing++
			}
		}
		if c.N > 0 {
			shares := c.took.usual
			if now.times != 1 {
				shares = c.took.shares(now.times)
			}
			w.slow(c, shares)
		}
	}
}

// newcomers is the share of failures whose customer had none in the last hour: others
// try again once or twice.
const newcomers = 0.8

// season is the factor of the hour, the weekday, the holiday, the ramp and the
// batch, in the tenant's own zone.
func (w *World) season(t *Tenant, at time.Time) float64 {
	local := at.In(t.Zone)
	minute := local.Hour()*60 + local.Minute()
	f := 1 - t.swing*math.Cos(2*math.Pi*float64(minute-240)/1440)
	if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
		f *= t.weekend
	}
	if w.Holiday(t, at) {
		f *= 0.45
	}
	if t.ramps {
		f *= min(1, max(0.05, at.Sub(t.Born).Hours()/(7*24)))
	}
	if w.Batch(t, at) {
		f *= 3
	}
	return f
}

// Holiday says whether the banks of the tenant's country are closed.
func (w *World) Holiday(t *Tenant, at time.Time) bool {
	return w.holiday[t.Country][at.In(t.Zone).Format(time.DateOnly)]
}

// Batch says whether the tenant's daily batch is running.
func (w *World) Batch(t *Tenant, at time.Time) bool {
	local := at.In(t.Zone)
	minute := local.Hour()*60 + local.Minute()
	return t.batch >= 0 && minute >= t.batch && minute < t.batch+10
}

// Ramps says whether the tenant is in the week in which it grows.
func (t *Tenant) Ramps(at time.Time) bool { return t.ramps && at.Before(t.Born.Add(7*24*time.Hour)) }

// ClocksChange says whether clocks changed in the day before.
func ClocksChange(at time.Time) bool {
	return !at.Before(summer) && at.Before(summer.Add(24*time.Hour))
}
