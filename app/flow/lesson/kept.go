package lesson

import (
	"context"
	"slices"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Load gives the engine of a partition what was accepted and said before a start.
func Load(ctx context.Context, p store.Partition, s store.Store, e *evaluate.Engine) error {
	if err := loadAccepted(ctx, p, s, e); err != nil {
		return err
	}
	list, err := kept[evaluate.Lesson](ctx, p, s, records, "a lesson")
	for _, l := range list {
		e.Learn(l)
	}
	return err
}

// loadAccepted gives the engine what was accepted, the oldest first: it remembers the
// latest only.
func loadAccepted(ctx context.Context, p store.Partition, s store.Store, e *evaluate.Engine) error {
	list, err := kept[evaluate.Acceptance](ctx, p, s, accepted, "an acceptance")
	slices.SortStableFunc(list, func(a, b evaluate.Acceptance) int { return a.At.Compare(b.At) })
	for _, v := range list {
		e.Accept(v)
	}
	return err
}

// kept reads all of a collection; none where this release cannot read one of them. word is
// what one is called.
func kept[T any](ctx context.Context, p store.Partition, s store.Store, collection, word string) ([]T, error) {
	list, err := partition.All(ctx, s, p, collection)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.Version != 1 {
			return nil, problem.New(problem.Internal, "%s of version %d cannot be read by this release", word, r.Version)
		}
	}
	return partition.Values[T](list, nil)
}

// Of lists what was said of a tenant's alerts and is kept.
func Of(tx *partition.Tx, id tenant.ID) ([]evaluate.Lesson, error) {
	return partition.Values[evaluate.Lesson](tx.ListPrefix(records, string(id)+"/"))
}

// Forget drops what people said of a tenant's alerts: its id may become another's. It
// says how many records there were.
func Forget(tx *partition.Tx, id tenant.ID) (n int, err error) {
	for _, c := range []string{accepted, records} {
		deleted, err := tx.DeletePrefix(c, string(id)+"/")
		if err != nil {
			return n, err
		}
		n += deleted
	}
	return n, nil
}
