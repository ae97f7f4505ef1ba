package pool

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Volume is judged over all tenants too: each tells once a minute what came in a slice
// and what was expected of it. What is lost in a country or at an acquirer rings here
// once. And what comes less, or more, in a country without being lost (a bank holiday)
// is its factor, which goes back to the tenants: see exchange.Factor.

const (
	factorEvery   = 300_000 // ms between two looks at a country's factor
	factorFades   = 900_000 // ms after which what came counts 1/e in it
	factorAfter   = 120_000 // ms that a factor takes to reach the tenants
	factorRenewed = exchange.FactorLasts / 2
	factorUnits   = 8     // a factor is the median of at least so many: tenants, or groups of thin ones
	unitExpected  = 20.0  // events that make a unit
	unitMost      = 2.0   // times the weight of the middle one is what a unit weighs at most
	factorWorth   = 100.0 // events that an unchanged factor is worth
	leastFactor   = 0.1
	mostFactor    = 5.0
	factorSteps   = 0.05 // it is told in such steps, and not at all within a tenth of 1
	nearOne       = 0.1
	byChance      = 4.0  // so many times 1/√events off 1 a median is by chance
	poolSize      = 10.0 // how a slice's counts scatter over all tenants: its hours by a third
	poolSwells    = 2.0  // of what is expected of a tenant: more does not make up for what others miss
)

// flows is what a stream of volume knows.
type flows struct {
	came   map[tenant.ID]fadingPair // of a country, for its factor
	lately fadingPair               // of all, for whether it moved
	looked int64                    // ms
	factor exchange.Factor          // told last
}

// fadingPair is what came of what was expected, fading.
type fadingPair struct {
	at          int64
	n, expected float64
}

func (f *fadingPair) add(at int64, n, expected float64) {
	if at > f.at {
		fade := math.Exp(-float64(at-f.at) / factorFades)
		f.n, f.expected, f.at = f.n*fade, f.expected*fade, at
	}
	f.n, f.expected = f.n+n, f.expected+expected
}

// pooledFlow adds up what came and what was expected. The largest tenant counts at most
// like all others together, and nobody's surge makes up for what others miss.
func (b *bucket) pooledFlow(minTenants int) (n, expected float64, thin bool) {
	largest, all, tenants := 0.0, 0.0, 0
	parts := b.list()
	for _, v := range parts {
		if v.expected > 0 {
			tenants++
			all += v.expected
			largest = math.Max(largest, v.expected)
		}
	}
	if tenants < minTenants || all <= largest {
		return 0, 0, true
	}
	most := all - largest
	for _, v := range parts {
		if v.expected <= 0 {
			continue
		}
		scale := math.Min(1, most/v.expected)
		n += scale * math.Min(v.n, poolSwells*v.expected)
		expected += scale * v.expected
	}
	return n, expected, false
}

// judgeFlow moves a stream of volume by one step.
func (p *Pool) judgeFlow(r *rule.Rule, s *stream, b bucket) {
	n, expected, thin := b.pooledFlow(p.o.MinTenants)
	if thin || expected <= 0 {
		return
	}
	if s.vol == nil {
		s.vol = &detect.Traffic{}
	}
	s.flows.lately.add(b.end, n, expected)
	low, why := p.announced(s, b.start)
	s.tide = why
	step := detect.Step{Start: b.start, End: b.end, N: n, Coverage: 1}
	d := s.vol.Step(detect.Parameters{Budget: r.FalseAlarms / float64(p.streamsOf(s.rule)), LooksPerMonth: float64(detect.Month / time.Minute),
		Factor: r.Sensitivity.Factor()}, detect.Volume{Expected: expected, Low: expected * low, Size: poolSize, Less: r.Direction != rule.More}, step)
	s.says.Follow(&d, step.End)
	s.follow(d, b, step)
	s.rate = expected / (float64(b.end-b.start) / 60_000)
	p.tellFactor(s, b, d.Changed && !d.Firing)
	if b.live {
		p.say(r, s, d, step)
	}
}

// announced is how little of the usual the calendar says may come.
func (p *Pool) announced(s *stream, ms int64) (low float64, why string) {
	if p.o.Announced == nil {
		return 1, ""
	}
	on := calendar.Scope{Tenant: tenant.Product, Service: p.service, Environment: p.environment}
	if s.slice[0].Label == exchange.Country {
		on.Countries = []string{s.slice[0].Value}
	}
	e, ok := p.o.Announced(time.UnixMilli(ms).UTC(), on)
	if !ok {
		return 1, ""
	}
	low, _, why = e.Volume()
	return low, why
}

func (p *Pool) streamsOf(name string) int {
	streams := 0
	for _, o := range p.streams {
		if o.rule == name {
			streams++
		}
	}
	return max(streams, 1)
}

// gradeFlow is how severe lost traffic over all tenants is: what came another way, by
// another value of the same label, is no loss.
func (p *Pool) gradeFlow(r *rule.Rule, s *stream) (rule.Severity, string) {
	if r.Severity != rule.Critical {
		return r.Severity, ""
	}
	here, all := s.flows.lately.expected-s.flows.lately.n, 0.0
	for _, o := range p.streams {
		if o.rule == s.rule && o.slice[0].Label == s.slice[0].Label {
			all += o.flows.lately.expected - o.flows.lately.n
		}
	}
	if standing.Moved(all, here) {
		return rule.Warning, "the others are not short of them: they came another way"
	}
	return rule.Critical, ""
}

// tellFactor looks at a country's factor from time to time. While its loss rings the
// factor stays as it was: what is lost is not what is expected.
func (p *Pool) tellFactor(s *stream, b bucket, over bool) {
	if s.slice[0].Label != exchange.Country {
		return
	}
	f := &s.flows
	if over { // what was lost says nothing of what is to come
		clear(f.came)
	}
	if s.says.Firing {
		return
	}
	for _, v := range b.list() {
		x := f.came[v.id]
		x.add(b.end, v.n, v.expected)
		f.came[v.id] = x
	}
	if b.end/factorEvery == f.looked/factorEvery {
		return
	}
	f.looked = b.end
	maps.DeleteFunc(f.came, func(_ tenant.ID, x fadingPair) bool { return b.end-x.at > 2*factorFades })
	value, tenants := commonFactor(f.came)
	last := f.factor.Value
	if last == 0 {
		last = 1
	}
	if value == last && (value == 1 || b.end-f.factor.From.UnixMilli() < factorRenewed.Milliseconds()) {
		return
	}
	from := time.UnixMilli((b.end + factorAfter) / 60_000 * 60_000).UTC()
	if b.live {
		if moment := FactorMoment(time.UnixMilli(p.now).UTC()); from.Before(moment) {
			from = moment
		}
	}
	f.factor = exchange.Factor{Environment: p.environment, Service: p.service, Rule: s.rule, Country: s.slice[0].Value, From: from, Value: value, Tenants: tenants}
	p.factors = append(p.factors, f.factor)
}

// FactorMoment is the first moment at or after t from which a factor may hold: two minutes
// past every five. A factor is told before it holds, by the pool's clock, so that every
// tenant knows it in time, whether tenants are judged side by side or, as in a backtest,
// one after the other from moment to moment. Where all goes well that is when it would
// hold anyway.
func FactorMoment(t time.Time) time.Time {
	at := t.Add(-factorAfter * time.Millisecond)
	moment := at.Truncate(factorEvery * time.Millisecond)
	if moment.Before(at) {
		moment = moment.Add(factorEvery * time.Millisecond)
	}
	return moment.Add(factorAfter * time.Millisecond)
}

// Factors hands out the countries' factors that changed, or are renewed.
func (p *Pool) Factors() []exchange.Factor {
	out := p.factors
	p.factors = nil
	return out
}

// commonFactor is the weighted median of how much of the expectation came, over tenants
// and groups of thin ones, drawn to 1. One tenant, however large, decides nothing.
func commonFactor(came map[tenant.ID]fadingPair) (value float64, tenants int) {
	type unit struct{ ratio, weight float64 }
	var units []unit
	var thin fadingPair
	for _, id := range slices.Sorted(maps.Keys(came)) {
		x := came[id]
		if x.expected <= 0 {
			continue
		}
		tenants++
		if x.expected >= unitExpected {
			units = append(units, unit{x.n / x.expected, x.expected})
			continue
		}
		thin.n, thin.expected = thin.n+x.n, thin.expected+x.expected
		if thin.expected >= unitExpected {
			units = append(units, unit{thin.n / thin.expected, thin.expected})
			thin = fadingPair{}
		}
	}
	if len(units) < factorUnits {
		return 1, tenants
	}
	slices.SortFunc(units, func(a, b unit) int { return cmp.Compare(a.weight, b.weight) })
	most, weight := unitMost*units[len(units)/2].weight, 0.0
	for i := range units {
		units[i].weight = math.Min(units[i].weight, most)
		weight += units[i].weight
	}
	slices.SortFunc(units, func(a, b unit) int { return cmp.Compare(a.ratio, b.ratio) })
	median, below := 1.0, 0.0
	for _, u := range units {
		if below += u.weight; below >= weight/2 {
			median = u.ratio
			break
		}
	}
	value = (median*weight + factorWorth) / (weight + factorWorth)
	if math.Abs(value-1) < math.Max(nearOne, byChance/math.Sqrt(weight)) {
		return 1, tenants
	}
	return math.Min(math.Max(math.Round(value/factorSteps)*factorSteps, leastFactor), mostFactor), tenants
}
