package oncall

import (
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
)

// Callee is one whom an escalation would call.
type Callee struct {
	Step       int           // from 1: the person on call
	LastResort bool          // then Step is that of the one before
	After      time.Duration // since the one before, unanswered
	Person     catalog.PersonID
	Name       string
	Reason     string // why that person
	Problem    string // why nobody; then Person is empty
}

// Chain lists whom one round of an urgent escalation of a team would call at the
// instant, the last resort included. Somebody may stand in it twice; when it
// comes to it they are called once.
func Chain(team catalog.TeamID, r rota.Roster, now time.Time) []Callee {
	b := build(Escalation{Wanted: Wanted{Team: team, Urgent: true}, Round: 1}, Book{Roster: r}, now)
	b.team.EscalationRounds = 1
	out := []Callee{}
	for b.step() {
		e := b.Escalation
		c := Callee{Step: e.Step, LastResort: e.Last}
		switch {
		case e.Last:
			c.After = b.team.LastResort.After
		case e.Step > 1:
			c.After = b.team.Escalation[e.Step-2].After
		}
		d, reason, err := b.duty()
		if err != nil {
			p := problem.From(err)
			c.Problem = p.Message + " (" + p.Hint + ")"
		} else {
			c.Person, c.Name, c.Reason = d.Person.ID, b.name(d.Person.ID), reason
		}
		out = append(out, c)
	}
	return out
}
