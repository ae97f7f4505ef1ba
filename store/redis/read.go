package redis

import (
	"context"
	"errors"
	"math"

	goredis "github.com/redis/go-redis/v9"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// reading is a script that only reads, with the partition's keys that it needs.
type reading struct {
	script *goredis.Script
	keys   []string
}

var (
	readInputs = reading{scriptInputs, []string{"m", "q", "i"}}
	readTimers = reading{scriptTimers, []string{"m", "t", "u"}}
)

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, p store.Partition, collection, key string) (store.Record, bool, error) {
	if err := s.enter(ctx); err != nil {
		return store.Record{}, false, err
	}
	c, err := s.c.HGet(ctx, prefixes[p]+"r:"+collection, key).Bytes()
	switch {
	case errors.Is(err, goredis.Nil):
		return store.Record{}, false, nil
	case err != nil && isReply(err):
		return store.Record{}, false, refusal(err)
	case err != nil:
		return store.Record{}, false, unreachable(err)
	}
	r, err := cell.DecodeRecord(collection, key, c)
	return r, err == nil, err
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context, p store.Partition, collection, last string, limit int) ([]store.Record, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 1000
	}
	from := "(" + last
	if last == "" {
		from = "-"
	}
	answer, _, err := s.run(ctx, scriptRecords, keys(p, "r:"+collection, "k:"+collection), from, limit)
	if err != nil {
		return nil, err
	}
	a := texts(answer)
	out := make([]store.Record, 0, len(a)/2)
	for i := range len(a) / 2 {
		r, err := cell.DecodeRecord(collection, a[i], []byte(a[len(a)/2+i]))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Ledger implements store.Store.
func (s *Store) Ledger(ctx context.Context, p store.Partition, subject string, last uint64, limit int) ([]ledger.Entry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 1000
	}
	out := []ledger.Entry{}
	if last >= 1<<53 { // no ledger is that long, and Lua counts no further
		return out, nil
	}
	args := []any{last, limit}
	if subject != "" {
		args = append(args, append([]byte{'['}, subjectKey(subject, last+1)...), append([]byte{'['}, subjectKey(subject, math.MaxUint64)...))
	}
	answer, _, err := s.run(ctx, scriptLedger, keys(p, "m", "l", "x"), args...)
	if err != nil {
		return nil, err
	}
	for _, v := range texts(answer) {
		c, err := entryCell([]byte(v))
		if err != nil {
			return nil, err
		}
		var e ledger.Entry
		if err := cell.DecodeJSON(c, "ledger", cell.LedgerVersion, &e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
