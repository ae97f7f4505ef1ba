package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// get reads one key into memory of its own.
func (s *Store) get(key []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unreadable(err)
	}
	c := slices.Clone(v)
	return c, true, closer.Close()
}

func unreadable(err error) error {
	return problem.Wrap(err, problem.Unavailable, "the store cannot be read").
		WithHint("if this persists, the disk or a file of the store is damaged: restore the folder from a backup")
}

// scan calls f for keys in [from, to) in order until it says stop. Key and
// value are only valid during the call.
func (s *Store) scan(ctx context.Context, from, to []byte, f func(key, value []byte) (more bool, err error)) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.exit()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return unreadable(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = unreadable(e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return unreadable(err)
		}
		more, err := f(it.Key(), v)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, p store.Partition, collection, key string) (store.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, false, err
	}
	if err := s.enter(); err != nil {
		return store.Record{}, false, err
	}
	defer s.exit()
	c, ok, err := s.get(recordKey(p, collection, key))
	if err != nil || !ok {
		return store.Record{}, false, err
	}
	r, err := cell.DecodeRecord(collection, key, c)
	return r, err == nil, err
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context, p store.Partition, collection, last string, limit int) ([]store.Record, error) {
	if limit <= 0 {
		limit = 1000
	}
	out := []store.Record{}
	first := recordKey(p, collection, "")
	from := append(recordKey(p, collection, last), 0) // the key next behind last
	if last == "" {
		from = first
	}
	err := s.scan(ctx, from, after(first), func(k, v []byte) (bool, error) {
		r, err := cell.DecodeRecord(collection, string(k[len(first):]), slices.Clone(v))
		if err != nil {
			return false, err
		}
		out = append(out, r)
		return len(out) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Ledger implements store.Store.
func (s *Store) Ledger(ctx context.Context, p store.Partition, subject string, last uint64, limit int) ([]ledger.Entry, error) {
	if limit <= 0 {
		limit = 1000
	}
	out := []ledger.Entry{}
	if last == math.MaxUint64 {
		return out, nil
	}
	add := func(c []byte) (bool, error) {
		var e ledger.Entry
		if err := cell.DecodeJSON(c, "ledger", cell.LedgerVersion, &e); err != nil {
			return false, err
		}
		out = append(out, e)
		return len(out) < limit, nil
	}
	var err error
	if subject == "" {
		err = s.scan(ctx, numKey(p, 'l', last+1), after(prefix(p, 'l', 0)), func(_, v []byte) (bool, error) { return add(v) })
	} else {
		from := subjectKey(p, subject, last+1)
		err = s.scan(ctx, from, after(from[:len(from)-8]), func(k, _ []byte) (bool, error) {
			seq := binary.BigEndian.Uint64(k[len(k)-8:])
			c, ok, err := s.get(numKey(p, 'l', seq))
			if err != nil || !ok {
				return ok, err
			}
			return add(c)
		})
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}
