// Package store is the port to tocsin's durable state.
//
// A store has 256 partitions. A subject (a tenant, an environment's incidents,
// a destination) lives in one of them by hash of its key. One goroutine owns a
// partition while it holds its lease: it takes inputs in order, decides, and
// commits once. Commit is all or nothing and fails once the lease is lost.
// What crosses partitions is a Message, committed with the sender's state and
// then offered to the target, which ignores what it has seen.
//
// Implementations: store/embedded (one Pebble database), store/redis (a Redis,
// shared by several processes), store/memory (the same port for tests in a
// synctest bubble). storetest holds them to this text.
package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Partitions is fixed for the life of a store.
const Partitions = 256

// Partition is the unit of order, ownership and atomicity.
type Partition uint8

// PartitionOf gives the home of a subject, e.g. "tenant/acme",
// "incidents/production", "destination/rt-main".
func PartitionOf(subject string) Partition {
	h := fnv.New64a()
	_, _ = h.Write([]byte(subject))
	v := h.Sum64()
	return Partition(v ^ v>>8 ^ v>>16 ^ v>>24 ^ v>>32 ^ v>>40 ^ v>>48 ^ v>>56)
}

// Errors that callers branch on, always wrapped.
var (
	// ErrHeld: another owner holds the partition's lease.
	ErrHeld = errors.New("partition is held by another owner")
	// ErrLeaseLost: the lease expired or was taken; nothing of the batch was written.
	ErrLeaseLost = errors.New("lease lost")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrNoSpace: the disk is full or below its watermark; nothing was written.
	ErrNoSpace = errors.New("no space left for the store")
)

// Store is one durable home of all partitions. Safe for concurrent use.
type Store interface {
	// Acquire takes the partition for the store's lease time. ErrHeld when a
	// live lease exists. A new lease fences every earlier one of the partition.
	Acquire(ctx context.Context, p Partition) (Lease, error)
	// Offer appends an input to the partition's inbox and returns when it is
	// durable. An id that the partition still holds, or consumed within the
	// store's memory of ids (at least 24 h and at least the last 10,000), is
	// ignored: Offer is idempotent by id. Anyone may offer; no lease is needed.
	Offer(ctx context.Context, p Partition, in Input) error
	// Records lists a collection in key order, keys > after, at most limit
	// (limit <= 0: 1000). It reads the last commit; no lease is needed.
	Records(ctx context.Context, p Partition, collection, after string, limit int) ([]Record, error)
	// Record reads one record; ok is false when there is none.
	Record(ctx context.Context, p Partition, collection, key string) (r Record, ok bool, err error)
	// Ledger lists the partition's entries with Seq > after, at most limit
	// (<= 0: 1000), in order; with a subject only those of it or referring to it.
	Ledger(ctx context.Context, p Partition, subject string, after uint64, limit int) ([]ledger.Entry, error)
	// Close releases everything; later calls give ErrClosed. Idempotent.
	Close() error
}

// Lease is the right to decide for one partition. Owned by one goroutine.
type Lease interface {
	Partition() Partition
	// Inputs lists what was offered and not yet consumed, in order of arrival,
	// at most limit (<= 0: 256).
	Inputs(ctx context.Context, limit int) ([]Input, error)
	// Wake is sent to (never blocking, capacity one) when an input may have arrived.
	Wake() <-chan struct{}
	// Due lists timers with At <= now, the earliest first, at most 256.
	Due(ctx context.Context, now time.Time) ([]Timer, error)
	// Next is the earliest timer's time; ok is false when there is none.
	Next(ctx context.Context) (at time.Time, ok bool, err error)
	// Commit writes the whole batch durably or nothing. Messages and Effects
	// reach their target partitions' inboxes at least once after that, without
	// further help of the caller, also across a crash; since they are offered
	// by id, once. A Commit that succeeds extends the lease as Renew does.
	// ErrLeaseLost, ErrNoSpace.
	Commit(ctx context.Context, b Batch) error
	// Renew extends the lease; ErrLeaseLost when it is gone.
	Renew(ctx context.Context) error
	// Release gives the partition back. Idempotent.
	Release(ctx context.Context) error
}

// Input is one thing to decide on. Payload is JSON with its own version:
// (Kind, Version) name its shape.
type Input struct {
	ID      string          `json:"id"` // idempotency key within the partition; never empty
	Kind    string          `json:"kind"`
	Version int             `json:"version"`
	Subject string          `json:"subject"` // who in the partition it concerns
	At      time.Time       `json:"at"`      // when it was offered, by the offerer's clock
	Payload json.RawMessage `json:"payload"`
	// Trace is the W3C traceparent of what brought it; empty: none, or not traced.
	// Nothing is decided by it.
	Trace string `json:"trace,omitempty"`
	// Seq orders inputs within the partition; set by the store.
	Seq uint64 `json:"seq"`
}

// Record is one stored value. (Kind, Version) name the shape of Value; readers
// take the version they write and the one before.
type Record struct {
	Collection string `json:"-"`
	Key        string `json:"-"`
	Kind       string `json:"k"`
	Version    int    `json:"v"`
	Value      []byte `json:"d"` // any bytes; most are JSON
}

// RecordKey names a record to delete.
type RecordKey struct{ Collection, Key string }

// Timer wakes its subject at a time. ID is unique within the partition:
// setting it again moves it; a zero At removes it.
type Timer struct {
	ID      string          `json:"id"`
	At      time.Time       `json:"at"`
	Subject string          `json:"subject"`
	Kind    string          `json:"kind"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Message crosses to another partition (or the own one) as an Input.
type Message struct {
	To    Partition
	Input Input
}

// Effect is something to be done outside: a call or a mirror. It travels to the
// partition of its destination as an Input of kind "effect", where queue, rate
// limit and breaker of that destination live.
type Effect struct {
	Destination string // e.g. "itsm/rt-main", "channel/mail"
	Input       Input
}

// DestinationSubject names a destination as a subject.
func DestinationSubject(destination string) string { return "destination/" + destination }

// Batch is one decision's whole consequence.
type Batch struct {
	Consumed []Input // from Inputs; removed from the inbox, their ids remembered
	Puts     []Record
	Deletes  []RecordKey
	Timers   []Timer // set, moved or (zero At) removed
	Effects  []Effect
	Messages []Message
	Ledger   []ledger.Entry // chained by the store: Seq, Prev, Hash are filled in
}

// Empty says whether committing b would change nothing.
func (b *Batch) Empty() bool {
	return len(b.Consumed)+len(b.Puts)+len(b.Deletes)+len(b.Timers)+len(b.Effects)+len(b.Messages)+len(b.Ledger) == 0
}

// Check refuses an input that no home can take.
func (in Input) Check() error {
	switch {
	case in.ID == "" || !utf8.ValidString(in.ID):
		return problem.New(problem.Invalid, "an input needs an id, in UTF-8")
	case len(in.Payload) > 0 && !json.Valid(in.Payload):
		return problem.New(problem.Invalid, "the payload of a %q input is not JSON", in.Kind)
	}
	return nil
}

// How long consumed ids are remembered, so that an input that is offered again is
// ignored: both must be exceeded to forget one.
const (
	RememberFor   = 24 * time.Hour
	RememberCount = 10_000
)

// Outgoing refuses a batch that no home can take, and lists everything of it
// that goes to an inbox, in order.
func (b *Batch) Outgoing() ([]Message, error) {
	for _, r := range b.Puts {
		if r.Collection == "" || r.Key == "" {
			return nil, problem.New(problem.Invalid, "a record needs a collection and a key")
		}
	}
	for _, t := range b.Timers {
		switch {
		case t.ID == "":
			return nil, problem.New(problem.Invalid, "a timer needs an id")
		case len(t.Payload) > 0 && !json.Valid(t.Payload):
			return nil, problem.New(problem.Invalid, "the payload of a %q timer is not JSON", t.Kind)
		}
	}
	for _, e := range b.Ledger {
		if len(e.Data) > 0 && !json.Valid(e.Data) {
			return nil, problem.New(problem.Invalid, "the data of a %q entry is not JSON", e.Kind)
		}
	}
	out := slices.Clone(b.Messages)
	for _, e := range b.Effects {
		if e.Destination == "" {
			return nil, problem.New(problem.Invalid, "an effect needs a destination")
		}
		subject := DestinationSubject(e.Destination)
		in := e.Input
		in.Kind, in.Subject = cmp.Or(in.Kind, "effect"), cmp.Or(in.Subject, subject)
		out = append(out, Message{To: PartitionOf(subject), Input: in})
	}
	for _, m := range out {
		if err := m.Input.Check(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
