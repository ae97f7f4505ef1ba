package evaluate

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/sli"
)

// absentStatus adds the views of the absent rules to what is told of the meters, each once
// in an environment: with the source that brings most.
func (ts *tenantState) absentStatus(of []SLIStatus, now time.Time) {
	for _, r := range ts.absents {
		told := map[string]bool{}
		for i, m := range ts.meters {
			if !r.counts(m) || told[m.env] {
				continue
			}
			told[m.env] = true
			at, richest := i, m
			for j, o := range ts.meters[i+1:] {
				if o.env == m.env && r.counts(o) && o.busier(richest) {
					at, richest = i+1+j, o
				}
			}
			list := &of[at].Slices
			if r.place == inShadow {
				list = &of[at].Shadow
			}
			*list = append(*list, ts.absentView(r, richest, m.lulls.usual(), now))
		}
	}
}

// absentView is what a silence that begins now would come to, where one of a lull (ms) is
// usual.
func (ts *tenantState) absentView(r *absentRule, m *meter, lull int64, now time.Time) SliceStatus {
	s := SliceStatus{Rule: r.Name, Kind: r.Kind, Service: r.Service, Noun: r.SLI.Noun, Slice: sli.Slice{}, HourRate: ts.hourRate(m, 0, now)}
	s.RatePerMinute, _ = m.pace()
	i := slices.IndexFunc(ts.absences, func(a *absence) bool { return a.of(r) && a.env == m.env })
	s.Firing = i >= 0 && ts.absences[i].raised != nil
	after := absenceAfter(lull)
	if m.knowsChance() {
		after = max(after, ts.chance(m, r, now.UnixMilli()))
	}
	seconds := float64(after) / 1000
	s.OutageSeenSeconds = &seconds
	return s
}
