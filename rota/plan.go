package rota

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Shift is a stretch of a schedule in which one person is on call for one
// cause, or nobody is.
type Shift struct {
	Schedule catalog.ScheduleID
	Person   catalog.PersonID // empty: nobody
	From, To time.Time        // To zero: no end is known
	Layer    int              // that has it, from 1; 0: an override, or nobody
	Override *Override
	Reason   string
}

const (
	maxSegments = 400 // looked ahead for the end of a shift
	maxShifts   = 5000
)

// On is a schedule's shift that contains the instant; From is the instant.
func (r Roster) On(schedule catalog.ScheduleID, at time.Time) (Shift, error) {
	p, err := r.plan(schedule)
	if err != nil {
		return Shift{}, err
	}
	return p.shift(at), nil
}

// Shifts lists who is on call in a schedule between two instants, without gaps
// or overlaps: where nobody is, Person is empty. The first and the last are cut
// at the ends of the span.
func (r Roster) Shifts(schedule catalog.ScheduleID, from, to time.Time) ([]Shift, error) {
	p, err := r.plan(schedule)
	if err != nil {
		return nil, err
	}
	out := []Shift{}
	for at := from; at.Before(to); {
		s := p.shift(at)
		if s.To.IsZero() || s.To.After(to) {
			s.To = to
		}
		if out = append(out, s); len(out) > maxShifts {
			return nil, problem.New(problem.Invalid, "the span holds more than %d shifts", maxShifts).WithHint("ask for a shorter one")
		}
		at = s.To
	}
	return out, nil
}

// plan is a schedule made ready for arithmetic.
type plan struct {
	schedule  catalog.Schedule
	zone      *time.Location
	overrides []Override // the one that counts most last
}

func (r Roster) plan(id catalog.ScheduleID) (*plan, error) {
	s, ok := r.Catalog.Schedule(id)
	if !ok {
		return nil, nobody("schedule %s is not in the catalog", id).WithHint("add it to schedules, then reload")
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the time zone of schedule %s is not known", id).WithHint("use an IANA name, for example Europe/Berlin")
	}
	for n, l := range s.Layers {
		if _, err := time.Parse(catalog.StartLayout, l.Start); err != nil || l.Every < 1 || len(l.Members) == 0 || !slices.Contains([]string{"hour", "day", "week"}, l.Unit) {
			return nil, problem.New(problem.Invalid, "a layer of the schedule cannot be used").
				WithHint("layer %d of schedule %s: start like 2026-01-05T09:00, unit hour, day or week, every at least 1, members not empty", n+1, id)
		}
	}
	return &plan{schedule: s, zone: zone, overrides: r.Of(id)}, nil
}

// segment is a stretch in which nothing can change.
type segment struct {
	person   catalog.PersonID // empty: nobody
	layer    int
	turn     int // of the layer's rotation
	override *Override
	begun    bool      // some layer has begun
	until    time.Time // zero: nothing changes any more
}

func (s segment) same(o segment) bool {
	return s.person == o.person && s.layer == o.layer && s.turn == o.turn && (s.override == nil) == (o.override == nil) &&
		(s.override == nil || s.override.ID == o.override.ID)
}

// shift joins the segments from an instant on.
func (p *plan) shift(at time.Time) Shift {
	s := p.at(at)
	for range maxSegments {
		if s.until.IsZero() {
			break
		}
		next := p.at(s.until)
		if !next.same(s) {
			break
		}
		s.until = next.until
	}
	out := Shift{Schedule: p.schedule.ID, Person: s.person, From: at.UTC(), To: s.until.UTC(), Layer: s.layer, Override: s.override}
	switch {
	case s.person == "" && s.begun:
		out.Reason = "its schedule " + string(p.schedule.ID) + " has nobody at this time"
	case s.person == "":
		out.Reason = "no layer of its schedule " + string(p.schedule.ID) + " has begun"
	case s.override != nil:
		out.Reason = fmt.Sprintf("by an override of schedule %s until %s (%s, by %s)", p.schedule.ID, clock(s.until, p.zone), s.override.Reason, s.override.Author)
	case s.until.IsZero():
		out.Reason = "by schedule " + string(p.schedule.ID)
	default:
		out.Reason = "by schedule " + string(p.schedule.ID) + " until " + clock(s.until, p.zone)
	}
	return out
}

// at is the segment that contains the instant.
func (p *plan) at(at time.Time) segment {
	s := p.layers(at)
	for n := range p.overrides {
		o := &p.overrides[n]
		switch {
		case at.Before(o.From):
			s.until = earlier(s.until, o.From)
		case at.Before(o.To):
			s.until = earlier(s.until, o.To)
			if o.Instead == "" || o.Instead == s.person || s.override != nil && s.override.Instead == o.Instead {
				s.person, s.layer, s.turn, s.override = o.Person, 0, 0, o
			}
		}
	}
	return s
}

// layers is the segment as it is without overrides.
func (p *plan) layers(at time.Time) segment {
	var s segment
	for n := len(p.schedule.Layers) - 1; n >= 0; n-- {
		l := p.schedule.Layers[n]
		begin, turn, until := rotate(l, p.zone, at)
		if at.Before(begin) {
			s.until = earlier(s.until, begin)
			continue
		}
		s.begun = true
		in, change := Within(l.Hours, p.zone, at)
		s.until = earlier(s.until, change)
		if !in {
			continue
		}
		s.until = earlier(s.until, until)
		s.person, s.layer, s.turn = l.Members[turn%len(l.Members)], n+1, turn
		return s
	}
	return s
}

// earlier is the earlier of two instants, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
