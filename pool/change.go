package pool

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// Over all tenants a slice has failures enough to be compared with its own last hour. Each
// tenant's last hour is known, so that another mix of tenants, when one of them has its
// daily batch or a source falls silent, is no change.

const (
	turnRests    = 1_200_000 // ms after a backlog for which nothing is asked: what came in it is skewed
	changeFades  = 180_000.0 // ms after which failures beyond what is expected count 1/e
	changeCommon = 2.0       // times what the middle one fails beyond what is expected, of the same events, one tenant's counts
	changeChance = 3.0       // and so many standard deviations, which are chance
)

// turn is what a stream knows of its tenants' last hour, and the test against it.
type turn struct {
	test  detect.Change
	fades [2]float64 // how much is left of an excess after so many ms; derived
	stale int64      // end of the newest step when something of a backlog came last
}

// excess is how many failures came of how many events beyond what was expected.
type excess struct {
	at             int64
	n, v, expected float64
}

// add adds to what is left of it; left says how much that is after so many ms.
func (x *excess) add(at int64, n, k, expected float64, left func(int64) float64) {
	if at > x.at {
		fade := left(at - x.at)
		x.n, x.v, x.expected, x.at = x.n*fade, x.v*fade, x.expected*fade, at
	}
	x.n, x.v, x.expected = x.n+n, x.v+k-expected, x.expected+expected
}

// left is how much: nearly all tenants have the same.
func (x *turn) left(ms int64) float64 {
	if x.fades[0] != float64(ms) {
		x.fades = [2]float64{float64(ms), math.Exp(-float64(ms) / changeFades)}
	}
	return x.fades[1]
}

// counts is the part of a tenant's excess that counts where common of all events fail
// that usually do not.
func (x *excess) counts(common float64) float64 {
	if x.v <= 0 {
		return 1
	}
	return math.Min(1, (changeCommon*common*x.n+changeChance*math.Sqrt(x.expected+1))/x.v)
}

// lately moves the test by a step, which the pool judges otherwise too. The largest tenant's
// events count as they do there. What a tenant fails beyond what is expected counts as far
// as most others' do: two tenants' own faults are no fault of what all share.
func (s *stream) lately(p detect.Parameters, b bucket, step detect.Step, with *amid) (d detect.Decision) {
	x, brought := &s.turn, b.list()
	if x.stale > 0 && b.end < x.stale+turnRests {
		x.test = detect.Change{}
		for _, x := range s.seats {
			x.level, x.lately = detect.Level{}, excess{}
		}
		return d
	}
	parts := slices.Grow(with.parts[:0], len(brought))[:len(brought)] // as they count, with what the last hour makes one expect
	with.parts = parts
	expected, known := 0.0, 0.0
	for i := range brought {
		v := b.counted(i)
		factor, failures := brought[i].level.Factor()
		v.expected *= factor
		parts[i] = v
		expected, known = expected+v.expected, known+failures
		brought[i].lately.add(b.end, v.n, v.k, v.expected, x.left)
	}
	common := with.common(brought)
	step.K = 0
	for i, v := range parts {
		if by := v.k - v.expected; by > 0 {
			v.k = v.expected + by*brought[i].lately.counts(common)
		}
		step.K += v.k
	}
	x.test.Next(&p, expected, known, &step, &d)
	if d.Changed && !d.Firing {
		for _, x := range s.seats {
			x.level, x.lately = detect.Level{}, excess{}
		}
	}
	if x.test.Suspects() {
		return d
	}
	for i := range brought {
		v := &brought[i]
		v.level.Observe(b.end, v.k, v.expected)
	}
	return d
}

func (c *coder) turn(s *stream) {
	c.State(&s.turn.test)
	if c.Since(16) {
		c.Int(&s.turn.stale)
	}
	column(c.Coder, s, func(x *seat) *detect.Level { return &x.level }, func(x *seat) bool { return x.level.At() != 0 }, func(l *detect.Level) {
		at, k, expected := l.Fields()
		c.Int(at)
		c.Floats(k, expected)
	})
	column(c.Coder, s, func(x *seat) *excess { return &x.lately }, func(x *seat) bool { return x.lately.at != 0 }, func(e *excess) {
		c.Int(&e.at)
		c.Floats(&e.n, &e.v, &e.expected)
	})
}
