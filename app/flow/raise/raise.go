// Package raise stores what detectors raise: each alert's newest state, an entry in the ledger
// with its reason, and a message to the incidents of its environment, in one commit.
package raise

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
)

// Records holds alert.Alert by id, in the partition of the alert's tenant, pool or source.
const Records = "alert"

// Options of a Queue.
type Options struct {
	Changes *prometheus.CounterVec // alerts that began or stopped firing, by state
	Logger  *slog.Logger
	// Tracer makes traces of the way from a request to a page; nil: none.
	Tracer *selfobs.Tracer
	// Traces finds traces worth looking at; nil where none are remembered.
	Traces func(hops.Question) hops.Answer
}

// Queue raises alerts in one partition. To be used by its owner only.
type Queue struct {
	o    Options
	left []alert.Alert // what could not be stored when it came
	in   *partition.Tx // that has put and is not known to be committed; nil: none
	put  []alert.Alert // in the order they came
	// by is, while traces are made, which request brought a tenant's newest samples: a
	// step is closed by the clock as often as by a request.
	by    map[tenant.ID]string
	began time.Time // of the evaluation that goes on; zero: none does
}

// New makes an empty queue.
func New(o Options) *Queue { return &Queue{o: o} }

// Caused notes which request's trace brought a tenant's newest samples; empty: none is made.
func (q *Queue) Caused(trace string, id tenant.ID) {
	if trace == "" {
		return
	}
	if q.by == nil {
		q.by = map[tenant.ID]string{}
	}
	q.by[id] = trace
}

// Evaluating says since when an evaluation goes on; zero: it is over.
func (q *Queue) Evaluating(since time.Time) { q.began = since }

// All raises alerts in order. The detectors have moved on already, so what
// the store could not take now, and what was put in a Tx that was thrown away, is kept
// and raised before the next ones.
func (q *Queue) All(tx *partition.Tx, as []alert.Alert) {
	if q.in != tx { // nothing of the one before is committed any more
		q.left, q.put, q.in = append(q.put, q.left...), nil, nil
	}
	as = append(q.left, as...)
	q.left = nil
	for _, a := range as {
		if err := q.One(tx, a); err != nil { // the others do not wait for it; its own later states supersede it
			q.o.Logger.Error("an alert could not be stored yet", slog.String("alert", string(a.ID)), slog.String(logkey.Tenant, string(a.Tenant)), slog.Any("error", err))
			q.left = slices.DeleteFunc(q.left, func(old alert.Alert) bool { return old.ID == a.ID })
			q.left = append(q.left, a)
			continue
		}
		if q.in == nil {
			q.in = tx
			tx.After(func() { q.put, q.in = nil, nil })
		}
		q.put = append(q.put, a)
	}
}

// End ends alerts with the decision that does away with what raised them: all of it comes to
// be or none, so that nothing is kept of it when the store does not take it now.
func (q *Queue) End(tx *partition.Tx, as []alert.Alert) error {
	for _, a := range as {
		if err := q.One(tx, a); err != nil {
			return err
		}
	}
	return nil
}

// One stores an alert's newest state and tells the environment's incidents.
// A replay brings states that are not newer: they change nothing.
func (q *Queue) One(tx *partition.Tx, a alert.Alert) error {
	var old alert.Alert
	exists, err := tx.Get(Records, string(a.ID), &old)
	if err != nil {
		return err
	}
	if exists && !a.Newer(&old) {
		return nil
	}
	q.trace(tx, a)
	q.illustrate(&a, old)
	if err := tx.Put(Records, string(a.ID), "alert", 1, a); err != nil {
		return err
	}
	if !exists || old.State != a.State {
		tx.Log(ledger.Entry{Subject: "alert/" + string(a.ID), Refs: []string{a.Tenant.Subject()}, Kind: "alert." + string(a.State), Reason: a.Reason, Data: partition.Payload(a.Evidence)})
		tx.After(func() { q.o.Changes.WithLabelValues(string(a.State)).Inc() })
	}
	tx.Send(response.Alert(fmt.Sprintf("%s/%s/%d", a.ID, a.State, a.AsOf.UnixMilli()), a))
	tx.SetTrace("") // what else this Tx decides does not follow from the alert
	return nil
}

// trace makes the stages evaluate and raise of an alert. They end with the
// commit; what is not committed is not seen.
func (q *Queue) trace(tx *partition.Tx, a alert.Alert) {
	if q.o.Tracer == nil {
		return
	}
	began := q.began
	if began.IsZero() { // a rule that is gone ends its alerts without an evaluation
		began = time.Now()
	}
	evaluated := q.o.Tracer.After(q.by[a.Tenant], "evaluate", began, attribute.Int(logkey.Partition, int(tx.Partition())))
	evaluated.End()
	raised := q.o.Tracer.After(evaluated.Traceparent(), "raise alert", time.Now(), attribute.String("rule", a.Rule), attribute.String("state", string(a.State)))
	tx.SetTrace(raised.Traceparent())
	tx.After(raised.End)
}
