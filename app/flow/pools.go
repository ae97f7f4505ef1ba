package flow

import (
	"context"
	"net/url"
	"strings"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
)

const poolRecords = "pool" // evaluate.Pool's checkpoint by subject

// Pooled feeds the pool of a subject when it is served here.
func (s *Shared) Pooled(subject string, cs []evaluate.Contribution) bool {
	seat, ok := s.SeatOf(subject)
	return ok && seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.pooled(tx, cs) })
}

// pooled takes what tenants' closed steps say about a service as a whole.
func (h *Handler) pooled(tx *partition.Tx, cs []evaluate.Contribution) error {
	if len(cs) == 0 {
		return nil
	}
	p := h.pool(cs[0].Environment, cs[0].Service)
	subject := poolSubject(cs[0].Environment, cs[0].Service)
	h.raisePooled(tx, subject, p) // steps that are due close before anything is added
	b := h.beside[subject]
	for i := range cs {
		p.Contribute(&cs[i])
		if b != nil {
			b.Contribute(&cs[i])
		}
	}
	h.raisePooled(tx, subject, p)
	return nil
}

func (h *Handler) pool(environment, service string) *evaluate.Pool {
	subject := poolSubject(environment, service)
	p := h.pools[subject]
	if p == nil {
		p = evaluate.NewPool(h.s.options(), environment, service)
		p.SetRules(profiles.Pooled(h.s.Rules().Policy, service, h.s.observation()))
		h.pools[subject] = p
		h.tryPool(subject, service, p)
	}
	return p
}

func (h *Handler) advancePools(tx *partition.Tx) {
	for subject, p := range h.pools {
		h.raisePooled(tx, subject, p)
	}
}

func (h *Handler) raisePooled(tx *partition.Tx, subject string, p *evaluate.Pool) {
	raised := p.Advance(tx.Now())
	h.raiseAll(tx, raised)
	h.tryPooled(tx, subject, raised)
	for _, f := range p.Factors() {
		h.tellFactor(tx, f)
	}
}

func (h *Handler) loadPools(ctx context.Context, p store.Partition, s store.Store) error {
	records, err := partition.All(ctx, s, p, poolRecords)
	if err != nil {
		return err
	}
	for _, r := range records {
		environment, service, ok := cutPool(r.Key)
		if !ok || r.Version != 1 {
			return problem.New(problem.Internal, "a pool's record cannot be read by this release")
		}
		if err := h.pool(environment, service).Restore(r.Value); err != nil {
			return err
		}
	}
	return h.loadBeside(ctx, p, s)
}

// cutPool takes a pool's subject apart.
func cutPool(subject string) (environment, service string, ok bool) {
	parts := strings.SplitN(subject, "/", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	environment, err := url.PathUnescape(parts[1])
	return environment, parts[2], err == nil
}

// Checkpoint writes the state of every tenant and pool of the partition. at is
// where the journal stood when this was posted: every batch before it was
// ingested already, because posted work is done in order.
func (h *Handler) Checkpoint(tx *partition.Tx, at journal.Position) error {
	stands := map[string]bool{}
	for id, was := range h.at {
		if was.Before(at) {
			stands[string(id)] = true
			tx.After(func() { h.at[id] = at })
		}
	}
	for id := range h.at {
		if !stands[string(id)] {
			continue
		}
		state, err := h.engine.Checkpoint(id)
		if err != nil {
			return err
		}
		tx.PutRaw(checkpoint(id, h.s.mark(at, tx), state))
	}
	if err := h.checkpointSources(tx, at); err != nil {
		return err
	}
	return h.CheckpointPools(tx)
}

// CheckpointPools writes the state of the partition's pools. After a restart each
// tenant tells its pools the last two minutes again, so a pool's checkpoint must
// never be older than a tenant's by more than that: else the pool would judge what
// it saw only part of, and raise anew what is over.
func (h *Handler) CheckpointPools(tx *partition.Tx) error {
	for subject, p := range h.pools {
		state, err := p.Checkpoint()
		if err != nil {
			return err
		}
		tx.PutRaw(store.Record{Collection: poolRecords, Key: subject, Kind: "pool", Version: 1, Value: state})
	}
	return h.checkpointBeside(tx)
}
