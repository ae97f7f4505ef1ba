package quality

import (
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
)

// minute is what one tenant, or one acquirer over all tenants, did in a minute: its
// payments, those that failed, and those that took longer than each bucket's edge.
type minute struct {
	n, k float64
	over [len(world.Edges)]float64
}

func of(c *world.Cell) minute {
	m := minute{n: float64(c.N), k: float64(c.Errors)}
	slower := m.n
	for i := range m.over {
		slower -= float64(c.Took[i])
		m.over[i] = slower
	}
	return m
}

func (m *minute) add(x minute) {
	m.n, m.k = m.n+x.n, m.k+x.k
	for i, v := range x.over {
		m.over[i] += v
	}
}

func (m minute) less(x minute) minute {
	m.n, m.k = m.n-x.n, m.k-x.k
	for i, v := range x.over {
		m.over[i] -= v
	}
	return m
}

func (m minute) ratio() float64        { return share(m.k, m.n) }
func (m minute) slow(edge int) float64 { return share(m.over[edge], m.n) }

func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

const (
	memory = 6*60 + 5    // minutes of everything: the longest window of a burn rate
	week   = 7 * 24 * 60 // minutes of volume besides: for what compares with the week before
	twoSec = 3           // index of the edge at 2 s
	tail   = 0.05        // what lies above the 95th percentile
	strict = 0.001       // of failures: no SLO allows fewer
)

// subject is what rules look at: the last minutes, and what somebody who tunes a rule
// by hand would know from the learning time.
type subject struct {
	name   string
	sums   [memory + 1]minute     // cumulative, by minute modulo its length
	volume [week + 31 + 1]float64 // the same of the volume alone
	at     int

	all     minute // of the learning time
	minutes float64
	hour    [168]stats // of the quarter hours of each hour of the week: their volume
	errors  [168]stats
	slow    [168]stats
	edge    int // the first with at most 5% above, as far as is known
}

func newSubject(name string) *subject { return &subject{name: name, edge: twoSec} }

// take is one minute, ending at at.
func (s *subject) take(at time.Time, m minute, learning bool) {
	last, volume := s.sums[s.at%len(s.sums)], s.volume[s.at%len(s.volume)]
	s.at++
	last.add(m)
	s.sums[s.at%len(s.sums)] = last
	s.volume[s.at%len(s.volume)] = volume + m.n
	if !learning {
		return
	}
	s.all.add(m)
	s.minutes++
	if at.Minute()%5 != 0 {
		return
	}
	for s.edge = 0; s.edge < len(world.Edges)-1 && s.all.slow(s.edge) > tail; {
		s.edge++
	}
	quarter, h := s.sum(15), hourOfWeek(at)
	s.hour[h].add(quarter.n)
	if quarter.n > 0 {
		s.errors[h].add(quarter.ratio())
		s.slow[h].add(quarter.slow(s.edge))
	}
}

// sum over the last minutes, six hours at most; fewer when there are no more.
func (s *subject) sum(minutes int) minute {
	minutes = min(minutes, s.at, memory)
	return s.sums[s.at%len(s.sums)].less(s.sums[(s.at-minutes)%len(s.sums)])
}

// weekBefore is the volume of as many minutes a week ago; false when that is not known.
func (s *subject) weekBefore(minutes int) (float64, bool) {
	if s.at < week+minutes {
		return 0, false
	}
	return s.volume[(s.at-week)%len(s.volume)] - s.volume[(s.at-week-minutes)%len(s.volume)], true
}

// usual is the share that failed in the learning time.
func (s *subject) usual() float64 { return share(s.all.k, s.all.n) }

type stats struct{ n, sum, squares float64 }

func (s *stats) add(x float64) { s.n++; s.sum += x; s.squares += x * x }

func (s stats) z(x float64) float64 {
	if s.n < 4 {
		return 0
	}
	mean := s.sum / s.n
	return (x - mean) / math.Sqrt(max(s.squares/s.n-mean*mean, 1e-12))
}

func hourOfWeek(at time.Time) int { return int(at.Weekday())*24 + at.Hour() }
