// Package oncall knows who of a team is on call at an instant, and the life of
// a page: requested, sent, refused, withdrawn, acknowledged; and it writes the
// page's text.
//
// It is arithmetic on the catalog and on time, without I/O, clock or logger. It
// knows nothing of why an incident wants a page, and no channel.
package oncall

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Duty is who is on call, until when, and why.
type Duty struct {
	Team     catalog.TeamID
	Person   catalog.Person
	Schedule catalog.ScheduleID // empty: the team has none
	Until    time.Time          // zero: no end is known
	Reason   string
}

// Who finds the person of a team who is on call at the instant. Days and weeks
// are calendar days of the schedule's zone: a handover at 09:00 stays at 09:00
// across daylight-saving changes, hours are hours that pass. A later layer
// overrides an earlier one from its start on. When nobody is found the error
// says what to do; the incident stays open meanwhile.
func Who(c *catalog.Catalog, team catalog.TeamID, at time.Time) (Duty, error) {
	t, ok := c.Team(team)
	if !ok {
		return Duty{}, nobody("team %s is not in the catalog", team).WithHint("add the team to the catalog with a schedule or oncall, then reload")
	}
	if t.Schedule != "" {
		d, found, err := onSchedule(c, t, at)
		if err != nil || found {
			return d, err
		}
	}
	if len(t.OnCall) == 0 {
		why := "it has neither a schedule nor people under oncall"
		if t.Schedule != "" {
			why = "no layer of its schedule " + string(t.Schedule) + " has begun and it has no people under oncall"
		}
		return Duty{}, nobody("nobody is on call for team %s: %s", team, why).
			WithHint("give the team a schedule with a layer that has begun, or list people under oncall in the catalog, then reload")
	}
	p, ok := c.Person(t.OnCall[0])
	if !ok {
		return Duty{}, nobody("the first under oncall of team %s is not among the people", team).WithHint("add the person to people in the catalog, then reload")
	}
	reason := "first under oncall of team " + string(team) + ", which has no schedule"
	if t.Schedule != "" {
		reason = fmt.Sprintf("first under oncall of team %s; its schedule %s has not begun", team, t.Schedule)
	}
	return Duty{Team: team, Person: p, Reason: reason}, nil
}

func nobody(format string, args ...any) *problem.Error {
	return problem.New(problem.NotFound, format, args...)
}

func onSchedule(c *catalog.Catalog, t catalog.Team, at time.Time) (Duty, bool, error) {
	s, ok := c.Schedule(t.Schedule)
	if !ok {
		return Duty{}, false, nobody("schedule %s of team %s is not in the catalog", t.Schedule, t.ID).WithHint("add it to schedules, then reload")
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return Duty{}, false, problem.Wrap(err, problem.Invalid, "the time zone of schedule %s is not known", s.ID).WithHint("use an IANA name, for example Europe/Berlin")
	}
	var overridden time.Time // when a later layer takes over
	for n := len(s.Layers) - 1; n >= 0; n-- {
		l := s.Layers[n]
		begin, member, until, fault := rotate(l, zone, at)
		if fault != nil {
			return Duty{}, false, fault.WithHint("layer %d of schedule %s: start like 2026-01-05T09:00, unit hour, day or week, every at least 1, members not empty", n+1, s.ID)
		}
		if at.Before(begin) {
			if overridden.IsZero() || begin.Before(overridden) {
				overridden = begin
			}
			continue
		}
		p, ok := c.Person(l.Members[member])
		if !ok {
			return Duty{}, false, nobody("a member of schedule %s is not among the people", s.ID).WithHint("add the person to people in the catalog, then reload")
		}
		if !overridden.IsZero() && (until.IsZero() || overridden.Before(until)) {
			until = overridden
		}
		d := Duty{Team: t.ID, Person: p, Schedule: s.ID, Until: until, Reason: "on call for team " + string(t.ID) + " by schedule " + string(s.ID)}
		if !until.IsZero() {
			d.Reason += " until " + until.In(zone).Format("Mon 2 Jan 15:04 MST")
		}
		return d, true, nil
	}
	return Duty{}, false, nil
}
