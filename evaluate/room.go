package evaluate

import "slices"

func (ts *tenantState) countRefs() {
	for _, m := range ts.meters {
		for _, c := range m.cells {
			c.refs = 0
		}
	}
	for _, s := range ts.series {
		for _, u := range s.uses {
			for _, c := range u.cells {
				u.m.cells[c].refs++
			}
		}
	}
}

// sweep forgets series whose last value is no longer worth keeping.
func (ts *tenantState) sweep() {
	if ts.newest-ts.swept < sweepEvery {
		return
	}
	ts.swept = ts.newest
	oldest := ts.newest - ts.o.Remember.Milliseconds()
	ts.drop(func(s *series) bool { return s.lastAt() < oldest })
	for _, m := range ts.meters {
		m.forgetPeople(ts.newest)
	}
}

// makeRoom forgets the series that has been away longest, at most once a minute
// and only one that is no longer sending.
func (ts *tenantState) makeRoom() bool {
	if ts.newest == ts.fullAt {
		return false
	}
	var oldest *series
	for _, s := range ts.series {
		if (s.ended || s.gone || s.events && ts.newest-s.t > ts.o.LiveFor.Milliseconds()) && (oldest == nil || s.lastAt() < oldest.lastAt()) {
			oldest = s
		}
	}
	if oldest == nil {
		ts.fullAt = ts.newest
		return false
	}
	ts.drop(func(s *series) bool { return s == oldest })
	return true
}

func (ts *tenantState) drop(which func(*series) bool) {
	targets := map[*target]bool{}
	before := len(ts.series)
	ts.series = slices.DeleteFunc(ts.series, func(s *series) bool {
		if !which(s) {
			targets[s.target] = true
			return false
		}
		for _, u := range s.uses {
			u.m.series = slices.DeleteFunc(u.m.series, func(o *series) bool { return o == s })
			u.m.stirred()
			u.m.dropBucket(u)
			if u.group == nil && !u.who {
				u.m.lanes[u.lane].refs--
			}
			for _, c := range u.cells {
				u.m.cells[c].refs--
			}
		}
		h := s.ls.Hash()
		if ts.byHash[h] = slices.DeleteFunc(ts.byHash[h], func(o *series) bool { return o == s }); len(ts.byHash[h]) == 0 {
			delete(ts.byHash, h)
		}
		return true
	})
	if len(ts.series) == before {
		return
	}
	ts.generation++
	for key, g := range ts.targets {
		if !targets[g] {
			delete(ts.targets, key)
		}
	}
}
