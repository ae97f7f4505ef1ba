package evaluate

// target is what is scraped as one: the series that share job and instance.
// Its scrape times tell a newborn series from one merely seen for the first time.
type target struct {
	first    int64    // time of its first sample
	scrapes  [4]int64 // the latest distinct sample times, newest first
	interval int64    // usual time between samples of its series, ms; 0 not known
}

func (g *target) see(t int64) {
	if g.scrapes[0] == t && g.first != 0 {
		return
	}
	if g.first == 0 || t < g.first {
		g.first = t
	}
	for i, at := range g.scrapes {
		if at == t {
			return
		}
		if t > at {
			copy(g.scrapes[i+1:], g.scrapes[i:len(g.scrapes)-1])
			g.scrapes[i] = t
			return
		}
	}
}

// before is the scrape before t, if the target was running by then: it had sent
// for two intervals, the last time not longer ago than an increment may span.
func (g *target) before(t int64) (int64, bool) {
	if g.interval == 0 || t-g.first < 2*g.interval {
		return 0, false
	}
	for _, at := range g.scrapes {
		// Half an interval away: the series of one scrape may carry slightly different times.
		if at != 0 && at <= t-g.interval/2 {
			return at, t-at <= longestGap*g.interval
		}
	}
	return 0, false
}
