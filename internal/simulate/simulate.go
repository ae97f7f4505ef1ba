// Package simulate is a payments gateway that is not there, with its truth: it
// draws the events of many tenants from a seed, counts them as a real gateway
// would, breaks on demand, and knows exactly which failures it injected.
//
// It serves the demo, the tests and the measurements. It knows what a gateway
// knows: tenants, methods, countries, acquirers, results, and how counters reach
// a monitoring system (an exporter that is scraped, remote write). It must not
// know how tocsin detects, and nothing of tocsin's daemon may import it.
//
// How it grows: what changes volumes is a Factor, what makes events fail is a
// Kind of Fault, what happens to counters on their way out (gaps, resets,
// births) is applied by Snapshot. Everything is drawn in ticks of fixed length
// from the seed, so that the result does not depend on how often or when it is
// asked for.
package simulate

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Metric is the counter the gateway keeps.
const Metric = "payment_transactions_total"

// The results an event can have, in the order they are counted in.
const (
	Success   = "success"
	Declined  = "declined"
	Failed    = "error"
	Abandoned = "abandoned"
)

const (
	success = iota
	declined
	failed
	abandoned
	results
)

var resultNames = [results]string{Success, Declined, Failed, Abandoned}

// Share is one value of a dimension and its weight in the tenant's mix; weights
// need not add up to one.
type Share struct {
	Name   string
	Weight float64
}

// Tenant is one customer of the gateway.
type Tenant struct {
	ID        string
	Name      string
	TPS       float64 // mean transactions a second
	Countries []Share
	Methods   []Share
	Acquirers []Share
	Zone      string    // IANA name of the zone its day follows; UTC when empty
	Season    float64   // 0..1: how far the day swings around the mean; 0 is flat
	From      time.Time // its first event is not before; zero: from the gateway's start
}

// Rates are the shares of events, 0..1, that do not succeed. What is left succeeds.
type Rates struct {
	Error, Declined, Abandoned float64
}

// Cell is one combination of tenant and dimensions.
type Cell struct {
	Tenant, Method, Country, Acquirer string
}

// Factor multiplies a cell's volume at an instant: a promotion, a holiday, a
// ramp. It must be a pure function.
type Factor func(c Cell, at time.Time) float64

// Kind says what a fault does.
type Kind string

const (
	// AcquirerDown makes the share Size (0: all) of what would not have failed fail.
	AcquirerDown Kind = "acquirer_down"
	// ErrorPoints adds Size to the error ratio: 0.05 is five points more.
	ErrorPoints Kind = "error_points"
	// TrafficLost keeps the share Size (0: all) of the events from happening.
	TrafficLost Kind = "traffic_lost"
	// Declining has the share Size (0: all) of what would have succeeded declined.
	Declining Kind = "declining"
	// Slow makes events take Size (0: three) times as long.
	Slow Kind = "slow"
)

// Fault is an injected failure: the truth a detector is judged by. Empty
// dimensions mean all. Zero To means until mended.
type Fault struct {
	Kind     Kind
	Acquirer string
	Country  string
	Tenant   string
	From, To time.Time
	Size     float64
}

func (f Fault) hits(c Cell) bool {
	return (f.Acquirer == "" || f.Acquirer == c.Acquirer) &&
		(f.Country == "" || f.Country == c.Country) && (f.Tenant == "" || f.Tenant == c.Tenant)
}

func (f Fault) on(at time.Time) bool {
	return !at.Before(f.From) && (f.To.IsZero() || at.Before(f.To))
}

// Truth is a fault with what it did so far.
type Truth struct {
	Fault
	Events   uint64 // events of the cells it hits while it was on
	Injected uint64 // of those, failures (lost, declined or slow events) that would not have been without it
}

// Gap is a time in which a tenant's series (empty: all) cannot be scraped. The
// events go on.
type Gap struct {
	Tenant   string
	From, To time.Time
}

// Reset is a restart of the process that counts for a tenant (empty: all).
type Reset struct {
	Tenant string
	At     time.Time
}

// Draw is one result drawn for a cell in one tick; for tests and measurements.
type Draw struct {
	Cell   Cell
	Result string
	N      uint64
	At     time.Time // start of the tick
}

// Options describe a gateway. Start and Tenants are needed.
type Options struct {
	Seed        uint64
	Environment string        // default "production"
	Service     string        // default "payments"
	Start       time.Time     // counters are zero here
	Tick        time.Duration // events are drawn in ticks of this length; default 1 s
	Tenants     []Tenant
	Base        Rates            // zero: 1% errors, 6% declined, 2% abandoned
	Rates       map[string]Rates // instead of Base; key "acquirer/method", "acquirer" or "/method", the first one found
	Factors     []Factor
	// VolumeSpread is the relative standard deviation of a tenant's volume from
	// minute to minute beyond Poisson's; 0: none.
	VolumeSpread float64
	// ErrorCorrelation is rho of the beta-binomial: how alike the events of one
	// acquirer are within a minute; 0: independent.
	ErrorCorrelation float64
	// Duration is how long an event usually takes; 0: nobody measures that.
	Duration time.Duration
	Faults   []Fault
	Gaps     []Gap
	Resets   []Reset
	// Births lets a series appear with its first event, as client libraries do;
	// otherwise every series is there at zero from the start.
	Births bool
	// OnDraw is told every draw above zero, after faults. It must not call the gateway.
	OnDraw func(Draw)
}

// Series is one counter as of an instant.
type Series struct {
	Labels labels.Labels // with the metric's name; not to be changed
	Value  float64
	Start  time.Time // when it was zero
}
