package flow

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Collections of a destination.
const (
	deliveries   = "delivery"    // delivery.Delivery by key
	destinations = "destination" // delivery.Destination by name
)

const timerDelivery = "delivery"

// gather is how long a page waits for the other tenants' alerts of the same
// step, so that its first line says for whom.
const gather = 2 * time.Second

// What a delivery does.
const (
	VerbTicket  = "ticket"
	VerbPicture = "picture"
	VerbPage    = "page"
)

// TicketJob is the payload of a ticket's delivery.
type TicketJob struct {
	System string      `json:"system"`
	Ticket itsm.Ticket `json:"ticket"`
	Known  itsm.Ref    `json:"known"`
}

// PictureJob is the payload of a picture's delivery.
type PictureJob struct {
	Environment string `json:"environment"`
	Incident    string `json:"incident"`
	Transition  string `json:"transition"`
}

// PageJob is the payload of a page's delivery.
type PageJob struct {
	Environment string      `json:"environment"`
	Call        oncall.Call `json:"call"`
}

// askTicket asks for the incident's mirror in its ticket system.
func (h *Handler) askTicket(tx *partition.Tx, i incident.Incident) {
	team, _ := h.s.Rules().Catalog.Team(i.Team)
	system, queue, live := h.s.Settings.Ticket(team)
	if pinned := i.Mirror.System; pinned != "" && pinned != system {
		team.ITSM.System, team.ITSM.Queue = pinned, "" // the team's queue is one of its present system
		system, queue, live = h.s.Settings.Ticket(team)
	}
	if !live {
		return
	}
	t := i.Ticket(incident.Links{Incident: h.s.Settings.IncidentURL(string(i.ID)), Queue: queue})
	h.ask(tx, "itsm/"+system, delivery.Delivery{Key: string(i.ID) + "/ticket/" + system, Kind: delivery.Mirror, Verb: VerbTicket,
		Subject: IncidentsSubject(i.Environment), Ref: string(i.ID), Incident: i.Number, Version: t.Version,
		Payload: partition.Payload(TicketJob{System: system, Ticket: t, Known: i.Mirror.Ref})})
}

// askPicture asks for the dashboard's picture at the firing time.
func (h *Handler) askPicture(tx *partition.Tx, i incident.Incident) {
	h.ask(tx, "pictures", delivery.Delivery{Key: string(i.ID) + "/picture/" + i.Transition(), Kind: delivery.Call, Verb: VerbPicture,
		Subject: IncidentsSubject(i.Environment), Ref: string(i.ID), Incident: i.Number, NotBefore: tx.Now().Add(gather / 2), NotAfter: tx.Now().Add(time.Hour),
		Payload: partition.Payload(PictureJob{Environment: i.Environment, Incident: string(i.ID), Transition: i.Transition()})})
}

func (h *Handler) askCall(tx *partition.Tx, c oncall.Call, p oncall.Page) {
	h.ask(tx, c.Destination(), delivery.Delivery{Key: c.Key, Kind: delivery.Call, Verb: VerbPage, Subject: IncidentsSubject(p.Environment),
		Ref: string(p.ID), Incident: p.Number, NotBefore: tx.Now().Add(gather), NotAfter: c.NotAfter, Payload: partition.Payload(PageJob{Environment: p.Environment, Call: c})})
}

func (h *Handler) ask(tx *partition.Tx, destination string, d delivery.Delivery) {
	d.Destination, d.Trace = destination, tx.Trace()
	tx.Effect(store.Effect{Destination: destination, Input: store.Input{ID: fmt.Sprintf("%s/%d", d.Key, d.Version), Kind: inputEffect, Version: 1, Payload: partition.Payload(d)}})
}

// accept queues a delivery at its destination.
func (h *Handler) accept(tx *partition.Tx, in store.Input) error {
	d, err := payload[delivery.Delivery](in)
	if err != nil {
		return err
	}
	var stored delivery.Delivery
	var old *delivery.Delivery
	if ok, err := tx.Get(deliveries, d.Key, &stored); err != nil {
		return err
	} else if ok {
		old = &stored
	}
	next, changed := delivery.Accept(old, d, tx.Now())
	if !changed {
		return nil
	}
	return h.advance(tx, next)
}

// due takes up a delivery whose time has come.
func (h *Handler) due(tx *partition.Tx, key string) error {
	var d delivery.Delivery
	if ok, err := tx.Get(deliveries, key, &d); err != nil || !ok {
		return err
	}
	return h.advance(tx, d)
}

// advance begins an attempt when one may begin. That it has begun is committed
// before anything is sent.
func (h *Handler) advance(tx *partition.Tx, d delivery.Delivery) error {
	var dest delivery.Destination
	if _, err := tx.Get(destinations, d.Destination, &dest); err != nil {
		return err
	}
	next, begin, askAt := delivery.Start(d, dest, tx.Now())
	if !askAt.IsZero() {
		tx.SetTimer(store.Timer{ID: d.Key, At: askAt, Subject: d.Key, Kind: timerDelivery})
	}
	if begin {
		home := tx.Partition()
		tx.After(func() {
			h.sending[next.Key] = true
			h.s.Sender.Send(next, func(r delivery.Result) { h.s.attempted(home, next, r) })
		})
	}
	tx.After(func() { h.s.Metrics.Waiting.add(h, next) })
	return tx.Put(deliveries, next.Key, "delivery", 1, next)
}

// attempted hands the result of an attempt to the destination's owner.
func (s *Shared) attempted(home store.Partition, d delivery.Delivery, r delivery.Result) {
	r.Key, r.Version, r.Attempt = d.Key, d.Version, d.Attempts
	seat, ok := s.Seat(home)
	if !ok { // whoever serves it now takes the delivery up as interrupted
		return
	}
	seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.finish(tx, r) })
}

// finish decides what follows from an attempt.
func (h *Handler) finish(tx *partition.Tx, r delivery.Result) error {
	tx.After(func() { delete(h.sending, r.Key) })
	var d delivery.Delivery
	if ok, err := tx.Get(deliveries, r.Key, &d); err != nil || !ok {
		return err
	}
	var dest delivery.Destination
	if _, err := tx.Get(destinations, d.Destination, &dest); err != nil {
		return err
	}
	next, after, out := delivery.Finish(d, dest, r, tx.Now())
	if after != dest {
		if err := tx.Put(destinations, d.Destination, "destination", 1, after); err != nil {
			return err
		}
	}
	h.s.Metrics.Deliveries.WithLabelValues(d.Verb, outcomeLabel(r)).Inc()
	if out != nil {
		final := "trouble"
		if out.Final {
			final = "final"
		}
		tx.Send(store.Input{ID: strings.Join([]string{d.Key, fmt.Sprint(r.Version), fmt.Sprint(r.Attempt), final, d.CreatedAt.Format(time.RFC3339Nano)}, "/"),
			Kind: inputOutcome, Version: 1, Subject: d.Subject, Payload: partition.Payload(*out)})
	}
	if next == nil {
		tx.Delete(deliveries, d.Key)
		tx.After(func() { h.s.Metrics.Waiting.remove(h, d.Key) })
		tx.SetTimer(store.Timer{ID: d.Key})
		return nil
	}
	return h.advance(tx, *next)
}

func outcomeLabel(r delivery.Result) string {
	switch {
	case r.OK:
		return "ok"
	case r.Withdrawn:
		return "withdrawn"
	case r.Retryable:
		return "retry"
	}
	return "refused"
}

// wake takes up, once, what an earlier life of the process left under way.
func (h *Handler) wake(tx *partition.Tx) error {
	if h.woken {
		return nil
	}
	records, err := tx.List(deliveries)
	if err != nil {
		return err
	}
	for _, r := range records {
		d, err := decode[delivery.Delivery](r)
		if err != nil {
			return err
		}
		tx.After(func() { h.s.Metrics.Waiting.add(h, d) })
		if d.Sending == 0 || h.sending[d.Key] {
			continue
		}
		if err := h.advance(tx, delivery.Interrupted(d, tx.Now())); err != nil {
			return err
		}
	}
	tx.After(func() { h.woken = true })
	return h.refresh(tx) // the policy, catalog or number of tenants may be others than when the process stopped
}
