package oncall

import (
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

// rotate gives when the layer begins, which member has the shift that contains
// at, and when that shift ends (zero: it does not, there is one member only).
func rotate(l catalog.Layer, zone *time.Location, at time.Time) (begin time.Time, member int, until time.Time, err *problem.Error) {
	start, perr := time.Parse(catalog.StartLayout, l.Start)
	if perr != nil || l.Every < 1 || len(l.Members) == 0 {
		return begin, 0, until, problem.New(problem.Invalid, "a layer of the schedule cannot be used")
	}
	begin = wall(start, 0, zone)
	if at.Before(begin) {
		return begin, 0, until, nil
	}
	var shift int
	var next time.Time
	switch l.Unit {
	case "hour":
		length := time.Duration(l.Every) * time.Hour
		shift = int(at.Sub(begin) / length)
		next = begin.Add(time.Duration(shift+1) * length)
	case "day", "week":
		days := l.Every
		if l.Unit == "week" {
			days *= 7
		}
		shift = daysBetween(start, zone, at) / days
		next = wall(start, (shift+1)*days, zone)
	default:
		return begin, 0, until, problem.New(problem.Invalid, "the unit of a layer is not known")
	}
	if len(l.Members) > 1 {
		until = next
	}
	return begin, shift % len(l.Members), until, nil
}

// daysBetween is the number of handovers at start's time of day that have
// passed at the instant, the one at start not counted.
func daysBetween(start time.Time, zone *time.Location, at time.Time) int {
	local := at.In(zone)
	date := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	first := time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	days := int(date.Sub(first) / (24 * time.Hour))
	if at.Before(wall(start, days, zone)) {
		days--
	}
	return max(days, 0)
}

// wall is the instant at which clocks of the zone show start's time of day, so
// many days after start's date. A time that is skipped in spring is the moment
// of the change; one that comes twice in autumn is the first of the two.
func wall(start time.Time, days int, zone *time.Location) time.Time {
	t := time.Date(start.Year(), start.Month(), start.Day()+days, start.Hour(), start.Minute(), 0, 0, zone)
	from, to := t.ZoneBounds()
	if shown := t.Hour()*60 + t.Minute(); shown != start.Hour()*60+start.Minute() {
		if !from.IsZero() && t.Sub(from) < 3*time.Hour {
			return from
		}
		return to
	}
	if from.IsZero() {
		return t
	}
	_, before := from.Add(-time.Second).Zone()
	_, now := t.Zone()
	if first := t.Add(time.Duration(now-before) * time.Second); before > now && first.Before(from) {
		return first
	}
	return t
}
