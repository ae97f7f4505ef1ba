package flow

import (
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Gather is how long a page waits for the other tenants' alerts of the same
// step, so that its first line says for whom.
const Gather = 2 * time.Second

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
	outbox.Ask(tx, "itsm/"+system, delivery.Delivery{Key: string(i.ID) + "/ticket/" + system, Kind: delivery.Mirror, Verb: outbox.Ticket,
		Subject: IncidentsSubject(i.Environment), Ref: string(i.ID), Incident: i.Number, Version: t.Version,
		Payload: partition.Payload(outbox.TicketJob{System: system, Ticket: t, Known: i.Mirror.Ref})})
}

// askPicture asks for the dashboard's picture at the firing time.
func (h *Handler) askPicture(tx *partition.Tx, i incident.Incident) {
	outbox.Ask(tx, "pictures", delivery.Delivery{Key: string(i.ID) + "/picture/" + i.Transition(), Kind: delivery.Call, Verb: outbox.Picture,
		Subject: IncidentsSubject(i.Environment), Ref: string(i.ID), Incident: i.Number, NotBefore: tx.Now().Add(Gather / 2), NotAfter: tx.Now().Add(time.Hour),
		Payload: partition.Payload(outbox.PictureJob{Environment: i.Environment, Incident: string(i.ID), Transition: i.Transition()})})
}

func (h *Handler) askCall(tx *partition.Tx, c oncall.Call, p oncall.Page) {
	outbox.Ask(tx, c.Destination(), delivery.Delivery{Key: c.Key, Kind: delivery.Call, Verb: outbox.Page, Subject: IncidentsSubject(p.Environment),
		Ref: string(p.ID), Incident: p.Number, NotBefore: tx.Now().Add(Gather), NotAfter: c.NotAfter, Payload: partition.Payload(outbox.PageJob{Environment: p.Environment, Call: c})})
}

// outbox makes a partition's.
func (s *Shared) outbox() *outbox.Box {
	return outbox.New(outbox.Options{
		Send:    func(d delivery.Delivery, done func(delivery.Result)) { s.Sender.Send(d, done) },
		Metrics: func() *outbox.Metrics { return s.Metrics.Outbox },
		Post: func(home store.Partition, f func(*partition.Tx, *outbox.Box) error) {
			if seat, ok := s.Seat(home); ok {
				seat.Owner.Post(func(tx *partition.Tx) error { return f(tx, seat.Handler.out) })
			}
		},
	})
}

// wake takes up, once, what an earlier life of the process left under way.
func (h *Handler) wake(tx *partition.Tx) error {
	if h.woken {
		return nil
	}
	if err := h.out.Wake(tx); err != nil {
		return err
	}
	tx.After(func() { h.woken = true })
	return h.refresh(tx) // the policy, catalog or number of tenants may be others than when the process stopped
}
