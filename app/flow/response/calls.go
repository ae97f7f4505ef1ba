package response

import (
	"fmt"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
)

func (k *Desk) book(t catalog.TeamID) oncall.Book {
	return oncall.Book{Roster: k.Duty.Roster(), Channels: k.Channels(), Live: k.Duty.Live(t)}
}

// page asks for the calls that an incident wants, and tells the incident.
func (k *Desk) page(tx *partition.Tx, i incident.Incident, w incident.PageWanted) (incident.Change, error) {
	return k.call(tx, incident.Change{Incident: i}, oncall.Begin(oncall.Wanted(w), k.book(w.Team), tx.Now()))
}

// call stores what was decided of an escalation, asks for its pages and adds
// what the incident makes of them to a change of it.
func (k *Desk) call(tx *partition.Tx, c incident.Change, calls oncall.Calls) (incident.Change, error) {
	tx.Log(calls.Ledger...)
	for _, t := range calls.Timers {
		tx.SetTimer(t)
	}
	if calls.Changed {
		if err := tx.Put(Escalations, calls.Escalation.Wanted.Incident, oncall.EscalationKind, oncall.EscalationVersion, calls.Escalation); err != nil {
			return c, err
		}
	}
	for _, n := range calls.Notes {
		c = then(c, incident.Called(c.Incident, n.Key, n.Text, tx.Now()))
	}
	for _, p := range calls.Pages {
		if err := k.applyPage(tx, p); err != nil {
			return c, err
		}
		c = then(c, incident.PageOutcome(c.Incident, pageResult(p.Page), tx.Now()))
	}
	if calls.Nobody != "" {
		c = then(c, incident.Unpaged(c.Incident, calls.Nobody, tx.Now()))
	}
	return c, nil
}

// then joins two changes of an incident made one after the other in one decision.
func then(first, second incident.Change) incident.Change {
	second.Ledger = append(first.Ledger, second.Ledger...)
	second.Timers = append(first.Timers, second.Timers...)
	second.Ticket, second.Changed = first.Ticket || second.Ticket, first.Changed || second.Changed
	second.Withdraw, second.Dashboard = first.Withdraw || second.Withdraw, first.Dashboard || second.Dashboard
	return second
}

// escalate takes the next step, unless somebody has the incident meanwhile.
func (k *Desk) escalate(tx *partition.Tx, id string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, id, &e); err != nil || !ok || i.State != incident.StateOpen {
		return err
	}
	c, err := k.call(tx, incident.Change{Incident: i}, oncall.Escalate(e, k.book(e.Wanted.Team), tx.Now()))
	if err != nil {
		return err
	}
	return k.apply(tx, c)
}

// unreached takes the next step at once when a page cannot be delivered.
func (k *Desk) unreached(tx *partition.Tx, c incident.Change, p oncall.Page) (incident.Change, error) {
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, p.Incident, &e); err != nil || !ok || c.Incident.State != incident.StateOpen {
		return c, err
	}
	return k.call(tx, c, oncall.Unreached(e, p, k.book(e.Wanted.Team), tx.Now()))
}

// undelivered is the contact's timer of a page.
func (k *Desk) undelivered(tx *partition.Tx, id string) error {
	p, err := getPage(tx, id)
	if err != nil {
		return err
	}
	return k.pageChanged(tx, p, oncall.Undelivered(p, tx.Now()))
}

// pageChanged stores a page's change and tells its incident.
func (k *Desk) pageChanged(tx *partition.Tx, was oncall.Page, c oncall.PageChange) error {
	if err := k.applyPage(tx, c); err != nil {
		return err
	}
	if was.Place.Drill != "" {
		return k.drilled(tx, c.Page)
	}
	i, err := getIncident(tx, was.Incident)
	if err != nil {
		return err
	}
	change := incident.PageOutcome(i, pageResult(c.Page), tx.Now())
	if c.Page.State == oncall.Failed && was.State != oncall.Failed || c.Page.Unreached && !was.Unreached {
		if change, err = k.unreached(tx, change, c.Page); err != nil {
			return err
		}
	}
	return k.apply(tx, change)
}

// endCalls takes that nobody else is to be asked.
func (k *Desk) endCalls(tx *partition.Tx, i incident.Incident) error {
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, string(i.ID), &e); err != nil || !ok {
		return err
	}
	_, err := k.call(tx, incident.Change{Incident: i}, oncall.End(e, "the incident is "+string(i.State), tx.Now()))
	return err
}

func getPage(tx *partition.Tx, id string) (oncall.Page, error) {
	return get[oncall.Page](tx, Pages, id, "page")
}

func pageResult(p oncall.Page) incident.PageResult {
	return incident.PageResult{Page: string(p.ID), State: string(p.State), Person: p.PersonName, Via: p.Channel, Detail: p.Detail}
}

// applyPage stores what was decided of a page, asks for its call and tells its
// incident in the same commit.
func (k *Desk) applyPage(tx *partition.Tx, c oncall.PageChange) error {
	tx.Log(c.Ledger...)
	for _, t := range c.Timers {
		tx.SetTimer(t)
	}
	if c.Call != nil {
		k.askCall(tx, *c.Call, c.Page)
	}
	if !c.Changed {
		return nil
	}
	return tx.Put(Pages, string(c.Page.ID), oncall.RecordKind, oncall.RecordVersion, c.Page)
}

// withdraw stops what was not sent yet, and asks nobody else.
func (k *Desk) withdraw(tx *partition.Tx, i incident.Incident) error {
	if err := k.endCalls(tx, i); err != nil {
		return err
	}
	for _, id := range i.Pages {
		var p oncall.Page
		ok, err := tx.Get(Pages, id, &p)
		if err != nil {
			return err
		}
		if !ok { // erased; the others are withdrawn all the same
			continue
		}
		if err := k.applyPage(tx, oncall.Withdraw(p, "incident "+fmt.Sprint(i.Number)+" is "+string(i.State), tx.Now())); err != nil {
			return err
		}
	}
	return nil
}
