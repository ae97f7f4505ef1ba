package flow

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/asked"
	"github.com/tocsin-alerting/tocsin/app/flow/customers"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Handler decides for one partition. It is used by that partition's owner only.
type Handler struct {
	s       *Shared
	engine  *evaluate.Engine
	pools   *pools.Set
	senders *senders.Set
	// at is where in the journal each tenant's state stands: batches that end at
	// or before it are in the state already.
	at map[tenant.ID]journal.Position
	// since is, for a tenant whose state was written by another process, from when
	// on this journal's batches are new to it. What is in the state already, at the
	// edge, is left out by each series' last time.
	since  map[tenant.ID]time.Time
	needs  *time.Time         // the earliest time at which a loaded state was written, less the edge
	blind  map[tenant.ID]bool // said to be blind in this life
	said   partition.Held[evaluate.BlindChange]
	out    *outbox.Box
	woken  bool // deliveries left by an earlier life were taken up
	points []evaluate.Sample
	refs   refs
	// Waiting counts samples posted to the owner and not ingested yet.
	Waiting  atomic.Int64
	until    atomic.Pointer[journal.Position] // where the state stands when it drains
	events   [1]evaluate.Event
	buckets  map[uint64]buckets
	raised   *raise.Queue
	trials   *trial.Bench
	asked    *asked.Set
	profiles *revision.Keeper
}

// NewHandler makes the handler of a partition.
func NewHandler(s *Shared) *Handler {
	h := &Handler{s: s, engine: evaluate.New(s.options()), at: map[tenant.ID]journal.Position{}, since: map[tenant.ID]time.Time{}, blind: map[tenant.ID]bool{}, out: s.outbox()}
	h.raised = raise.New(raise.Options{Changes: s.Metrics.Alerts, Logger: s.Logger, Tracer: s.Tracer, Traces: s.ownTraces()})
	h.trials = trial.New(trial.Options{Rules: s.Rules, Directory: &s.directory, Scale: &s.scale, Logger: s.Logger})
	h.asked = asked.New(asked.Options{Raised: h.raised, Trials: h.trials})
	h.profiles = h.newProfiles()
	h.senders, h.pools = h.newSenders(), h.newPools()
	return h
}

// options are those of every engine.
func (s *Shared) options() evaluate.Options {
	o := s.Evaluate
	o.Announced = s.announced
	return o
}

// Load implements partition.Handler: tenants with their cells, and pools.
func (h *Handler) Load(ctx context.Context, p store.Partition, s store.Store) error {
	tenants, err := partition.Values[tenant.Tenant](partition.All(ctx, s, p, directory.Tenants))
	if err != nil {
		return err
	}
	for _, t := range tenants {
		rules, err := h.profiles.Load(ctx, s, p, t)
		if err != nil {
			return err
		}
		cell, ok, err := s.Record(ctx, p, cells, string(t.ID))
		if err != nil {
			return err
		}
		if err := h.restore(t, rules, cell, ok); err != nil {
			return err
		}
		h.s.directory.Put(t)
	}
	if err := h.s.loadFormers(ctx, p); err != nil {
		return err
	}
	if p == store.PartitionOf(standby.Subject) {
		if err := h.s.Duty().Load(ctx); err != nil {
			return err
		}
	}
	if err := pools.LoadFactors(ctx, p, s, h.engine); err != nil {
		return err
	}
	if err := lesson.Load(ctx, p, s, h.engine); err != nil {
		return err
	}
	if err := h.senders.Load(ctx, p, s); err != nil {
		return err
	}
	return h.pools.Load(ctx, p, s)
}

// watch puts a tenant's rules in force. One that is paused stays in the engine,
// which keeps what it learned and evaluates nothing of it.
// why is the reason that alerts of rules that are gone end with.
func (h *Handler) watch(t tenant.Tenant, rules []rule.Rule, now time.Time, why string) {
	h.asked.Watch(t, rules)
	h.engine.Change(t, rules, h.trials.Shadow(t.ID), now, why)
}

// Answer compares what queries gave with what stands, for the tenants of this
// partition.
func (h *Handler) Answer(tx *partition.Tx, answers asked.Answers, at time.Time) error {
	return h.asked.Answer(tx, answers, at)
}

// Status is what evaluate can tell of a tenant.
func (h *Handler) Status(id tenant.ID, now time.Time) evaluate.Status {
	return h.engine.Status(id, now)
}

// Input implements partition.Handler.
func (h *Handler) Input(tx *partition.Tx, in store.Input) error {
	switch in.Kind {
	case response.InputAlert, response.InputObserved:
		return h.s.Incidents().Input(tx, in)
	case outbox.InputEffect:
		d, err := partition.DecodeInput[delivery.Delivery](in)
		if err != nil {
			return err
		}
		return h.out.Accept(tx, d)
	case outbox.InputOutcome:
		if in.Subject == review.Subject {
			return h.s.reviews().Outcome(tx, in)
		}
		return h.s.Incidents().Input(tx, in)
	case inputRecord:
		return h.record(tx, in)
	case pools.InputFactor:
		return pools.TakeFactor(tx, in, h.engine)
	case lesson.Input:
		return h.learn(tx, in)
	case senders.InputAlive:
		return h.sourceAlive(in)
	case policy.InputRead, policy.InputPage, policy.InputWord:
		return h.s.Policy().Input(tx, in)
	case customers.Input:
		return customers.Take(tx, in)
	case review.Input:
		return h.s.reviews().Told(tx, in)
	}
	return problem.New(problem.Internal, "an input of kind %s is not known to this release", in.Kind)
}

// Timer implements partition.Handler.
func (h *Handler) Timer(tx *partition.Tx, t store.Timer) error {
	switch t.Kind {
	case outbox.Timer:
		return h.out.Due(tx, t.Subject)
	case rollout.StageTimer:
		return h.s.Policy().Due(tx)
	case trial.Timer:
		return h.trials.Compare(tx, t.Subject)
	case review.Timer:
		return h.s.reviews().Look(tx, t.Subject)
	}
	return h.s.Incidents().Timer(tx, t)
}

// Tick implements partition.Handler: steps close by the clock too. What they raise is not
// lost with a Tx that fails further down: the queue keeps it for the next one.
func (h *Handler) Tick(tx *partition.Tx) error {
	if err := h.wake(tx); err != nil {
		return err
	}
	if err := h.evaluate(tx, tx.Now()); err != nil {
		return err
	}
	h.lookSoon(tx)
	h.pools.Advance(tx)
	return h.senders.Look(tx)
}

// Left is called when the handler's owner has ended: what it counted in gauges
// is another's to count.
func (h *Handler) Left() {
	for id := range h.blind {
		h.countBlind(id, false)
	}
	h.profiles.Left()
	h.out.Leave()
}
