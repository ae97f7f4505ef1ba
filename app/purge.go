package app

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// purge offboards a tenant and erases what is kept of it. What it began it
// finishes, at the next start if need be.
func (a *App) purge(ctx context.Context, id tenant.ID, match int, by string) (e directory.Erased, err error) {
	if a.replicated() && len(a.replicas.peers.Others()) > 0 { // each has a history and pictures of its own
		return e, problem.New(problem.Conflict, "a tenant cannot be erased while several replicas run").WithHint("stop all but one; the others erase nothing of what they kept: empty their --storage.path before they start again")
	}
	if a.history.Load() == nil {
		return e, problem.New(problem.Unavailable, "the history is still opening").WithRetryAfter(5 * time.Second)
	}
	subject := id.Subject()
	records := 0
	err = a.shared.Decide(ctx, subject, func(tx *partition.Tx, h *flow.Handler) (err error) {
		records, err = a.shared.BeginPurge(tx, h, id, match, by)
		a.access.EndOf(tx, id, by)
		return err
	})
	if err != nil {
		return e, err
	}
	p, _ := a.shared.Directory().Purge(id)
	return a.finishPurge(context.WithoutCancel(ctx), p, records)
}

// finishPurge erases what is not a record of the tenant's partition.
func (a *App) finishPurge(ctx context.Context, p directory.Purge, records int) (directory.Erased, error) {
	e := directory.Erased{Tenant: p.ID, Records: records}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	a.forgetSpans(p.ID)
	var err error
	if e.Series, err = a.history.Load().Erase(ctx, a.o.Config.Labels.Tenant, p.ID); err != nil {
		return e, err
	}
	for _, env := range a.environments() {
		subject := response.Subject(env)
		var pictures []string
		var erased, kept int
		err := a.shared.Decide(ctx, subject, func(tx *partition.Tx, _ *flow.Handler) (err error) {
			pictures, erased, kept, err = a.shared.Incidents().Erase(tx, p.ID)
			return err
		})
		if err != nil {
			return e, err
		}
		e.Incidents, e.Kept = e.Incidents+erased, e.Kept+kept
		for _, id := range pictures {
			if _, err := a.blobs.Own(id); problem.Is(err, problem.NotFound) {
				continue // none was drawn, or it has expired
			}
			if err := a.blobs.Remove(id); err != nil {
				return e, err
			}
			e.Pictures++
		}
	}
	return e, a.shared.Owner(p.ID.Subject()).Call(ctx, func(tx *partition.Tx) error { return a.shared.EndPurge(tx, p, e) })
}

// finishPurges takes up those that an earlier life left, once the history is open.
func (a *App) finishPurges(ctx context.Context) {
	for _, p := range a.shared.Directory().Unfinished() {
		if _, err := a.finishPurge(ctx, p, 0); err != nil {
			a.log.Error("a tenant's data could not be erased yet: the next start goes on", logkey.Tenant, p.ID, "error", err)
		}
	}
}

// unpurged is the batch without what belongs to a purged tenant.
func (a *App) unpurged(b *samples.Batch, end journal.Position) *samples.Batch {
	d := a.shared.Directory()
	for i, s := range b.Series {
		if !d.Erased(s.Tenant, s.Unknown, end) {
			continue
		}
		kept := &samples.Batch{ReceivedAt: b.ReceivedAt, Series: append([]samples.Series{}, b.Series[:i]...)}
		for _, s := range b.Series[i+1:] {
			if !d.Erased(s.Tenant, s.Unknown, end) {
				kept.Series = append(kept.Series, s)
			}
		}
		for _, s := range kept.Series {
			kept.Samples += len(s.Samples)
		}
		return kept
	}
	return b
}

// unpurgedExemplars leaves out the exemplars of purged tenants: the TSDB deletes
// series, and keeps their exemplars until newer ones of anybody take their places.
type unpurgedExemplars struct {
	storage.ExemplarQueryable
	of    *directory.Directory
	label string
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (u unpurgedExemplars) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	q, err := u.ExemplarQueryable.ExemplarQuerier(ctx)
	return unpurgedSelect{q, u}, err
}

type unpurgedSelect struct {
	storage.ExemplarQuerier
	u unpurgedExemplars
}

// Select implements storage.ExemplarQuerier.
func (s unpurgedSelect) Select(from, to int64, sets ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	found, err := s.ExemplarQuerier.Select(from, to, sets...)
	out := found[:0]
	for _, r := range found {
		if p, ok := s.u.of.Purge(tenant.ID(r.SeriesLabels.Get(s.u.label))); ok {
			asked := p.AskedAt.UnixMilli()
			r.Exemplars = slices.DeleteFunc(r.Exemplars, func(x exemplar.Exemplar) bool { return x.Ts <= asked })
		}
		if len(r.Exemplars) > 0 {
			out = append(out, r)
		}
	}
	return out, err
}
