package flow

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Replicas name customers by the same key, or one who fails at two of them would be two.
// There is one for each day: the first that is offered is it. A key that is over is
// deleted, so that what was named by it says nothing any more.

const (
	customersSubject   = "customers"
	customerKeyRecords = "customer_key"
	inputCustomerKey   = "customer_key"
	keyAhead           = time.Hour // before its day a key is made
)

type customerKey struct {
	Day string `json:"day"` // UTC; those before it are over
	Key []byte `json:"key"` // none: only what is over is deleted
}

// CustomerKeys reads the keys by which customers are named from now on, by their day. One
// that is missing is offered and there soon, when the partition is served.
func CustomerKeys(ctx context.Context, s store.Store, now time.Time, fresh func() []byte) (map[string][]byte, error) {
	home := store.PartitionOf(customersSubject)
	records, err := partition.All(ctx, s, home, customerKeyRecords)
	if err != nil {
		return nil, err
	}
	known := map[string][]byte{}
	today, over := now.UTC().Format(time.DateOnly), false
	for _, r := range records {
		k, err := partition.Decode[customerKey](r)
		if err != nil {
			return nil, err
		}
		known[k.Day] = k.Key
		over = over || k.Day < today
	}
	offer := func(id string, k customerKey) error {
		return s.Offer(ctx, home, store.Input{ID: id, Kind: inputCustomerKey, Version: 1, Subject: customersSubject, At: now, Payload: partition.Payload(k)})
	}
	if over {
		if err := offer("customers/over/"+today, customerKey{Day: today}); err != nil {
			return nil, err
		}
	}
	for _, day := range []string{today, now.Add(keyAhead).UTC().Format(time.DateOnly)} {
		if known[day] != nil {
			continue
		}
		if err := offer("customers/"+day, customerKey{Day: day, Key: fresh()}); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// takeCustomerKey keeps the first key of a day, or deletes those that are over.
func (h *Handler) takeCustomerKey(tx *partition.Tx, in store.Input) error {
	k, err := partition.DecodeInput[customerKey](in)
	if err != nil {
		return err
	}
	if len(k.Key) > 0 {
		if had, err := tx.Get(customerKeyRecords, k.Day, &customerKey{}); err != nil || had {
			return err
		}
		return tx.Put(customerKeyRecords, k.Day, "customer_key", 1, k)
	}
	records, err := tx.List(customerKeyRecords)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Key < k.Day {
			tx.Delete(customerKeyRecords, r.Key)
		}
	}
	return nil
}
