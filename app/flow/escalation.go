package flow

import (
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Escalations holds oncall.Escalation by incident, beside the incidents.
const Escalations = "escalation"

func (h *Handler) book(t catalog.TeamID) oncall.Book {
	return oncall.Book{Roster: h.s.Duty().Roster(), Channels: h.s.Settings.Channels(), Live: h.s.Duty().Live(t)}
}

// page asks for the calls that an incident wants, and tells the incident.
func (h *Handler) page(tx *partition.Tx, i incident.Incident, w incident.PageWanted) (incident.Change, error) {
	return h.call(tx, incident.Change{Incident: i}, oncall.Begin(oncall.Wanted(w), h.book(w.Team), tx.Now()))
}

// call stores what was decided of an escalation, asks for its pages and adds
// what the incident makes of them to a change of it.
func (h *Handler) call(tx *partition.Tx, c incident.Change, calls oncall.Calls) (incident.Change, error) {
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
		if err := h.applyPage(tx, p); err != nil {
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
func (h *Handler) escalate(tx *partition.Tx, id string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, id, &e); err != nil || !ok || i.State != incident.StateOpen {
		return err
	}
	c, err := h.call(tx, incident.Change{Incident: i}, oncall.Escalate(e, h.book(e.Wanted.Team), tx.Now()))
	if err != nil {
		return err
	}
	return h.apply(tx, c)
}

// unreached takes the next step at once when a page cannot be delivered.
func (h *Handler) unreached(tx *partition.Tx, c incident.Change, p oncall.Page) (incident.Change, error) {
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, p.Incident, &e); err != nil || !ok || c.Incident.State != incident.StateOpen {
		return c, err
	}
	return h.call(tx, c, oncall.Unreached(e, p, h.book(e.Wanted.Team), tx.Now()))
}

// undelivered is the contact's timer of a page.
func (h *Handler) undelivered(tx *partition.Tx, id string) error {
	p, err := getPage(tx, id)
	if err != nil {
		return err
	}
	return h.pageChanged(tx, p, oncall.Undelivered(p, tx.Now()))
}

// pageChanged stores a page's change and tells its incident.
func (h *Handler) pageChanged(tx *partition.Tx, was oncall.Page, c oncall.PageChange) error {
	if err := h.applyPage(tx, c); err != nil {
		return err
	}
	if was.Place.Drill != "" {
		return h.drilled(tx, c.Page)
	}
	i, err := getIncident(tx, was.Incident)
	if err != nil {
		return err
	}
	change := incident.PageOutcome(i, pageResult(c.Page), tx.Now())
	if c.Page.State == oncall.Failed && was.State != oncall.Failed || c.Page.Unreached && !was.Unreached {
		if change, err = h.unreached(tx, change, c.Page); err != nil {
			return err
		}
	}
	return h.apply(tx, change)
}

// endCalls takes that nobody else is to be asked.
func (h *Handler) endCalls(tx *partition.Tx, i incident.Incident) error {
	var e oncall.Escalation
	if ok, err := tx.Get(Escalations, string(i.ID), &e); err != nil || !ok {
		return err
	}
	_, err := h.call(tx, incident.Change{Incident: i}, oncall.End(e, "the incident is "+string(i.State), tx.Now()))
	return err
}

func getPage(tx *partition.Tx, id string) (oncall.Page, error) {
	var p oncall.Page
	ok, err := tx.Get(Pages, id, &p)
	if err == nil && !ok {
		err = problem.New(problem.NotFound, "there is no such page")
	}
	return p, err
}

// Release gives an acknowledged incident back, for a person.
func (h *Handler) Release(tx *partition.Tx, id string, by incident.Actor, via, note string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	c, ok := incident.Release(h.s.weigh(i, nil, tx.Now()), by, via, note, tx.Now())
	if !ok {
		return problem.New(problem.Conflict, "nobody has the incident: it is %s", i.State)
	}
	return h.apply(tx, c)
}
