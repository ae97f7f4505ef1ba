package rota

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
)

// Within says whether the instant lies in one of the hours, in wall-clock time
// of the zone, and when that may change. Without hours it always does; the zero
// time then says that it never changes.
func Within(hours []catalog.Hours, zone *time.Location, at time.Time) (in bool, until time.Time) {
	if len(hours) == 0 {
		return true, time.Time{}
	}
	type stretch struct{ from, to time.Time }
	var all []stretch
	local := at.In(zone)
	for d := -2; d <= 8; d++ { // a week and what reaches into it
		day := time.Date(local.Year(), local.Month(), local.Day()+d, 0, 0, 0, 0, time.UTC)
		for _, h := range hours {
			if !onDay(h, day.Weekday()) {
				continue
			}
			from, ok1 := catalog.ClockTime(h.From)
			to, ok2 := catalog.ClockTime(h.To)
			if !ok1 || !ok2 {
				continue // the catalog was checked when it was read
			}
			if to <= from {
				to += 24 * time.Hour
			}
			all = append(all, stretch{Wall(day.Add(from), 0, zone), Wall(day.Add(to), 0, zone)})
		}
	}
	slices.SortFunc(all, func(a, b stretch) int { return a.from.Compare(b.from) })
	for n := 0; n < len(all); n++ {
		s := all[n]
		for n+1 < len(all) && !all[n+1].from.After(s.to) { // touching ones are one
			n++
			if all[n].to.After(s.to) {
				s.to = all[n].to
			}
		}
		switch {
		case at.Before(s.from):
			return false, s.from
		case at.Before(s.to):
			return true, s.to
		}
	}
	return false, time.Time{}
}

func onDay(h catalog.Hours, day time.Weekday) bool {
	return len(h.Days) == 0 || slices.ContainsFunc(h.Days, func(name string) bool {
		d, ok := catalog.Weekday(name)
		return ok && d == day
	})
}

// Working says whether the instant lies in a team's working hours, when they
// begin or end next, and what they are, in words. A team without any has none.
func Working(w catalog.WorkingHours, at time.Time) (in bool, until time.Time, words string) {
	if len(w.Hours) == 0 {
		return false, time.Time{}, "the team has no working_hours in the catalog"
	}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		zone = time.UTC // the catalog was checked when it was read
	}
	in, until = Within(w.Hours, zone, at)
	return in, until, Words(w.Hours) + " " + w.TimeZone
}

// Words are the hours as people read them.
func Words(hours []catalog.Hours) string {
	parts := make([]string, len(hours))
	for n, h := range hours {
		days := "every day"
		if len(h.Days) > 0 {
			days = strings.Join(h.Days, ", ")
		}
		parts[n] = days + " " + h.From + "-" + h.To
	}
	return strings.Join(parts, "; ")
}
