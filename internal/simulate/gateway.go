package simulate

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Gateway is the simulated gateway. Safe for concurrent use.
type Gateway struct {
	opts Options

	mu      sync.Mutex
	now     time.Time // end of the last tick drawn
	minute  int64     // of the swings below, unix minutes
	src     *rand.PCG // of the healthy world; faults have their own
	tenants []*tenantState
	cells   []*cell
	swings  map[string]float64 // acquirer/method -> error ratio of this minute
	keys    []string           // of swings, in the order they are drawn
	faults  []*faultState
	resets  []Reset // still to come
}

type tenantState struct {
	Tenant
	zone  *time.Location
	swing float64 // volume factor of this minute
}

type cell struct {
	Cell
	tenant *tenantState
	rate   float64 // mean events a second
	base   Rates
	swing  string // key into Gateway.swings
	series [results]counter
	timing *timing // nil: not measured
}

type counter struct {
	labels labels.Labels
	n      uint64    // since start
	total  uint64    // since ever
	start  time.Time // zero: not born
}

type faultState struct {
	Truth
	src *rand.PCG
}

// New makes a gateway whose counters are zero at o.Start.
func New(o Options) (*Gateway, error) {
	if o.Start.IsZero() || len(o.Tenants) == 0 {
		return nil, problem.New(problem.Invalid, "a simulated gateway needs a start and tenants")
	}
	if o.Environment == "" {
		o.Environment = "production"
	}
	if o.Service == "" {
		o.Service = "payments"
	}
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	if o.Base == (Rates{}) {
		o.Base = Rates{Error: 0.01, Declined: 0.06, Abandoned: 0.02}
	}
	g := &Gateway{opts: o, now: o.Start.UTC().Truncate(o.Tick), src: rand.NewPCG(o.Seed, 0), swings: map[string]float64{}, minute: -1}
	g.resets = append(g.resets, o.Resets...)
	seen := map[string]bool{}
	for _, t := range o.Tenants {
		if seen[t.ID] {
			return nil, problem.New(problem.Invalid, "two simulated tenants have the same id")
		}
		seen[t.ID] = true
		if err := g.addTenant(t); err != nil {
			return nil, err
		}
	}
	for _, f := range o.Faults {
		if _, err := g.Break(f); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Gateway) addTenant(t Tenant) error {
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "zone of simulated tenant %s is not known", t.ID)
	}
	ts := &tenantState{Tenant: t, zone: zone, swing: 1}
	g.tenants = append(g.tenants, ts)
	for _, a := range normalised(t.Acquirers) {
		for _, m := range normalised(t.Methods) {
			for _, c := range normalised(t.Countries) {
				g.addCell(ts, Cell{Tenant: t.ID, Method: m.Name, Country: c.Name, Acquirer: a.Name}, t.TPS*a.Weight*m.Weight*c.Weight)
			}
		}
	}
	return nil
}

func (g *Gateway) addCell(t *tenantState, id Cell, rate float64) {
	c := &cell{Cell: id, tenant: t, rate: rate, base: g.opts.Base, swing: id.Acquirer + "/" + id.Method}
	for _, key := range []string{id.Acquirer + "/" + id.Method, id.Acquirer, "/" + id.Method} {
		if r, ok := g.opts.Rates[key]; ok {
			c.base = r
			break
		}
	}
	if _, ok := g.swings[c.swing]; !ok {
		g.swings[c.swing] = c.base.Error
		g.keys = append(g.keys, c.swing)
	}
	for i := range c.series {
		c.series[i].labels = labels.FromStrings(labels.MetricName, Metric,
			"environment", g.opts.Environment, "tenant", id.Tenant, "service", g.opts.Service,
			"method", id.Method, "country", id.Country, "acquirer", id.Acquirer, "result", resultNames[i])
		if !g.opts.Births {
			c.series[i].start = later(g.now, t.From)
		}
	}
	if g.opts.Duration > 0 {
		c.timing = g.newTiming(id, ^uint64(len(g.cells))) // far from the faults' sources
		if !g.opts.Births {
			c.timing.start = later(g.now, t.From)
		}
	}
	g.cells = append(g.cells, c)
}

// Advance draws the events of every whole tick that ends at or before to.
func (g *Gateway) Advance(to time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(to)
}

// Now is the end of the last tick drawn: what is before it cannot be changed.
func (g *Gateway) Now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// Break adds a fault and gives its number for Mend and Truth. A fault that
// began before Now is refused: those events have happened.
func (g *Gateway) Break(f Fault) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch f.Kind {
	case AcquirerDown, TrafficLost, Declining:
		if f.Size == 0 {
			f.Size = 1
		}
	case Slow:
		if f.Size == 0 {
			f.Size = 3
		}
		if f.Size <= 1 {
			return 0, problem.New(problem.Invalid, "what is slow takes more than once as long")
		}
	case ErrorPoints:
	default:
		return 0, problem.New(problem.Invalid, "fault kind is not known").WithHint("one of %s, %s, %s, %s, %s", AcquirerDown, ErrorPoints, TrafficLost, Declining, Slow)
	}
	if f.Size <= 0 || f.Size > 1 && f.Kind != Slow {
		return 0, problem.New(problem.Invalid, "fault size is not in (0, 1]")
	}
	if f.From.Before(g.now) {
		return 0, problem.New(problem.Invalid, "the fault begins at %s, but events are drawn until %s", f.From.Format(time.RFC3339), g.now.Format(time.RFC3339))
	}
	n := len(g.faults)
	g.faults = append(g.faults, &faultState{Truth: Truth{Fault: f}, src: rand.NewPCG(g.opts.Seed, uint64(n)+1)})
	return n, nil
}

// Mend ends fault number n at the instant, which must not be before Now.
func (g *Gateway) Mend(n int, at time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n < 0 || n >= len(g.faults) {
		return problem.New(problem.NotFound, "no such fault")
	}
	if at.Before(g.now) {
		return problem.New(problem.Invalid, "the fault cannot end at %s, events are drawn until %s", at.Format(time.RFC3339), g.now.Format(time.RFC3339))
	}
	g.faults[n].To = at
	return nil
}

// Truth lists the faults with what they did so far, in the order they were added.
func (g *Gateway) Truth() []Truth {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Truth, len(g.faults))
	for i, f := range g.faults {
		out[i] = f.Truth
	}
	return out
}

// Total is how many events with the result were drawn for the tenant (empty:
// all) since the start, resets notwithstanding. An empty result means all.
func (g *Gateway) Total(tenant, result string) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var sum uint64
	for _, c := range g.cells {
		if tenant != "" && c.Tenant != tenant {
			continue
		}
		for i := range c.series {
			if result == "" || resultNames[i] == result {
				sum += c.series[i].total
			}
		}
	}
	return sum
}

// Snapshot advances to t and gives every series that can be read then, always
// in the same order. A t before Now gives the counters as of Now.
func (g *Gateway) Snapshot(t time.Time) []Series {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(t)
	out := make([]Series, 0, len(g.cells)*results)
	for _, c := range g.cells {
		if t.Before(c.tenant.From) || g.gapped(c.Tenant, t) {
			continue
		}
		for i := range c.series {
			if s := &c.series[i]; !s.start.IsZero() {
				out = append(out, Series{Labels: s.labels, Value: float64(s.n), Start: s.start})
			}
		}
		out = c.timing.series(out)
	}
	return out
}

func (g *Gateway) gapped(tenant string, t time.Time) bool {
	for _, gap := range g.opts.Gaps {
		if (gap.Tenant == "" || gap.Tenant == tenant) && !t.Before(gap.From) && t.Before(gap.To) {
			return true
		}
	}
	return false
}

func (g *Gateway) advance(to time.Time) {
	for end := g.now.Add(g.opts.Tick); !end.After(to); end = end.Add(g.opts.Tick) {
		g.reset()
		g.swing()
		for _, c := range g.cells {
			g.draw(c)
		}
		g.now = end
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// String names the fault for people.
func (f Fault) String() string {
	s := string(f.Kind)
	for _, d := range [][2]string{{"acquirer", f.Acquirer}, {"country", f.Country}, {"tenant", f.Tenant}} {
		if d[1] != "" {
			s += fmt.Sprintf(" %s=%s", d[0], d[1])
		}
	}
	return s
}
