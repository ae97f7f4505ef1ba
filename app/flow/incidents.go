package flow

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/store"
)

// Collections of an environment's incidents.
const (
	Incidents = "incident" // incident.Incident by id
	active    = "active"   // the ids of those that are open or were resolved lately
	Pages     = "page"     // oncall.Page by id
	counters  = "counter"  // the last number given

	environments = "environment" // names of those that have had incidents
)

// timerForget takes a resolved incident out of the active ones.
const timerForget = "incident.forget"

func nextNumber(tx *partition.Tx) (int, error) {
	var last struct {
		Last int `json:"last"`
	}
	if _, err := tx.Get(counters, "incident", &last); err != nil {
		return 0, err
	}
	last.Last++
	return last.Last, tx.Put(counters, "incident", "counter", 1, last)
}

func putIncident(tx *partition.Tx, i incident.Incident) error {
	id := string(i.ID)
	if i.State == incident.StateResolved {
		tx.SetTimer(store.Timer{ID: id + "/forget", At: i.ResolvedAt.Add(router.Window + time.Minute), Subject: id, Kind: timerForget})
	} else {
		tx.SetTimer(store.Timer{ID: id + "/forget"})
		if err := tx.Put(active, id, "active", 1, struct{}{}); err != nil {
			return err
		}
	}
	return tx.Put(Incidents, id, incident.RecordKind, incident.RecordVersion, i)
}

func getIncident(tx *partition.Tx, id string) (incident.Incident, error) {
	var i incident.Incident
	ok, err := tx.Get(Incidents, id, &i)
	if err == nil && !ok {
		err = problem.New(problem.NotFound, "there is no such incident")
	}
	return i, err
}

func activeIncidents(tx *partition.Tx) ([]incident.Incident, error) {
	ids, err := tx.List(active)
	if err != nil {
		return nil, err
	}
	out := make([]incident.Incident, 0, len(ids))
	for _, r := range ids {
		i, err := getIncident(tx, r.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

func (h *Handler) incidentTimer(tx *partition.Tx, t store.Timer) error {
	if t.Kind == timerForget {
		tx.Delete(active, t.Subject)
		return nil
	}
	switch t.Kind {
	case oncall.EscalateTimer:
		return h.escalate(tx, t.Subject)
	case oncall.ContactTimer:
		return h.undelivered(tx, t.Subject)
	case oncall.DrillTimer:
		return h.drillOver(tx, t.Subject)
	}
	i, err := getIncident(tx, incidentID(t.Subject))
	if err != nil {
		return err
	}
	if t.Kind == incident.SilentTimer {
		return h.apply(tx, incident.Silent(h.s.weigh(i, nil, tx.Now()), tx.Now()))
	}
	open, err := activeIncidents(tx)
	if err != nil {
		return err
	}
	return h.apply(tx, incident.Settled(h.weigh(open, i, nil, tx.Now()), tx.Now()))
}

func incidentID(subject string) string {
	return strings.TrimPrefix(subject, "incident/")
}

func pageResult(p oncall.Page) incident.PageResult {
	return incident.PageResult{Page: string(p.ID), State: string(p.State), Person: p.PersonName, Via: p.Channel, Detail: p.Detail}
}

// applyPage stores what was decided of a page, asks for its call and tells its
// incident in the same commit.
func (h *Handler) applyPage(tx *partition.Tx, c oncall.PageChange) error {
	tx.Log(c.Ledger...)
	for _, t := range c.Timers {
		tx.SetTimer(t)
	}
	if c.Call != nil {
		h.askCall(tx, *c.Call, c.Page)
	}
	if !c.Changed {
		return nil
	}
	return tx.Put(Pages, string(c.Page.ID), oncall.RecordKind, oncall.RecordVersion, c.Page)
}

// withdraw stops what was not sent yet, and asks nobody else.
func (h *Handler) withdraw(tx *partition.Tx, i incident.Incident) error {
	if err := h.endCalls(tx, i); err != nil {
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
		if err := h.applyPage(tx, oncall.Withdraw(p, "incident "+fmt.Sprint(i.Number)+" is "+string(i.State), tx.Now())); err != nil {
			return err
		}
	}
	return nil
}

// outcome takes what became of a ticket, a picture or a page.
func (h *Handler) outcome(tx *partition.Tx, in store.Input) error {
	o, err := partition.DecodeInput[delivery.Outcome](in)
	if err != nil {
		return err
	}
	switch {
	case o.Verb == outbox.Page:
		return h.pageOutcome(tx, o)
	case in.Subject == ReviewsSubject:
		return h.reviewOutcome(tx, o)
	}
	i, err := getIncident(tx, o.Ref)
	if err != nil {
		return err
	}
	switch o.Verb {
	case outbox.Ticket:
		r := incident.TicketResult{System: i.Mirror.System, Version: o.Version, Error: o.Error, Final: o.Final && !o.OK}
		var got itsm.Result
		if len(o.Data) > 0 { // with an error too: the ticket may be there, and only part of it not written
			if err := json.Unmarshal(o.Data, &got); err != nil {
				return problem.Wrap(err, problem.Internal, "a ticket's result cannot be read")
			}
		}
		if r.Ref = got.Ref; o.OK {
			r.State, r.Created = got.State, got.Created
		}
		return h.apply(tx, incident.TicketOutcome(i, r, tx.Now()))
	case outbox.Picture:
		if !o.Final {
			return nil
		}
		var d incident.Dashboard
		if len(o.Data) > 0 {
			if err := json.Unmarshal(o.Data, &d); err != nil {
				return problem.Wrap(err, problem.Internal, "a picture's result cannot be read")
			}
		}
		if d.Error = o.Error; !o.OK && d.Error == "" {
			d.Error = "it could not be drawn"
		}
		return h.apply(tx, incident.DashboardAttached(i, d, tx.Now()))
	}
	return problem.New(problem.Internal, "an outcome of an unknown kind")
}

func (h *Handler) pageOutcome(tx *partition.Tx, o delivery.Outcome) error {
	p, err := getPage(tx, o.Ref)
	if err != nil {
		return err
	}
	var detail string
	if o.OK {
		if err := json.Unmarshal(o.Data, &detail); err != nil {
			return problem.Wrap(err, problem.Internal, "a page's receipt cannot be read")
		}
	} else {
		detail = o.Error
	}
	c := oncall.Outcome(p, oncall.Result{Key: o.Key, Sent: o.OK, Withheld: o.Withdrawn, Detail: detail, Retryable: !o.Final}, tx.Now())
	if o.OK && p.Place.First() {
		i, err := getIncident(tx, p.Incident)
		if err != nil {
			return err
		}
		h.s.Metrics.PageSeconds.Observe(tx.Now().Sub(i.OnsetAt).Seconds())
	}
	return h.pageChanged(tx, p, c)
}

// ObservedInput is how a change made in the ticket system is offered to an
// environment's incidents; v is what its resolution says that it was, if anything.
func ObservedInput(environment, id string, o itsm.Observed, v alert.Verdict, now time.Time) store.Input {
	return store.Input{ID: id, Kind: inputObserved, Version: 1, Subject: IncidentsSubject(environment), At: now, Payload: partition.Payload(observation{o, v})}
}

// observation is what somebody did in the ticket system.
type observation struct {
	itsm.Observed
	Verdict alert.Verdict `json:"verdict,omitempty"`
}

// observed takes what somebody did in the ticket system.
func (h *Handler) observed(tx *partition.Tx, in store.Input) error {
	seen, err := partition.DecodeInput[observation](in)
	if err != nil {
		return err
	}
	i, err := getIncident(tx, seen.Key)
	if err != nil {
		return err
	}
	by := h.s.personOf(seen.Actor)
	if err := h.apply(tx, incident.TicketObserved(i, seen.Observed, by, tx.Now())); err != nil || seen.Verdict == "" {
		return err
	}
	if i, err = getIncident(tx, seen.Key); err != nil {
		return err
	}
	c, said := incident.TicketJudged(i, seen.Observed, by, seen.Verdict, tx.Now())
	return h.judged(tx, c, said)
}

func (s *Shared) personOf(itsmUser string) incident.Actor {
	for _, p := range s.Rules().Catalog.People {
		if itsmUser != "" && p.ITSMUser == itsmUser {
			return incident.Actor{Person: p.ID, Name: p.Name, ITSMUser: p.ITSMUser}
		}
	}
	return incident.Actor{}
}

func (s *Shared) actor(id catalog.PersonID) incident.Actor {
	p, ok := s.Rules().Catalog.Person(id)
	if !ok {
		return incident.Actor{Person: id, Name: string(id)}
	}
	return incident.Actor{Person: p.ID, Name: p.Name, ITSMUser: p.ITSMUser}
}

// AcknowledgePage is the press of the button of one person's page.
func (h *Handler) AcknowledgePage(tx *partition.Tx, id string) (incident.Holder, error) {
	p, err := getPage(tx, id)
	if err != nil {
		return incident.Holder{}, err
	}
	if p.Place.Drill != "" {
		return h.passDrill(tx, p)
	}
	i, err := getIncident(tx, p.Incident)
	if err != nil {
		return incident.Holder{}, err
	}
	who := h.s.actor(p.Person)
	c, _ := oncall.Acknowledge(p, oncall.Actor{Person: who.Person, Name: who.Name}, tx.Now())
	if err := h.applyPage(tx, c); err != nil {
		return incident.Holder{}, err
	}
	change, holder := incident.Acknowledge(i, who, "page", tx.Now())
	return holder, h.apply(tx, change)
}

// Acknowledge takes an incident for a person, from the view or the API.
func (h *Handler) Acknowledge(tx *partition.Tx, id string, by incident.Actor, via string) (incident.Holder, error) {
	i, err := getIncident(tx, id)
	if err != nil {
		return incident.Holder{}, err
	}
	c, holder := incident.Acknowledge(i, by, via, tx.Now())
	return holder, h.apply(tx, c)
}

// Resolve ends an incident for a person.
func (h *Handler) Resolve(tx *partition.Tx, id string, by incident.Actor, via, note string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	return h.apply(tx, incident.Resolve(i, by, via, note, tx.Now()))
}

// Note adds a person's note to an incident; key makes it idempotent.
func (h *Handler) Note(tx *partition.Tx, id string, by incident.Actor, key, text string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	return h.apply(tx, incident.Note(i, by, key, text, tx.Now()))
}

func unknownInput(in store.Input) error {
	return problem.New(problem.Internal, "an input of kind %s is not known to this release", in.Kind)
}
