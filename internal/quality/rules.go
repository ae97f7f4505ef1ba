package quality

import "time"

// peers are rules as people write them, each with the settings that serve it
// best in such a world and keep their names honest.
func peers() []*peer {
	return []*peer{
		{name: "static rules", held: 5 * time.Minute, judge: static},
		{name: "static rules, tuned per tenant", held: 5 * time.Minute, judge: tuned},
		{name: "burn rate, SLO 99%", judge: func(s *subject, _ time.Time) (bool, bool) {
			return either(burn(s, minute.ratio, 0.01, 0))(burn(s, slower(twoSec), 0.01, 0))
		}},
		{name: "burn rate, tuned per tenant", judge: burnTuned},
		{name: "hour of week, z > 3", held: 5 * time.Minute, judge: bands},
		{name: "sum by (acquirer)", pooled: true, held: 2 * time.Minute, judge: func(s *subject, _ time.Time) (bool, bool) {
			two := s.sum(2)
			return true, two.n >= 100 && (two.ratio() > s.usual()+0.03 || two.slow(s.edge) > 3*tail)
		}},
	}
}

// static is one size for all: 5% failing, a 95th percentile above 2 s, no traffic.
func static(s *subject, _ time.Time) (critical, holds bool) {
	five := s.sum(5)
	return true, five.ratio() > 0.05 || five.slow(twoSec) > tail || s.sum(15).n == 0
}

// tuned knows what is usual for a tenant, and asks for some events.
func tuned(s *subject, _ time.Time) (critical, holds bool) {
	ten := s.sum(10)
	bad := ten.n >= 20 && ten.k >= 8 && ten.ratio() > max(0.05, 3*s.usual())
	slow := ten.n >= 20 && ten.slow(s.edge) > 4*tail
	return true, bad || slow || s.sum(15).n == 0 && 15*share(s.all.n, s.minutes) > 60
}

func slower(edge int) func(minute) float64 { return func(m minute) float64 { return m.slow(edge) } }

// burnTuned has an SLO for each tenant, at least 60 requests an hour, and a rule that
// compares the traffic with the week before.
func burnTuned(s *subject, _ time.Time) (critical, holds bool) {
	critical, holds = either(burn(s, minute.ratio, max(strict, 1.5*s.usual()), 60))(burn(s, slower(s.edge), max(strict, 1.5*s.all.slow(s.edge)), 60))
	if holds {
		return critical, true
	}
	before, known := s.weekBefore(30)
	return true, known && before >= 60 && s.sum(30).n < 0.3*before
}

// either is what two rules say together.
func either(critical, holds bool) func(bool, bool) (bool, bool) {
	return func(c, h bool) (bool, bool) { return critical && holds || c && h, holds || h }
}

// burn is the multi-window burn rate of the SRE workbook.
func burn(s *subject, ratio func(minute) float64, budget, atLeast float64) (critical, holds bool) {
	hour := s.sum(60)
	if hour.n < atLeast {
		return false, false
	}
	hot := func(m minute, factor float64) bool { return m.n > 0 && ratio(m) > factor*budget }
	if fast := min(14.4, 0.9/budget); hot(hour, fast) && hot(s.sum(5), fast) {
		return true, true
	}
	steady := min(6, 0.7/budget)
	return false, hot(s.sum(360), steady) && hot(s.sum(30), steady)
}

// bands are deviations from the same hour of the week.
func bands(s *subject, at time.Time) (critical, holds bool) {
	quarter, h := s.sum(15), hourOfWeek(at)
	return true, s.hour[h].z(quarter.n) < -3 || quarter.k >= 3 && s.errors[h].z(quarter.ratio()) > 3 ||
		quarter.over[s.edge] >= 3 && s.slow[h].z(quarter.slow(s.edge)) > 3
}
