package response

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// TeamDrills lists the drills of a team, or of all, the newest first. environment is the
// default one.
func TeamDrills(ctx context.Context, s store.Store, environment string, team catalog.TeamID) ([]oncall.Drill, error) {
	out, err := partition.AllOf[oncall.Drill](ctx, s, Subject(environment), Drills)
	if err != nil {
		return nil, err
	}
	out = slices.DeleteFunc(out, func(d oncall.Drill) bool { return team != "" && d.Team != team })
	slices.SortFunc(out, func(a, b oncall.Drill) int { return strings.Compare(b.ID, a.ID) })
	return out, nil
}

// StartDrill tests the way to whoever of a team is on call. To be called in the
// partition of the default environment's incidents.
func (k *Desk) StartDrill(tx *partition.Tx, team catalog.TeamID, by string) (oncall.Drill, error) {
	t, ok := k.Rules().Catalog.Team(team)
	if !ok {
		return oncall.Drill{}, standby.NoTeam()
	}
	drills, err := partition.Values[oncall.Drill](tx.List(Drills))
	if err != nil {
		return oncall.Drill{}, err
	}
	for _, d := range drills {
		if d.Team == team && d.State == oncall.DrillWaiting {
			return d, problem.New(problem.Conflict, "a drill of the team is under way").WithHint("it ends at %s at the latest", d.EndsAt.Format(time.RFC3339))
		}
	}
	duty, err := k.Duty.Roster().Who(team, tx.Now())
	if err != nil {
		return oncall.Drill{}, err
	}
	c := oncall.StartDrill(k.Environment, duty, by, cmp.Or(t.UnreachableAfter, catalog.DefaultUnreachable), k.Channels(), tx.Now())
	return c.Drill, k.drill(tx, c)
}

func (k *Desk) drill(tx *partition.Tx, c oncall.DrillChange) error {
	tx.Log(c.Ledger...)
	for _, t := range c.Timers {
		tx.SetTimer(t)
	}
	if c.Page != nil {
		if err := k.applyPage(tx, *c.Page); err != nil {
			return err
		}
	}
	if !c.Changed {
		return nil
	}
	return tx.Put(Drills, c.Drill.ID, oncall.DrillKind, oncall.DrillVersion, c.Drill)
}

func getDrill(tx *partition.Tx, id string) (oncall.Drill, error) {
	return get[oncall.Drill](tx, Drills, id, "drill")
}

// drilled tells a page's drill how the page stands.
func (k *Desk) drilled(tx *partition.Tx, p oncall.Page) error {
	d, err := getDrill(tx, p.Place.Drill)
	if err != nil {
		return err
	}
	return k.drill(tx, oncall.Drilled(d, p, tx.Now()))
}

// drillOver is the drill's timer.
func (k *Desk) drillOver(tx *partition.Tx, id string) error {
	d, err := getDrill(tx, id)
	if err != nil {
		return err
	}
	p, err := getPage(tx, string(d.Page))
	if err != nil {
		return err
	}
	return k.drill(tx, oncall.DrillOver(d, p, tx.Now()))
}

// passDrill is the button of a drill's page. One that is over stays as it is.
func (k *Desk) passDrill(tx *partition.Tx, p oncall.Page) (incident.Holder, error) {
	d, err := getDrill(tx, p.Place.Drill)
	if err != nil || d.State != oncall.DrillWaiting {
		return incident.Holder{Over: true, Text: "The drill is over: " + d.Detail + "."}, err
	}
	who := k.actor(p.Person)
	c, a := oncall.Acknowledge(p, oncall.Actor{Person: who.Person, Name: who.Name}, tx.Now())
	if err := k.applyPage(tx, c); err != nil {
		return incident.Holder{}, err
	}
	return incident.Holder{Taken: a.First, By: who, Via: "page", Since: a.Since, Text: "The drill has passed."}, k.drilled(tx, c.Page)
}
