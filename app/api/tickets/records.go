package tickets

import (
	"cmp"
	"context"
	"strings"

	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Records keeps the built-in register in the store, in the partition of
// its destination: who delivers to it is the one who may write it.
type Records struct {
	Store store.Store
	Owner func(subject string) *partition.Owner
	Name  string // of the system in the configuration; default register
}

const registerRecords = "register"

func (r Records) subject() string {
	return store.DestinationSubject("itsm/" + cmp.Or(r.Name, "register"))
}

// Get implements register.Records.
func (r Records) Get(ctx context.Context, key string) ([]byte, bool, error) {
	rec, ok, err := r.Store.Record(ctx, store.PartitionOf(r.subject()), registerRecords, key)
	return rec.Value, ok, err
}

// Put implements register.Records.
func (r Records) Put(ctx context.Context, key string, value []byte) error {
	return r.Owner(r.subject()).Call(ctx, func(tx *partition.Tx) error {
		tx.PutRaw(store.Record{Collection: registerRecords, Key: key, Kind: "register", Version: 1, Value: value})
		return nil
	})
}

// List implements register.Records.
func (r Records) List(ctx context.Context, prefix, after string, limit int) ([]register.Record, error) {
	var out []register.Record
	if after < prefix {
		after = prefix // keys are longer than their prefix
	}
	for len(out) < limit {
		page, err := r.Store.Records(ctx, store.PartitionOf(r.subject()), registerRecords, after, limit)
		if err != nil {
			return nil, err
		}
		for _, rec := range page {
			if !strings.HasPrefix(rec.Key, prefix) {
				return out, nil
			}
			if len(out) < limit {
				out = append(out, register.Record{Key: rec.Key, Value: rec.Value})
			}
			after = rec.Key
		}
		if len(page) < limit {
			break
		}
	}
	return out, nil
}
