package flow

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const cells = "cell" // evaluate's checkpoint by tenant, behind the journal position it stands at

// Checkpoint writes the state of every tenant and pool of the partition. at is
// where the journal stood when this was posted: every batch before it was
// ingested already, because posted work is done in order.
func (h *Handler) Checkpoint(tx *partition.Tx, at journal.Position) error {
	for id, was := range h.at {
		if !was.Before(at) {
			continue
		}
		state, err := h.engine.Checkpoint(id)
		if err != nil {
			return err
		}
		tx.PutRaw(checkpoint(id, h.s.mark(at, tx), state))
		tx.After(func() { h.at[id] = at })
	}
	if err := h.senders.Checkpoint(tx, at); err != nil {
		return err
	}
	return h.CheckpointPools(tx)
}

// CheckpointPools writes the state of the partition's pools.
func (h *Handler) CheckpointPools(tx *partition.Tx) error { return h.pools.Checkpoint(tx) }

// mark is the mark of a state that stands at a position of this journal.
func (s *Shared) mark(at journal.Position, tx *partition.Tx) journal.Mark {
	return journal.Mark{At: at, Journal: s.Journal, Time: tx.Now()}
}

// checkpoint is the record of evaluate's state behind its mark.
func checkpoint(id tenant.ID, m journal.Mark, state []byte) store.Record {
	return store.Record{Collection: cells, Key: string(id), Kind: "cell", Version: 2, Value: append(append([]byte(partition.Payload(m)), '\n'), state...)}
}

// readCheckpoint takes such a record apart, also one of the version before.
func readCheckpoint(r store.Record) (m journal.Mark, state []byte, err error) {
	if r.Kind != "cell" || r.Version < 1 || r.Version > 2 {
		return m, nil, problem.New(problem.Internal, "checkpoint of kind %s version %d cannot be read by this release", r.Kind, r.Version)
	}
	text, state, ok := bytes.Cut(r.Value, []byte{'\n'})
	if !ok {
		return m, nil, problem.New(problem.Internal, "a checkpoint is cut short")
	}
	if r.Version == 1 { // the position alone
		return m, state, m.At.UnmarshalText(text)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, nil, problem.Wrap(err, problem.Internal, "a checkpoint's mark cannot be read")
	}
	return m, state, nil
}

// restore puts a tenant's rules in force and gives it the state that its checkpoint holds;
// ok is false when there is none.
func (h *Handler) restore(t tenant.Tenant, rules []rule.Rule, cell store.Record, ok bool) error {
	h.watch(t, rules, t.OnboardedAt, "the profile changed")
	if !ok {
		return nil
	}
	m, state, err := readCheckpoint(cell)
	if err != nil {
		return err
	}
	h.at[t.ID] = m.At
	h.need(m.Time)
	if m.Journal != h.s.Journal { // its position means nothing here: by time, from the journal's start
		h.at[t.ID], h.since[t.ID] = journal.Position{}, m.Time.Add(-edge)
	}
	if len(state) == 0 {
		return nil
	}
	if err := h.engine.Restore(t.ID, state); err != nil {
		return err
	}
	if !t.Watched() { // what the checkpoint still has firing is over
		h.engine.SetTenant(t, rules, t.OnboardedAt)
	}
	return nil
}

// edge is how long a batch may be on its way from one process to another, clocks
// that differ included.
const edge = 30 * time.Second

// need notes that a state was written at a time; zero: nobody knows when.
func (h *Handler) need(written time.Time) {
	if at := written.Add(-edge); h.needs == nil || at.Before(*h.needs) {
		h.needs = &at
	}
}

// Since is from when on received batches may be missing in the states that were
// loaded; ok is false when there are none.
func (h *Handler) Since() (at time.Time, ok bool) {
	if h.needs == nil {
		return at, false
	}
	return *h.needs, true
}

// Oldest is the earliest journal position a tenant or source of this partition stands
// at; ok is false when the partition has none.
func (h *Handler) Oldest() (at journal.Position, ok bool) {
	take := func(p journal.Position) {
		if !ok || p.Before(at) {
			at, ok = p, true
		}
	}
	for _, p := range h.at {
		take(p)
	}
	if p, has := h.senders.Oldest(); has {
		take(p)
	}
	return at, ok
}

// Drain implements partition.Handler: the next start begins here.
func (h *Handler) Drain(tx *partition.Tx) error {
	at := h.s.JournalEnd()
	if until := h.until.Load(); until != nil {
		at = *until
	}
	return h.Checkpoint(tx, at)
}

// Until says that no batch behind at is handed to this handler any more.
func (h *Handler) Until(at journal.Position) { h.until.Store(&at) }

// Ends says whether Until was called.
func (h *Handler) Ends() bool { return h.until.Load() != nil }
