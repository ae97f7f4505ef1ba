package partition

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Tx collects what one decision changes; it is committed as a whole or not at
// all. It reads its own writes. Owned by the owner's goroutine.
type Tx struct {
	ctx       context.Context
	store     store.Store
	partition store.Partition
	now       time.Time
	batch     store.Batch
	pending   map[store.RecordKey]*store.Record // nil value: deleted
	after     []func()
	trace     string
}

// Context bounds reads made while deciding.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Now is the decision's time; it does not move within a Tx.
func (tx *Tx) Now() time.Time { return tx.now }

// Trace is the W3C traceparent of what the Tx decides on; empty: none.
func (tx *Tx) Trace() string { return tx.trace }

// SetTrace says what the messages and effects from here on follow from.
func (tx *Tx) SetTrace(parent string) { tx.trace = parent }

// Partition says where the Tx decides.
func (tx *Tx) Partition() store.Partition { return tx.partition }

// Get decodes a JSON record into v; false when there is none.
func (tx *Tx) Get(collection, key string, v any) (bool, error) {
	r, ok, err := tx.Raw(collection, key)
	if err != nil || !ok {
		return false, err
	}
	if err := decode(r, v); err != nil {
		return false, err
	}
	return true, nil
}

// Raw reads a record as stored.
func (tx *Tx) Raw(collection, key string) (store.Record, bool, error) {
	if r, ok := tx.pending[store.RecordKey{Collection: collection, Key: key}]; ok {
		if r == nil {
			return store.Record{}, false, nil
		}
		return *r, true, nil
	}
	return tx.store.Record(tx.ctx, tx.partition, collection, key)
}

// Put writes v as a JSON record of (kind, version).
func (tx *Tx) Put(collection, key, kind string, version int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return problem.Wrap(err, problem.Internal, "record %s/%s cannot be written", collection, key)
	}
	tx.PutRaw(store.Record{Collection: collection, Key: key, Kind: kind, Version: version, Value: raw})
	return nil
}

// PutRaw writes a record as it is.
func (tx *Tx) PutRaw(r store.Record) {
	tx.pending[store.RecordKey{Collection: r.Collection, Key: r.Key}] = &r
}

// Delete removes a record.
func (tx *Tx) Delete(collection, key string) {
	tx.pending[store.RecordKey{Collection: collection, Key: key}] = nil
}

// List gives every record of a collection in key order, own writes included.
// For small collections: it reads all of it.
func (tx *Tx) List(collection string) ([]store.Record, error) {
	stored, err := All(tx.ctx, tx.store, tx.partition, collection)
	if err != nil {
		return nil, err
	}
	out := stored[:0]
	for _, r := range stored {
		if _, changed := tx.pending[store.RecordKey{Collection: collection, Key: r.Key}]; !changed {
			out = append(out, r)
		}
	}
	for k, r := range tx.pending {
		if k.Collection == collection && r != nil {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b store.Record) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// ListPrefix gives the records of a collection whose key begins with a prefix, in key
// order, own writes included.
func (tx *Tx) ListPrefix(collection, prefix string) ([]store.Record, error) {
	var out []store.Record
	for after, more := prefix, true; more; {
		page, err := tx.store.Records(tx.ctx, tx.partition, collection, after, 200)
		if err != nil {
			return nil, err
		}
		more = len(page) == 200
		for _, r := range page {
			if !strings.HasPrefix(r.Key, prefix) {
				more = false
				break
			}
			if _, changed := tx.pending[store.RecordKey{Collection: collection, Key: r.Key}]; !changed {
				out = append(out, r)
			}
			after = r.Key
		}
	}
	for k, r := range tx.pending {
		if k.Collection == collection && r != nil && strings.HasPrefix(k.Key, prefix) && k.Key != prefix {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b store.Record) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// DeletePrefix removes the records of a collection whose key begins with a prefix. It says
// how many there were.
func (tx *Tx) DeletePrefix(collection, prefix string) (n int, err error) {
	records, err := tx.ListPrefix(collection, prefix)
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		tx.Delete(collection, r.Key)
	}
	return len(records), nil
}

// SetTimer sets, moves or (zero At) removes a timer.
func (tx *Tx) SetTimer(t store.Timer) { tx.batch.Timers = append(tx.batch.Timers, t) }

// Send offers an input to the partition of its subject with this commit.
func (tx *Tx) Send(in store.Input) {
	in.At, in.Trace = tx.now, tx.trace
	tx.batch.Messages = append(tx.batch.Messages, store.Message{To: store.PartitionOf(in.Subject), Input: in})
}

// Effect asks for something outside, through the destination's partition.
func (tx *Tx) Effect(e store.Effect) {
	e.Input.At, e.Input.Trace = tx.now, tx.trace
	e.Input.Subject = store.DestinationSubject(e.Destination)
	tx.batch.Effects = append(tx.batch.Effects, e)
}

// Log adds entries to the ledger; At is filled in when missing.
func (tx *Tx) Log(entries ...ledger.Entry) {
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = tx.now
		}
		if e.Actor == "" {
			e.Actor = "tocsin"
		}
		tx.batch.Ledger = append(tx.batch.Ledger, e)
	}
}

// After runs f once the commit has succeeded, before the next decision.
func (tx *Tx) After(f func()) { tx.after = append(tx.after, f) }

func (tx *Tx) sealed() store.Batch {
	b := tx.batch
	keys := make([]store.RecordKey, 0, len(tx.pending))
	for k := range tx.pending {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b store.RecordKey) int {
		return strings.Compare(a.Collection+"\x00"+a.Key, b.Collection+"\x00"+b.Key)
	})
	for _, k := range keys {
		if r := tx.pending[k]; r != nil {
			b.Puts = append(b.Puts, *r)
		} else {
			b.Deletes = append(b.Deletes, k)
		}
	}
	return b
}

// Payload encodes an input's payload; it panics on a value that JSON cannot
// hold, which only a programming error can bring.
func Payload(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("payload %T: %v", v, err))
	}
	return raw
}
