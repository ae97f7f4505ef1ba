package lesson

import (
	"context"

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
	list, err := partition.All(ctx, s, p, records)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Version != 1 {
			return problem.New(problem.Internal, "a lesson of version %d cannot be read by this release", r.Version)
		}
		l, err := partition.Decode[evaluate.Lesson](r)
		if err != nil {
			return err
		}
		e.Learn(l)
	}
	return nil
}

// loadAccepted gives the engine what was accepted.
func loadAccepted(ctx context.Context, p store.Partition, s store.Store, e *evaluate.Engine) error {
	list, err := partition.Values[evaluate.Acceptance](partition.All(ctx, s, p, accepted))
	if err != nil {
		return err
	}
	for _, v := range list {
		e.Accept(v)
	}
	return nil
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
