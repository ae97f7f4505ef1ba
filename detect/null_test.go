package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
)

// The null: tenants whose failure ratio never changes. Whatever fires is false.

const (
	nullRatio  = 0.01
	acquirers  = 3
	nullStream = acquirers + 1 // the total and each acquirer
	stepMillis = 15_000
	learnHours = 3 * 24
	nullStart  = int64(1_767_225_600_000) // a Thursday
)

// poisson draws by inverting a table; the guide says where to begin to look.
type poisson struct {
	cumulative []float64
	guide      [1024]int32
	first      int
}

func newPoisson(mean float64) *poisson {
	p := &poisson{first: int(math.Max(0, mean-12*math.Sqrt(mean)-20))}
	sum := 0.0
	for k := p.first; ; k++ {
		sum += math.Exp(float64(k)*math.Log(mean) - mean - logGamma(float64(k)+1))
		p.cumulative = append(p.cumulative, sum)
		if float64(k) > mean+12*math.Sqrt(mean)+20 {
			break
		}
	}
	at := 0
	for i := range p.guide {
		for at < len(p.cumulative)-1 && p.cumulative[at] < float64(i)/float64(len(p.guide)) {
			at++
		}
		p.guide[i] = int32(at)
	}
	return p
}

func (p *poisson) draw(r *rand.Rand) float64 {
	u := r.Float64()
	at := int(p.guide[int(u*float64(len(p.guide)))])
	for at < len(p.cumulative)-1 && p.cumulative[at] < u {
		at++
	}
	return float64(p.first + at)
}

// counts draws a step of one acquirer: failures and successes, whose ratio is the
// same in every step, or scattered by a beta distribution of correlation rho.
type counts struct {
	failed, passed []*poisson // one pair for each equal share of the ratio's distribution
}

func newCounts(mean, center, rho float64) *counts {
	c := &counts{}
	shares := 1
	if rho > 0 {
		shares = 256
	}
	for i := range shares { // quantiles at the middle of equal shares
		ratio := center
		if rho > 0 {
			events := 1/rho - 1
			ratio = mathext.InvRegIncBeta(center*events, (1-center)*events, (float64(i)+0.5)/float64(shares))
		}
		c.failed = append(c.failed, newPoisson(mean*ratio))
		c.passed = append(c.passed, newPoisson(mean*(1-ratio)))
	}
	return c
}

func (c *counts) draw(r *rand.Rand) (n, k float64) {
	i := 0
	if len(c.failed) > 1 {
		i = r.IntN(len(c.failed))
	}
	k = c.failed[i].draw(r)
	return k + c.passed[i].draw(r), k
}

// nullTenant is one tenant's streams; the total comes first.
type nullTenant struct {
	detector [nullStream]ErrorRatio
	baseline [nullStream]Baseline
	alarms   int
}

func (c *nullTenant) learn(day *[24]*counts, r *rand.Rand) {
	for h := int64(0); h < learnHours; h++ {
		start := nullStart + (h-learnHours)*hour
		var n, k [nullStream]float64
		for a := 1; a < nullStream; a++ {
			n[a], k[a] = day[h%24].draw(r)
			n[0], k[0] = n[0]+n[a], k[0]+k[a]
		}
		for i := range n {
			c.baseline[i].Observe(Step{Start: start, End: start + hour, N: n[i], K: k[i], Coverage: 1})
		}
	}
}

func (c *nullTenant) step(p Parameters, at int64, n, k *[nullStream]float64) {
	for i := range n {
		if n[i] == 0 {
			continue
		}
		s := Step{Start: at, End: at + stepMillis, N: n[i], K: k[i], Coverage: 1}
		decision := c.detector[i].Step(p, &c.baseline[i], s)
		switch {
		case decision.Changed && decision.Firing:
			c.alarms++
			c.baseline[i].Retract(decision.Onset, s.End)
		case !decision.Firing:
			c.baseline[i].Observe(s)
		}
	}
}

// nullMonth runs one tenant for a month and returns its false alarms.
func nullMonth(p Parameters, null null, r *rand.Rand, taught, day *[24]*counts) int {
	c := &nullTenant{}
	c.learn(taught, r)
	const steps = int64(Month / (stepMillis * time.Millisecond))
	if null.rate < 0.03 { // event by event: nearly every step is empty
		c.sparseMonth(p, null, r, steps)
		return c.alarms
	}
	for i := int64(0); i < steps; i++ {
		source := day[i*stepMillis/hour%24]
		var n, k [nullStream]float64
		for a := 1; a < nullStream; a++ {
			n[a], k[a] = source.draw(r)
			n[0], k[0] = n[0]+n[a], k[0]+k[a]
		}
		c.step(p, nullStart+i*stepMillis, &n, &k)
	}
	return c.alarms
}

func (c *nullTenant) sparseMonth(p Parameters, null null, r *rand.Rand, steps int64) {
	rate := null.rate
	var n, k [nullStream]float64
	current := int64(0)
	for at := r.ExpFloat64() / rate; ; at += r.ExpFloat64() / rate {
		if i := int64(at * 1000 / stepMillis); i != current {
			c.step(p, nullStart+current*stepMillis, &n, &k)
			n, k, current = [nullStream]float64{}, [nullStream]float64{}, i
			if i >= steps {
				return
			}
		}
		a := 1 + r.IntN(acquirers)
		n[0]++
		n[a]++
		if r.Float64() < null.usual() {
			k[0]++
			k[a]++
		}
	}
}

// nullMonths runs tenants, two at a time, and returns their false alarms together.
func nullMonths(p Parameters, null null, tenants int, seed uint64) int {
	taught := null.day(3600, 0, 0)
	day := null.day(stepMillis/1000, null.fault, null.rho)
	var alarms, next atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(tenants); i = next.Add(1) {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				alarms.Add(int64(nullMonth(p, null, r, &taught, &day)))
			}
		})
	}
	wait.Wait()
	return int(alarms.Load())
}

// null is one kind of tenant where nothing is wrong.
type null struct {
	rate  float64 // transactions a second
	rho   float64 // correlation of the events of one step
	swing float64 // how far the ratio swings in a day, as a share of itself
	fault float64 // not null at all: added to the ratio once learning is over
	ratio float64 // usual; default nullRatio
	// alternative is Parameters' own, as rules of kind latency set it.
	alternative float64
}

func (n null) usual() float64 {
	if n.ratio > 0 {
		return n.ratio
	}
	return nullRatio
}

func (n null) learned(hourOfDay int64) float64 {
	return n.usual() * (1 + n.swing*math.Sin(float64(hourOfDay)*math.Pi/12))
}

// day is what an acquirer counts in so many seconds, by hour of the day.
func (n null) day(seconds, fault, rho float64) (day [24]*counts) {
	for h := range day {
		if h > 0 && n.swing == 0 {
			day[h] = day[0]
			continue
		}
		day[h] = newCounts(n.rate*seconds/acquirers, n.learned(int64(h))+fault, rho)
	}
	return day
}

func (n null) String() string {
	s := fmt.Sprintf("%g_tps_rho_%g_swing_%g", n.rate, n.rho, n.swing)
	if n.ratio > 0 {
		s += fmt.Sprintf("_usual_%g_against_%g", n.ratio, n.alternative)
	}
	return s
}

func nulls() []null {
	return []null{{rate: 0.01}, {rate: 1}, {rate: 100}, {rate: 100, rho: dispersion}, {rate: 100, swing: 0.5}}
}

// otherKinds are nulls of rules that are judged as errors are: declines, and events
// above a bucket edge against those above the next lower one.
func otherKinds() []null {
	return []null{{rate: 1, ratio: 0.1}, {rate: 0.01, ratio: 0.08, alternative: 0.4}, {rate: 1, ratio: 0.08, alternative: 0.4}, {rate: 1, ratio: 0.02, alternative: 0.09}}
}

// TestNullMonths holds the detector to its budget where nothing is wrong, and shows
// that the same months can break it: with a third of the threshold while events are
// few, and, where a step holds so many that chance cannot imitate three points more
// for 45 s at any threshold, with those three points.
func TestNullMonths(t *testing.T) {
	t.Parallel()
	const budget = 0.5 // of the tenant, for all its streams
	p := Parameters{Prior: 0.01, Budget: budget / nullStream}
	for _, null := range append(nulls(), otherKinds()...) {
		t.Run(null.String(), func(t *testing.T) {
			tenants, brokenTenants := 30/slowdown, 1
			if null.rate < 0.03 {
				tenants, brokenTenants = 100/slowdown, 10
			} else if null.rho > 0 || null.swing > 0 || null.ratio > 0 {
				tenants = 15 / slowdown
			}
			p := p
			p.Alternative = null.alternative
			alarms := nullMonths(p, null, tenants, 7)
			broken, brokenNull := p, null
			if null.rate < 10 {
				broken.Budget = LooksAtQuarterMinute / math.Exp(p.H()/3)
			} else {
				brokenNull.fault = 0.03
			}
			brokenAlarms := nullMonths(broken, brokenNull, brokenTenants, 7)
			t.Logf("%d false alarms in %d tenant-months, budget %g; broken: %d in %d",
				alarms, tenants, budget*float64(tenants), brokenAlarms, brokenTenants)
			require.LessOrEqual(t, float64(alarms), 2*budget*float64(tenants))
			require.Greater(t, float64(brokenAlarms), 2*budget*float64(brokenTenants), "a bar that broken months pass shows nothing")
		})
	}
}

// TestNullMonthsLong is the same at the budget users get and in the numbers it takes
// to judge that: TOCSIN_LONG=1 go test -run TestNullMonthsLong -timeout 30m -v
func TestNullMonthsLong(t *testing.T) {
	if os.Getenv("TOCSIN_LONG") == "" {
		t.Skip("set TOCSIN_LONG=1; takes minutes")
	}
	const budget, tenants = 0.05, 1000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := Parameters{Prior: 0.01, Budget: budget / nullStream}
	for _, null := range append(nulls()[:3], otherKinds()...) {
		t.Run(null.String(), func(t *testing.T) {
			began := time.Now()
			p := p
			p.Alternative = null.alternative
			alarms := nullMonths(p, null, tenants, seed)
			t.Logf("%d false alarms in %d tenant-months, budget %g, h %.1f; %s",
				alarms, tenants, budget*float64(tenants), p.H(), time.Since(began).Round(time.Second))
			require.LessOrEqual(t, float64(alarms), 2*budget*float64(tenants))
		})
	}
}
