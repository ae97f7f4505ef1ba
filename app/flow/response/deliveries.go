package response

import (
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Gather is how long a page waits for the other tenants' alerts of the same
// step, so that its first line says for whom.
const Gather = 2 * time.Second

// ticketOf says which system takes an incident's ticket, in which queue, and whether
// anything may be written there. A ticket stays in the system that it is in.
func (k *Desk) ticketOf(i incident.Incident) (system, queue string, live bool) {
	team, _ := k.Rules().Catalog.Team(i.Team)
	system, queue, live = k.Ticket(team)
	if pinned := i.Mirror.System; pinned != "" && pinned != system {
		team.ITSM.System, team.ITSM.Queue = pinned, "" // the team's queue is one of its present system
		system, queue, live = k.Ticket(team)
	}
	return system, queue, live
}

// askTicket asks for the incident's mirror in its ticket system. One that is over and was
// never asked for, as its team was not live, needs none. asked says that one was, the first
// time.
func (k *Desk) askTicket(tx *partition.Tx, i incident.Incident) (asked bool) {
	system, queue, live := k.ticketOf(i)
	if !live || i.Mirror.Unasked && i.State == incident.StateResolved {
		return false
	}
	t := i.Ticket(incident.Links{Incident: k.IncidentURL(string(i.ID)), Queue: queue})
	outbox.Ask(tx, "itsm/"+system, delivery.Delivery{Key: string(i.ID) + "/ticket/" + system, Kind: delivery.Mirror, Verb: outbox.Ticket,
		Subject: Subject(i.Environment), Ref: string(i.ID), Incident: i.Number, Version: t.Version,
		Payload: partition.Payload(outbox.TicketJob{System: system, Ticket: t, Known: i.Mirror.Ref})})
	return i.Mirror.Unasked
}

// askPicture asks for the dashboard's picture at the firing time.
func (k *Desk) askPicture(tx *partition.Tx, i incident.Incident) {
	outbox.Ask(tx, "pictures", delivery.Delivery{Key: string(i.ID) + "/picture/" + i.Transition(), Kind: delivery.Call, Verb: outbox.Picture,
		Subject: Subject(i.Environment), Ref: string(i.ID), Incident: i.Number, NotBefore: tx.Now().Add(Gather / 2), NotAfter: tx.Now().Add(time.Hour),
		Payload: partition.Payload(outbox.PictureJob{Environment: i.Environment, Incident: string(i.ID), Transition: i.Transition()})})
}

func (k *Desk) askCall(tx *partition.Tx, c oncall.Call, p oncall.Page) {
	outbox.Ask(tx, c.Destination(), delivery.Delivery{Key: c.Key, Kind: delivery.Call, Verb: outbox.Page, Subject: Subject(p.Environment),
		Ref: string(p.ID), Incident: p.Number, NotBefore: tx.Now().Add(Gather), NotAfter: c.NotAfter, Payload: partition.Payload(outbox.PageJob{Environment: p.Environment, Call: c})})
}

// outcome takes what became of a ticket, a picture or a page.
func (k *Desk) outcome(tx *partition.Tx, in store.Input) error {
	o, err := partition.DecodeInput[delivery.Outcome](in)
	if err != nil {
		return err
	}
	if o.Verb == outbox.Page {
		return k.pageOutcome(tx, o)
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
		return k.apply(tx, incident.TicketOutcome(i, r, tx.Now()))
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
		return k.apply(tx, incident.DashboardAttached(i, d, tx.Now()))
	}
	return problem.New(problem.Internal, "an outcome of a delivery of kind %s is not known to this release", o.Verb)
}

func (k *Desk) pageOutcome(tx *partition.Tx, o delivery.Outcome) error {
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
		k.Metrics.PageSeconds.Observe(tx.Now().Sub(i.OnsetAt).Seconds())
	}
	return k.pageChanged(tx, p, c)
}

// InputObserved is the kind of what was seen in a ticket system, at version 1.
const InputObserved = "observed"

// Observed is how a change made in the ticket system is offered to an
// environment's incidents; v is what its resolution says that it was, if anything.
func Observed(environment, id string, o itsm.Observed, v alert.Verdict, now time.Time) store.Input {
	return store.Input{ID: id, Kind: InputObserved, Version: 1, Subject: Subject(environment), At: now, Payload: partition.Payload(observation{o, v})}
}

// observation is what somebody did in the ticket system.
type observation struct {
	itsm.Observed
	Verdict alert.Verdict `json:"verdict,omitempty"`
}

// observed takes what somebody did in the ticket system.
func (k *Desk) observed(tx *partition.Tx, in store.Input) error {
	seen, err := partition.DecodeInput[observation](in)
	if err != nil {
		return err
	}
	i, err := getIncident(tx, seen.Key)
	if err != nil {
		return err
	}
	by := k.personOf(seen.Actor)
	if err := k.apply(tx, incident.TicketObserved(i, seen.Observed, by, tx.Now())); err != nil || seen.Verdict == "" {
		return err
	}
	if i, err = getIncident(tx, seen.Key); err != nil {
		return err
	}
	c, said := incident.TicketJudged(i, seen.Observed, by, seen.Verdict, tx.Now())
	return k.judged(tx, c, said)
}
