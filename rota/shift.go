package rota

import (
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
)

// rotate gives when the layer begins, the number of the turn that contains at
// (from 0), and when that turn ends (zero: it does not, there is one member
// only). Before the beginning only that is given.
func rotate(l catalog.Layer, zone *time.Location, at time.Time) (begin time.Time, turn int, until time.Time) {
	start, _ := time.Parse(catalog.StartLayout, l.Start) // checked by the plan
	begin = Wall(start, 0, zone)
	if at.Before(begin) || len(l.Members) == 1 {
		return begin, 0, until
	}
	switch l.Unit {
	case "hour":
		length := time.Duration(l.Every) * time.Hour
		turn = int(at.Sub(begin) / length)
		return begin, turn, begin.Add(time.Duration(turn+1) * length)
	default:
		days := l.Every
		if l.Unit == "week" {
			days *= 7
		}
		turn = daysBetween(start, zone, at) / days
		return begin, turn, Wall(start, (turn+1)*days, zone)
	}
}

// daysBetween is the number of handovers at start's time of day that have
// passed at the instant, the one at start not counted.
func daysBetween(start time.Time, zone *time.Location, at time.Time) int {
	local := at.In(zone)
	date := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	first := time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	days := int(date.Sub(first) / (24 * time.Hour))
	if at.Before(Wall(start, days, zone)) {
		days--
	}
	return max(days, 0)
}

// Wall is the instant at which clocks of the zone show start's time of day, so
// many days after start's date. A time that is skipped in spring is the moment
// of the change; one that comes twice in autumn is the first of the two.
func Wall(start time.Time, days int, zone *time.Location) time.Time {
	want := time.Date(start.Year(), start.Month(), start.Day()+days, start.Hour(), start.Minute(), 0, 0, time.UTC)
	t := time.Date(want.Year(), want.Month(), want.Day(), want.Hour(), want.Minute(), 0, 0, zone)
	from, to := t.ZoneBounds()
	shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	switch {
	case shown.After(want): // read with the offset before the change: t lies after it
		return from
	case shown.Before(want):
		return to
	case from.IsZero():
		return t
	}
	_, before := from.Add(-time.Second).Zone()
	_, now := t.Zone()
	if first := t.Add(time.Duration(now-before) * time.Second); before > now && first.Before(from) {
		return first
	}
	return t
}
