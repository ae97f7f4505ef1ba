package calendar

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
)

const (
	maxEntries = 1000 // each is looked at when something is decided
	// MaxFactor is the most of the usual volume that may be announced.
	MaxFactor = 1000
	dayEnd    = "24:00"
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// New checks entries and makes them a calendar. Each fault is a sentence that begins
// with its entry, as in "calendar[2] (easter): why is missing"; with one, the
// calendar is empty.
func New(entries []Entry) (Calendar, []string) {
	var c Calendar
	var faults []string
	if len(entries) > maxEntries {
		return c, []string{fmt.Sprintf("calendar has more than %d entries; remove those that are over", maxEntries)}
	}
	names := map[string]bool{}
	for i, e := range entries {
		where := fmt.Sprintf("calendar[%d] (%s)", i, e.Name)
		fault := func(format string, args ...any) {
			faults = append(faults, where+": "+fmt.Sprintf(format, args...))
		}
		if names[e.Name] {
			fault("name is used twice")
		}
		names[e.Name] = true
		e.check(fault)
		c.entries = append(c.entries, e.compile(fault))
	}
	if len(faults) > 0 {
		return Calendar{}, faults
	}
	return c, nil
}

type faulter func(format string, args ...any)

func (e Entry) check(fault faulter) {
	if !namePattern.MatchString(e.Name) {
		fault("name must be lower-case letters, digits and _")
	}
	if !slices.Contains(Effects(), e.Effect) {
		fault("effect must be widen, hold_pages, hold_revisions or deny_changes")
	}
	switch ok := e.Factor > 0 && e.Factor <= MaxFactor && e.Factor != 1; {
	case e.Effect == Widen && !ok:
		fault("factor must say what of the usual volume may come, for example 0.5 or 2, at most %d", MaxFactor)
	case e.Effect != Widen && e.Factor != 0:
		fault("factor is for effect widen only")
	}
	once := e.Weekly == nil && e.Dates == nil
	switch {
	case e.Weekly != nil && e.Dates != nil:
		fault("weekly and dates exclude each other: write two entries")
	case once && (e.StartsAt.IsZero() || e.EndsAt.IsZero()):
		fault("it needs starts_at and ends_at, or weekly, or dates")
	case !e.EndsAt.IsZero() && !e.StartsAt.Before(e.EndsAt):
		fault("ends_at must be after starts_at")
	}
	if strings.TrimSpace(e.Why) == "" {
		fault("why is missing: it is what people read when nobody was called")
	}
	if strings.TrimSpace(e.By) == "" {
		fault("by is missing: somebody answers for it")
	}
	for _, l := range []struct {
		key  string
		list []string
	}{{"tenants", e.Tenants}, {"countries", e.Countries}, {"services", e.Services}, {"environments", e.Environments}} {
		if slices.Contains(l.list, "") {
			fault("%s holds an empty name", l.key)
		}
	}
}

// compile reads the hours, days and zone of an entry.
func (e Entry) compile(fault faulter) compiled {
	c := compiled{Entry: e}
	switch {
	case e.Weekly != nil:
		w := *e.Weekly
		c.clock("weekly", w.From, w.To, w.TimeZone, fault)
		c.hours.Days = w.Days
		for _, d := range w.Days {
			if _, ok := catalog.Weekday(d); !ok {
				fault("weekly.days: a day must be one of mon, tue, wed, thu, fri, sat, sun")
				break
			}
		}
	case e.Dates != nil:
		d := *e.Dates
		c.clock("dates", d.From, d.To, d.TimeZone, fault)
		if len(d.Days) == 0 {
			fault("dates.days is empty: list days like 2026-11-27, or like 12-31 for every year")
		}
		for i, text := range d.Days {
			s, ok := parseDays(text)
			if !ok {
				fault("dates.days[%d]: %s", i, unlike(text))
				continue
			}
			c.days = append(c.days, s)
		}
	}
	return c
}

func (c *compiled) clock(key, from, to, zone string, fault faulter) {
	if from == "" {
		from = "00:00"
	}
	if to == "" {
		to = dayEnd
	}
	if zone == "" {
		zone = "UTC"
	}
	var ok bool
	if c.from, ok = catalog.ClockTime(from); !ok || from == dayEnd {
		fault("%s.from must be a time of day like 09:00", key)
	}
	if c.to, ok = catalog.ClockTime(to); !ok {
		fault("%s.to must be a time of day like 17:00, at most 24:00", key)
	}
	if c.to <= c.from {
		c.to += 24 * time.Hour
	}
	var err error
	if c.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		fault("%s.time_zone is not known; use an IANA name, for example Europe/Berlin", key)
		c.zone = time.UTC
	}
	c.hours = catalog.Hours{From: from, To: to}
}
