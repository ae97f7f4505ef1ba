package response

import (
	"cmp"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// InputAlert is the kind of an alert's state, at version 1: alert.Alert.
const InputAlert = "alert"

// Alert is how an alert's state is offered to the incidents of its environment.
func Alert(id string, a alert.Alert) store.Input {
	return store.Input{ID: id, Kind: InputAlert, Version: 1, Subject: Subject(a.Environment), Payload: partition.Payload(a)}
}

// alertChanged routes an alert to its incident and lets the incident decide.
func (k *Desk) alertChanged(tx *partition.Tx, in store.Input) error {
	a, err := partition.DecodeInput[alert.Alert](in)
	if err != nil {
		return err
	}
	open, err := activeIncidents(tx)
	if err != nil {
		return err
	}
	began := time.Now()
	d := router.Route(Candidates(open), a, tx.Now())
	k.traceRoute(tx, began, d.Ignore)
	i := slices.IndexFunc(open, func(i incident.Incident) bool { return string(i.ID) == d.Incident })
	switch {
	case d.Ignore:
		return nil
	case i < 0:
		return k.open(tx, in, a, d, open)
	case d.Reopen:
		c := incident.Reopen(k.weighAmong(open, open[i], &a, tx.Now()), a, d.Narrow, d.Reason, 0, tx.Now())
		service, _ := k.Rules().Catalog.Service(catalog.ServiceID(c.Incident.Service))
		c.Incident.RunbookURL = cmp.Or(c.Incident.RunbookURL, service.Runbook)
		return k.apply(tx, c)
	}
	if err := k.apply(tx, incident.WithAlert(k.weighAmong(open, open[i], &a, tx.Now()), a, d.Narrow, d.Reason, tx.Now())); err != nil {
		return err
	}
	return k.merge(tx, open, d)
}

// open gives a new incident its number and its owner. others are those that there are.
func (k *Desk) open(tx *partition.Tx, in store.Input, a alert.Alert, d router.Decision, others []incident.Incident) error {
	number, err := nextNumber(tx)
	if err != nil {
		return err
	}
	rules := k.Rules()
	team, why := rules.Catalog.Owner(catalog.ServiceID(a.Service))
	if a.Kind == rule.Source {
		team, _, why = rules.Catalog.SourceOwner(a.Evidence.Source)
	}
	system, _, _ := k.Ticket(team)
	service, _ := rules.Catalog.Service(catalog.ServiceID(a.Service))
	o := incident.Opening{ID: incident.NewID(tx.Now(), in.ID), Number: number, Team: team.ID, OwnerReason: why, System: system, Reason: d.Reason,
		RunbookURL: service.Runbook, Live: k.Duty.Live(team.ID),
		WarningPages: len(team.WorkingHours.Hours) > 0, SilentAfter: team.SilentAfter, NoPage: rules.Policy.Silent(a.Environment)}
	first := k.weighAmong(others, incident.Incident{Environment: a.Environment, Service: a.Service, Slice: a.Slice, Team: team.ID}, &a, tx.Now())
	o.Weighed, o.Likely = first.Stakes, first.Likely
	if err := tx.Put(Environments, a.Environment, "environment", 1, struct{}{}); err != nil {
		return err
	}
	tx.After(func() {
		k.Metrics.Opened.Inc()
		k.Opened(a.Environment)
		k.Logger.Info("an incident was opened", logkey.Incident, number, logkey.Tenant, a.Tenant, "team", team.ID)
	})
	return k.apply(tx, incident.Open(a, o, tx.Now()))
}

// apply stores what an incident decided and asks for what it wants done.
func (k *Desk) apply(tx *partition.Tx, c incident.Change) error {
	k.traceIncident(tx, c.Incident)
	for _, t := range c.Timers {
		tx.SetTimer(t)
	}
	tx.Log(c.Ledger...)
	if c.Withdraw {
		if err := k.withdraw(tx, c.Incident); err != nil {
			return err
		}
	}
	if c.Page != nil {
		called, err := k.page(tx, c.Incident, *c.Page)
		if err != nil {
			return err
		}
		tx.Log(called.Ledger...)
		c.Incident, c.Ticket, c.Changed = called.Incident, c.Ticket || called.Ticket, true
	}
	if c.Dashboard {
		k.askPicture(tx, c.Incident)
	}
	if c.Ticket && k.askTicket(tx, c.Incident) {
		c.Incident.Mirror.Unasked, c.Changed = false, true
	}
	if !c.Changed {
		return nil
	}
	return putIncident(tx, c.Incident)
}

// merge makes incidents that turned out to be part of the one an alert joined part of
// it, all in the commit that took the alert. Open are those that there were before it.
func (k *Desk) merge(tx *partition.Tx, open []incident.Incident, d router.Decision) error {
	for _, id := range d.Merge {
		into, err := getIncident(tx, d.Incident)
		if err != nil {
			return err
		}
		from, err := getIncident(tx, id)
		if err != nil {
			return err
		}
		elder, younger, ok := incident.Merge(k.weighAmong(open, into, nil, tx.Now()), from, d.Reason, tx.Now())
		if !ok {
			continue
		}
		for _, c := range []incident.Change{younger, elder} { // the one is over before the other calls anybody
			if err := k.apply(tx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// traceRoute makes the stage of a routing decision.
func (k *Desk) traceRoute(tx *partition.Tx, began time.Time, ignored bool) {
	if k.Tracer == nil {
		return
	}
	span := k.Tracer.After(tx.Trace(), "route", began, attribute.Bool("ignored", ignored), attribute.Int(logkey.Partition, int(tx.Partition())))
	span.End()
	tx.SetTrace(span.Traceparent())
}

// traceIncident makes the stage of an incident's decision, when a trace led to it.
func (k *Desk) traceIncident(tx *partition.Tx, i incident.Incident) {
	if k.Tracer == nil || tx.Trace() == "" {
		return
	}
	span := k.Tracer.After(tx.Trace(), logkey.Incident, time.Now(), attribute.Int(logkey.Incident, i.Number), attribute.String("state", string(i.State)))
	tx.SetTrace(span.Traceparent())
	tx.After(span.End)
}
