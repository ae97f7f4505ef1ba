package app

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

const cursors = "cursor" // where each ticket system's changes were read to

// watchTickets asks every live ticket system what people changed there.
func (a *App) watchTickets(ctx context.Context) {
	for ctx.Err() == nil {
		run, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		for _, s := range a.config().ITSM.Systems {
			if s.Mode == "live" {
				wg.Go(func() { a.watchSystem(run, s) })
			}
		}
		select {
		case <-ctx.Done():
		case <-a.reload.done: // the systems may be others now
		}
		cancel()
		wg.Wait()
	}
}

func (a *App) watchSystem(ctx context.Context, c config.System) {
	tick := time.NewTicker(c.Poll)
	defer tick.Stop()
	failing := false
	for {
		err := a.poll(ctx, c)
		if err != nil && ctx.Err() == nil && !failing {
			a.log.Warn("changes made in the ticket system cannot be read; it is tried again", "system", c.Name, "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// poll offers each change to the incident it belongs to; only then the cursor
// moves, so that a crash reads them again.
func (a *App) poll(ctx context.Context, c config.System) error {
	name := c.Name
	system, ok := a.targets.Load().systems[name]
	if !ok {
		return nil // a reload has just taken it out
	}
	subject := store.DestinationSubject("itsm/" + name)
	if _, here := a.shared.SeatOf(subject); !here {
		return nil // whoever serves the destination asks
	}
	var cursor string
	r, ok, err := a.store.Record(ctx, store.PartitionOf(subject), cursors, name)
	if err != nil {
		return err
	}
	if ok {
		if err := json.Unmarshal(r.Value, &cursor); err != nil {
			return problem.Wrap(err, problem.Internal, "the cursor of a ticket system cannot be read")
		}
	}
	call, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	seen, next, err := system.Changes(call, cursor)
	if err != nil {
		return err
	}
	for _, o := range seen {
		if err := a.offerObserved(ctx, o, c.Verdict(o.Resolution)); err != nil {
			return err
		}
	}
	if next == cursor {
		return nil
	}
	return a.shared.Owner(subject).Call(ctx, func(tx *partition.Tx) error { return tx.Put(cursors, name, "cursor", 1, next) })
}

// offerObserved offers a change to its incident; v is what it says that it was, if anything.
func (a *App) offerObserved(ctx context.Context, o itsm.Observed, v alert.Verdict) error {
	for _, env := range a.environments() {
		p := store.PartitionOf(response.Subject(env))
		if _, ok, err := a.store.Record(ctx, p, response.Incidents, o.Key); err != nil {
			return err
		} else if ok {
			return a.store.Offer(ctx, p, response.Observed(env, observedID(o, v), o, v, a.o.Now()))
		}
	}
	return nil // a ticket of ours whose incident is not known here: another installation's
}
