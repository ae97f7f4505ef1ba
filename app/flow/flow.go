package flow

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// The sentence. Samples were journaled by their door; then:
//
//	ingest   -> Ingest:    a batch's series reach the engine of their tenant
//	evaluate -> evaluated: steps close; alerts fire or end; pools are fed
//	raise    -> All:       an alert is stored and sent to the incidents (package raise)
//
// and in package response:
//
//	route    -> alertChanged: an alert finds the incident that explains it
//	incident -> apply:        the incident's ticket, picture and page are asked for
//	page     -> page:         the rota names the person; the call goes out
//
// What comes back (results, acknowledgements, changes made in the ticket
// system) enters there at outcome, observed and Acknowledge.

// Ingest takes one journaled batch's part of this partition. at is where the
// batch ends in the journal: what a tenant's state already holds is left out.
func (h *Handler) Ingest(tx *partition.Tx, b *samples.Batch, series []samples.Series, at journal.Position) error {
	err := h.evaluate(tx, b.ReceivedAt)
	for _, s := range series {
		if stands, ok := h.at[s.Tenant]; ok && stands.Before(at) && !b.ReceivedAt.Before(h.since[s.Tenant]) {
			h.points = h.points[:0]
			for _, p := range s.Samples {
				h.points = append(h.points, evaluate.Sample(p))
			}
			h.raised.Caused(b.Trace, s.Tenant)
			h.engine.Append(b.ReceivedAt, h.refs.of(h.engine, &s), h.points)
		}
	}
	return err
}

// evaluate closes the steps that are over and passes on what they brought.
func (h *Handler) evaluate(tx *partition.Tx, now time.Time) error {
	began := time.Now()
	h.raised.Evaluating(began)
	defer func() {
		h.s.Metrics.Evaluation.Observe(time.Since(began).Seconds())
		h.raised.Evaluating(time.Time{})
	}()
	return h.evaluated(tx, h.engine.Advance(now))
}

// evaluated passes on what closing steps brought, and what of it was thrown away with the
// decision before.
func (h *Handler) evaluated(tx *partition.Tx, out evaluate.Output) error {
	h.raised.All(tx, out.Alerts)
	h.trials.Note(tx, out.Alerts, out.Shadow)
	h.contribute(out.Contributions)
	h.s.Metrics.Thinned.Add(float64(out.Thinned))
	for _, b := range append(h.said.Again(tx), out.Blind...) {
		h.said.Put(tx, b)
		tx.After(func() { h.countBlind(b.Tenant, b.Blind) })
		kind, why := "tenant.seeing", fmt.Sprintf("samples of %s arrive again; none came since %s", b.Tenant, b.Since.UTC().Format("15:04:05 UTC"))
		if b.Blind {
			kind, why = "tenant.blind", fmt.Sprintf("no sample of %s arrived since %s: it is not watched, its detectors are held", b.Tenant, b.Since.UTC().Format("15:04:05 UTC"))
		}
		tx.Log(ledger.Entry{Subject: b.Tenant.Subject(), Kind: kind, Reason: why})
	}
	return nil
}

// countBlind keeps the gauge: what was blind when the process started is counted
// when it is noticed again, and never less than nothing.
func (h *Handler) countBlind(id tenant.ID, is bool) {
	switch was := h.blind[id]; {
	case is && !was:
		h.blind[id] = true
		h.s.Metrics.Blind.Inc()
	case was && !is:
		delete(h.blind, id)
		h.s.Metrics.Blind.Dec()
	}
}

// contribute feeds the pools, which live in partitions of their own.
func (h *Handler) contribute(cs []exchange.Contribution) {
	for _, x := range pools.BySubject(cs) {
		if !h.s.Pooled(x.Subject, x.List) && h.s.Contribute != nil {
			h.s.Contribute(x.Subject, x.List)
		}
	}
}
