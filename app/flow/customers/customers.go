// Package customers keeps the keys by which all replicas name customers.
//
// Replicas name customers by the same key, or one who fails at two of them would be two.
// There is one for each day: the first that is offered is it. A key that is over is
// deleted, so that what was named by it says nothing any more.
package customers

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

const (
	subject = "customers"
	keys    = "customer_key"
	// Input is the kind of what is offered, at version 1: a key of a day, or that those before
	// a day are over.
	Input = "customer_key"
	ahead = time.Hour // before its day a key is made
)

type key struct {
	Day string `json:"day"` // UTC; those before it are over
	Key []byte `json:"key"` // none: only what is over is deleted
}

// Keys reads the keys by which customers are named from now on, by their day. One
// that is missing is offered and there soon, when the partition is served.
func Keys(ctx context.Context, s store.Store, now time.Time, fresh func() []byte) (map[string][]byte, error) {
	home := store.PartitionOf(subject)
	kept, err := partition.Values[key](partition.All(ctx, s, home, keys))
	if err != nil {
		return nil, err
	}
	known := map[string][]byte{}
	today, over := now.UTC().Format(time.DateOnly), false
	for _, k := range kept {
		known[k.Day] = k.Key
		over = over || k.Day < today
	}
	offer := func(id string, k key) error {
		return s.Offer(ctx, home, store.Input{ID: id, Kind: Input, Version: 1, Subject: subject, At: now, Payload: partition.Payload(k)})
	}
	if over {
		if err := offer("customers/over/"+today, key{Day: today}); err != nil {
			return nil, err
		}
	}
	for _, day := range []string{today, now.Add(ahead).UTC().Format(time.DateOnly)} {
		if known[day] != nil {
			continue
		}
		if err := offer("customers/"+day, key{Day: day, Key: fresh()}); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// Take keeps the first key of a day, or deletes those that are over.
func Take(tx *partition.Tx, in store.Input) error {
	k, err := partition.DecodeInput[key](in)
	if err != nil {
		return err
	}
	if len(k.Key) > 0 {
		if had, err := tx.Get(keys, k.Day, &key{}); err != nil || had {
			return err
		}
		return tx.Put(keys, k.Day, "customer_key", 1, k)
	}
	records, err := tx.List(keys)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Key < k.Day {
			tx.Delete(keys, r.Key)
		}
	}
	return nil
}
