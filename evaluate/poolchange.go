package evaluate

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Over all tenants a slice has failures enough to be compared with its own last hour. Each
// tenant's last hour is known, so that another mix of tenants, when one of them has its
// daily batch or a source falls silent, is no change.

const (
	changeShare  = 1.0 / 8   // of a stream's budget
	changeFades  = 180_000.0 // ms after which failures beyond what is expected count 1/e
	changeCommon = 2.0       // times what the middle one fails beyond what is expected, of the same events, one tenant's counts
	changeChance = 3.0       // and so many standard deviations, which are chance
)

// turn is what a stream knows of its tenants' last hour, and the test against it.
type turn struct {
	test   detect.Change
	levels map[tenant.ID]detect.Level
	own    map[tenant.ID]excess // of the last minutes
}

// excess is how many failures came of how many events beyond what was expected.
type excess struct {
	at             int64
	n, v, expected float64
}

func (x *excess) add(at int64, n, k, expected float64) {
	if at > x.at {
		fade := math.Exp(-float64(at-x.at) / changeFades)
		x.n, x.v, x.expected, x.at = x.n*fade, x.v*fade, x.expected*fade, at
	}
	x.n, x.v, x.expected = x.n+n, x.v+k-expected, x.expected+expected
}

// counts is the part of a tenant's excess that counts where common of all events fail
// that usually do not.
func (x *excess) counts(common float64) float64 {
	if x.v <= 0 {
		return 1
	}
	return math.Min(1, (changeCommon*common*x.n+changeChance*math.Sqrt(x.expected+1))/x.v)
}

func newTurn() turn {
	return turn{levels: map[tenant.ID]detect.Level{}, own: map[tenant.ID]excess{}}
}

// next moves the test by a step, which the pool judges otherwise too. The largest tenant's
// events count as they do there. What a tenant fails beyond what is expected counts as far
// as most others' do: two tenants' own faults are no fault of what all share.
func (x *turn) next(p detect.Parameters, b bucket, step detect.Step) (d detect.Decision) {
	ids, brought := b.list()
	parts := make([]part, len(ids)) // as they count, with what the last hour makes one expect
	expected, known := 0.0, 0.0
	for i, id := range ids {
		v, level, own := brought[i], x.levels[id], x.own[id]
		if id == b.largest {
			v = part{v.n * b.scale, v.k * b.scale, v.expected * b.scale}
		}
		factor, failures := level.Factor()
		v.expected *= factor
		parts[i] = v
		expected, known = expected+v.expected, known+failures
		own.add(b.end, v.n, v.k, v.expected)
		x.own[id] = own
	}
	common := x.common(ids)
	step.K = 0
	for i, id := range ids {
		v, own := parts[i], x.own[id]
		if by := v.k - v.expected; by > 0 {
			v.k = v.expected + by*own.counts(common)
		}
		step.K += v.k
	}
	x.test.Next(&p, expected, known, &step, &d)
	if d.Changed && !d.Firing {
		clear(x.levels)
		clear(x.own)
	}
	if x.test.Suspects() {
		return d
	}
	for i, id := range ids {
		level := x.levels[id]
		level.Observe(b.end, brought[i].k, brought[i].expected)
		x.levels[id] = level
	}
	return d
}

// common is the share of the events that fails and usually does not, in the middle one
// of them: half of all events are of tenants with less.
func (x *turn) common(ids []tenant.ID) float64 {
	all, half := make([]excess, len(ids)), 0.0
	for i, id := range ids {
		all[i] = x.own[id]
		half += all[i].n / 2
	}
	slices.SortFunc(all, func(a, b excess) int { return cmp.Compare(a.v*b.n, b.v*a.n) })
	for _, e := range all {
		if half -= e.n; half <= 0 && e.n > 0 {
			return math.Max(0, e.v/e.n)
		}
	}
	return 0
}

// forget drops tenants that were not heard of for an hour.
func (x *turn) forget(before int64) {
	maps.DeleteFunc(x.levels, func(_ tenant.ID, l detect.Level) bool { return l.At() < before })
	maps.DeleteFunc(x.own, func(_ tenant.ID, e excess) bool { return e.at < before })
}

// turned is what both tests of a stream say together: what fires, else what is nearer to it.
func turned(usual, lately detect.Decision, was bool) detect.Decision {
	d := usual
	if !usual.Firing && (lately.Firing || lately.Score*usual.Needed > usual.Score*lately.Needed) {
		d = lately
	}
	ended := was && !usual.Firing && !lately.Firing
	if ended && lately.Changed {
		d = lately
	}
	d.Firing = usual.Firing || lately.Firing
	d.Changed = d.Firing != was
	return d
}

// looksBack says whether a rule's streams are compared with their last hour.
func looksBack(r *ruleState) bool { return r.Kind == rule.Errors || r.Kind == "" }

func (c *coder) turn(x *turn) {
	c.state(&x.test)
	table(c, &x.levels, func(l *detect.Level) {
		at, k, expected := l.Fields()
		c.int(at)
		c.floats(k, expected)
	})
	table(c, &x.own, func(e *excess) {
		c.int(&e.at)
		c.floats(&e.n, &e.v, &e.expected)
	})
}
