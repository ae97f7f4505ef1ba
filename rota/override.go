package rota

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

// RecordKind and RecordVersion name the shape of a stored Override.
const (
	RecordKind    = "override"
	RecordVersion = 1
)

// Override puts a person on call in a schedule from From until before To, in
// place of whoever would be, or of Instead only.
type Override struct {
	ID        string             `json:"id"` // "ovr_…"; of the catalog's: catalog/SCHEDULE/N
	Schedule  catalog.ScheduleID `json:"schedule"`
	Person    catalog.PersonID   `json:"person"`
	Instead   catalog.PersonID   `json:"instead"` // empty: whoever would be on call
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Reason    string             `json:"reason"`
	Author    string             `json:"author"`
	CreatedAt time.Time          `json:"created_at"`
}

const (
	longest   = 366 * 24 * time.Hour
	maxReason = 500 // bytes
)

// Check finds what is wrong with a new override: it must name what the catalog
// lists, and must not change who was on call.
func (r Roster) Check(o Override, now time.Time) error {
	bad := func(hint, format string, args ...any) error {
		return problem.New(problem.Invalid, format, args...).WithHint("%s", hint)
	}
	if _, ok := r.Catalog.Schedule(o.Schedule); !ok {
		return bad("give the id of an entry under schedules", "the schedule is not in the catalog")
	}
	if _, ok := r.Catalog.Person(o.Person); !ok {
		return bad("give the id of an entry under people", "the person is not in the catalog")
	}
	if _, ok := r.Catalog.Person(o.Instead); o.Instead != "" && !ok {
		return bad("give the id of an entry under people, or leave it out to replace whoever is on call", "instead is not in the catalog")
	}
	switch {
	case o.Instead == o.Person:
		return bad("name another person, or leave instead out", "nobody takes over from themselves")
	case !o.From.Before(o.To):
		return bad("give RFC 3339 times, from before to", "the override ends before it begins")
	case o.To.Sub(o.From) > longest:
		return bad("change the schedule in the catalog instead", "an override lasts at most a year")
	case o.From.Before(now.Add(-time.Minute)):
		return bad("let it begin now: leave from out", "an override cannot begin in the past: who was on call then stays")
	case o.Reason == "":
		return bad("say why, in a few words", "an override needs a reason: whoever is woken by it asks")
	case len(o.Reason) > maxReason || !utf8.ValidString(o.Reason):
		return bad("shorten it", "the reason is longer than %d bytes", maxReason)
	}
	return nil
}

// Says tells what an override does, in a sentence.
func (r Roster) Says(o Override) string {
	zone := time.UTC
	if s, ok := r.Catalog.Schedule(o.Schedule); ok {
		if z, err := time.LoadLocation(s.TimeZone); err == nil {
			zone = z
		}
	}
	of := "whoever would be"
	if o.Instead != "" {
		of = r.name(o.Instead)
	}
	return fmt.Sprintf("%s is on call in schedule %s in place of %s from %s until %s: %s", r.name(o.Person), o.Schedule, of, clock(o.From, zone), clock(o.To, zone), o.Reason)
}

func (r Roster) name(id catalog.PersonID) string {
	if p, ok := r.Catalog.Person(id); ok && p.Name != "" {
		return p.Name
	}
	return string(id)
}

// Of lists the overrides of a schedule in the order in which they count, the
// first to last: those of the catalog, then those made beside it.
func (r Roster) Of(schedule catalog.ScheduleID) []Override {
	out := []Override{}
	if s, ok := r.Catalog.Schedule(schedule); ok {
		zone, err := time.LoadLocation(s.TimeZone)
		for n, o := range s.Overrides {
			from, err1 := time.Parse(catalog.StartLayout, o.From)
			to, err2 := time.Parse(catalog.StartLayout, o.To)
			if err != nil || err1 != nil || err2 != nil {
				continue // the catalog was checked when it was read
			}
			out = append(out, Override{ID: fmt.Sprintf("catalog/%s/%d", schedule, n+1), Schedule: schedule, Person: o.Person, Instead: o.Instead,
				From: Wall(from, 0, zone).UTC(), To: Wall(to, 0, zone).UTC(), Reason: o.Reason, Author: "catalog"})
		}
	}
	for _, o := range r.Overrides {
		if o.Schedule == schedule {
			out = append(out, o)
		}
	}
	return out
}

func clock(t time.Time, zone *time.Location) string { return t.In(zone).Format("Mon 2 Jan 15:04 MST") }
