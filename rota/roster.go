// Package rota knows who is on call at an instant: rotations in the wall-clock
// time of their zone, layers restricted to hours, overrides, and what of it
// follows for a team, a schedule or a calendar.
//
// It is arithmetic on the catalog, the overrides and time, without I/O, clock or
// logger. It knows nothing of pages, incidents and channels.
package rota

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Roster is what follows who is on call: the catalog, and the overrides made
// beside it, the oldest first. Immutable; safe for concurrent use.
type Roster struct {
	Catalog   *catalog.Catalog
	Overrides []Override
}

// Duty is who is on call, until when, and why.
type Duty struct {
	Team     catalog.TeamID
	Person   catalog.Person
	Schedule catalog.ScheduleID // empty: not by a schedule
	Until    time.Time          // when it may change; zero: no end is known
	Override *Override          // that put the person on call; nil: none
	Reason   string
}

// Who finds the person of a team who is on call at the instant. Days and weeks
// are calendar days of the schedule's zone: a handover at 09:00 stays at 09:00
// across daylight-saving changes, hours are hours that pass. Overrides go before
// layers, and a later layer before an earlier one from its start on, within its
// hours. When the schedule has nobody, the first under the team's oncall is.
// When nobody is found the error says what to do.
func (r Roster) Who(team catalog.TeamID, at time.Time) (Duty, error) {
	t, ok := r.Catalog.Team(team)
	if !ok {
		return Duty{}, nobody("team %s is not in the catalog", team).WithHint("add the team to the catalog with a schedule or oncall, then reload")
	}
	var gap Shift
	if t.Schedule != "" {
		s, err := r.On(t.Schedule, at)
		if err != nil {
			return Duty{}, err
		}
		if s.Person != "" {
			return r.duty(t.ID, s)
		}
		gap = s
	}
	if len(t.OnCall) == 0 {
		why := "it has neither a schedule nor people under oncall"
		if t.Schedule != "" {
			why = gap.Reason + " and it has no people under oncall"
		}
		return Duty{}, nobody("nobody is on call for team %s: %s", team, why).
			WithHint("give the team a schedule with a layer that has begun, or list people under oncall in the catalog, then reload")
	}
	p, ok := r.Catalog.Person(t.OnCall[0])
	if !ok {
		return Duty{}, nobody("the first under oncall of team %s is not among the people", team).WithHint("add the person to people in the catalog, then reload")
	}
	reason := "first under oncall of team " + string(team) + ", which has no schedule"
	if t.Schedule != "" {
		reason = fmt.Sprintf("first under oncall of team %s; %s", team, gap.Reason)
	}
	return Duty{Team: team, Person: p, Until: gap.To, Reason: reason}, nil
}

// Next is who is on call after d, which was found for the same team: the next
// who is another person, and from when on. ok is false when nobody follows.
func (r Roster) Next(d Duty) (next Duty, begins time.Time, ok bool) {
	next = d
	for range maxSegments {
		begins = next.Until
		if begins.IsZero() {
			break
		}
		var err error
		if next, err = r.Who(d.Team, begins); err != nil {
			break // a gap
		}
		if next.Person.ID != d.Person.ID {
			return next, begins, true
		}
	}
	return Duty{}, time.Time{}, false
}

// OnSchedule is who a schedule has on call at the instant, for a team that asks.
// Nobody is an error that says so.
func (r Roster) OnSchedule(team catalog.TeamID, schedule catalog.ScheduleID, at time.Time) (Duty, error) {
	s, err := r.On(schedule, at)
	if err != nil {
		return Duty{}, err
	}
	if s.Person == "" {
		return Duty{}, nobody("%s", s.Reason).WithHint("give the schedule a layer that covers every hour")
	}
	return r.duty(team, s)
}

func (r Roster) duty(team catalog.TeamID, s Shift) (Duty, error) {
	p, ok := r.Catalog.Person(s.Person)
	if !ok {
		return Duty{}, nobody("a member of schedule %s is not among the people", s.Schedule).WithHint("add the person to people in the catalog, then reload")
	}
	return Duty{Team: team, Person: p, Schedule: s.Schedule, Until: s.To, Override: s.Override, Reason: fmt.Sprintf("on call for team %s %s", team, s.Reason)}, nil
}

func nobody(format string, args ...any) *problem.Error {
	return problem.New(problem.NotFound, format, args...)
}
