package evaluate

// Two senders may write one series though they are no replicas of each other: two
// targets whose labels were dropped, an old process beside the new one. Their
// counters alternate, and each step down would look like a reset that brings all
// the other one ever counted. The higher one is followed; samples of the lower are
// dropped and counted, as long as the higher one is heard.

const (
	rivalFactor = 10   // times the usual volume of the whole SLI that a restarted counter may hold
	rivalSlack  = 1000 // and events besides: what little is usual says little
)

// rivalry is what a series remembers to tell a reset from another sender.
type rivalry struct {
	on   bool    // another sender is being dropped
	seen int64   // time of the followed one's last sample, while on
	v    float64 // value before the last reset
	t    int64   // its time, 0: no reset since; while on, the time of the last sample dropped
}

// patience is how long the followed sender may be silent.
func (s *series) patience() int64 { return max(longestGap*s.interval, 60_000) }

// rival says whether a sample is of another sender than the one that is followed,
// and is to be dropped. It may put s back to where it stood before a sample that
// was taken for a reset.
func (ts *tenantState) rival(s *series, sm Sample) bool {
	r := &s.rivalry
	switch {
	case sm.Start > s.t && sm.Start <= sm.T: // the sender says that it restarted
		*r = rivalry{}
		return false
	case r.on && sm.T-r.seen > s.patience(): // only the other one is left
		*r = rivalry{}
		if sm.V < s.v {
			s.v, s.t = sm.V, sm.T // its level; what it counted so far is not news
			return true
		}
		return false
	case r.on && sm.V < s.v:
		ts.rivalSamples++
		r.t = sm.T
		return true
	case r.on:
		if r.seen = sm.T; sm.T-r.t > s.patience() { // it is alone again
			*r = rivalry{}
		}
		return false
	case sm.V < s.v && sm.T-s.t <= s.patience() && sm.V > rivalFactor*s.usual(sm.T-s.t)+rivalSlack:
		*r = rivalry{on: true, seen: s.t, t: sm.T}
		ts.rivalSamples++
		return true
	case sm.V < s.v:
		r.v, r.t = s.v, s.t
		return false
	case r.t > 0 && r.v > 0 && sm.V >= r.v && sm.T-r.t <= s.patience(): // no counter catches up so fast
		low := s.t
		s.v, s.t = r.v, r.t
		*r = rivalry{on: true, seen: sm.T, t: low}
		ts.rivalSamples++
		return false
	}
	r.t = 0
	return false
}

func (c *coder) rivalry(r *rivalry) {
	some := *r != rivalry{}
	if c.Bools(&some); some {
		c.Bools(&r.on)
		c.Ints(&r.seen, &r.t)
		c.Floats(&r.v)
	}
}

// usual is how many events of all series of the SLI d ms usually bring.
func (s *series) usual(d int64) float64 {
	rate := 0.0
	if len(s.uses) > 0 {
		for _, o := range s.uses[0].m.series {
			rate += o.weight
		}
	}
	return rate * float64(d)
}
