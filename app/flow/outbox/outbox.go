// Package outbox is how what must leave the process does: a delivery is asked for with the
// commit that wants it, queued at its destination, attempted when delivery says so, and
// its outcome sent back to whoever asked.
//
// It knows deliveries and not what is in them; a Sender makes the attempts.
package outbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/delivery"
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

// Timer is the kind of a delivery's timer; its subject is the key.
const Timer = "delivery"

// Kinds of inputs.
const (
	InputEffect  = "effect"  // 1: delivery.Delivery, for a destination
	InputOutcome = "outcome" // 1: delivery.Outcome, for whoever asked
)

// What a delivery does.
const (
	Ticket  = "ticket"
	Picture = "picture"
	Page    = "page"
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

// Sender does what a delivery asks for, outside the partition's goroutine, and
// reports with done exactly once.
type Sender interface {
	Send(d delivery.Delivery, done func(delivery.Result))
}

// Options of a Box; all are needed.
type Options struct {
	Sender  Sender
	Metrics *Metrics
	// Post runs f in the owner of a partition, with its box; not at all when it is not
	// served here.
	Post func(home store.Partition, f func(tx *partition.Tx, b *Box) error)
}

// Box is one partition's. To be used by its owner only.
type Box struct {
	o       Options
	sending map[string]bool // deliveries handed to the Sender in this life
}

// New makes an empty box.
func New(o Options) *Box { return &Box{o: o, sending: map[string]bool{}} }

// Leave forgets what the box counted, which is another process's to count now.
func (b *Box) Leave() { b.o.Metrics.Waiting.leave(b) }

// Ask asks for a delivery with this commit.
func Ask(tx *partition.Tx, destination string, d delivery.Delivery) {
	d.Destination, d.Trace = destination, tx.Trace()
	tx.Effect(store.Effect{Destination: destination, Input: store.Input{ID: fmt.Sprintf("%s/%d", d.Key, d.Version), Kind: InputEffect, Version: 1, Payload: partition.Payload(d)}})
}

// Accept queues a delivery at its destination.
func (b *Box) Accept(tx *partition.Tx, d delivery.Delivery) error {
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
	return b.advance(tx, next)
}

// Due takes up a delivery whose time has come.
func (b *Box) Due(tx *partition.Tx, key string) error {
	var d delivery.Delivery
	if ok, err := tx.Get(deliveries, key, &d); err != nil || !ok {
		return err
	}
	return b.advance(tx, d)
}

// advance begins an attempt when one may begin. That it has begun is committed
// before anything is sent.
func (b *Box) advance(tx *partition.Tx, d delivery.Delivery) error {
	var dest delivery.Destination
	if _, err := tx.Get(destinations, d.Destination, &dest); err != nil {
		return err
	}
	next, begin, askAt := delivery.Start(d, dest, tx.Now())
	if !askAt.IsZero() {
		tx.SetTimer(store.Timer{ID: d.Key, At: askAt, Subject: d.Key, Kind: Timer})
	}
	if begin {
		home := tx.Partition()
		tx.After(func() {
			b.sending[next.Key] = true
			b.o.Sender.Send(next, func(r delivery.Result) {
				r.Key, r.Version, r.Attempt = next.Key, next.Version, next.Attempts
				// Whoever serves the partition then; who has just taken it takes the
				// delivery up as interrupted.
				b.o.Post(home, func(tx *partition.Tx, b *Box) error { return b.finish(tx, r) })
			})
		})
	}
	tx.After(func() { b.o.Metrics.Waiting.add(b, next) })
	return tx.Put(deliveries, next.Key, "delivery", 1, next)
}

// finish decides what follows from an attempt.
func (b *Box) finish(tx *partition.Tx, r delivery.Result) error {
	var d delivery.Delivery
	ok, err := tx.Get(deliveries, r.Key, &d)
	if err != nil || ok && delivery.Stale(d, r) {
		return err
	}
	tx.After(func() { delete(b.sending, r.Key) })
	if !ok {
		return nil
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
	tx.After(func() { b.o.Metrics.attempts.WithLabelValues(d.Verb, outcomeLabel(r)).Inc() })
	if out != nil {
		final := "trouble"
		if out.Final {
			final = "final"
		}
		tx.Send(store.Input{ID: strings.Join([]string{d.Key, fmt.Sprint(r.Version), fmt.Sprint(r.Attempt), final, d.CreatedAt.Format(time.RFC3339Nano)}, "/"),
			Kind: InputOutcome, Version: 1, Subject: d.Subject, Payload: partition.Payload(*out)})
	}
	if next == nil {
		tx.Delete(deliveries, d.Key)
		tx.After(func() { b.o.Metrics.Waiting.remove(b, d.Key) })
		tx.SetTimer(store.Timer{ID: d.Key})
		return nil
	}
	return b.advance(tx, *next)
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

// Wake takes up what an earlier life of the process left under way.
func (b *Box) Wake(tx *partition.Tx) error {
	left, err := partition.Values[delivery.Delivery](tx.List(deliveries))
	if err != nil {
		return err
	}
	for _, d := range left {
		tx.After(func() { b.o.Metrics.Waiting.add(b, d) })
		if d.Sending == 0 || b.sending[d.Key] {
			continue
		}
		if err := b.advance(tx, delivery.Interrupted(d, tx.Now())); err != nil {
			return err
		}
	}
	return nil
}
