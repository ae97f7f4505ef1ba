package standby

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

// between is a store in which something happens after a collection was read.
type between struct {
	store.Store
	collection string
	then       func()
}

func (b *between) Records(ctx context.Context, p store.Partition, collection, last string, limit int) ([]store.Record, error) {
	out, err := b.Store.Records(ctx, p, collection, last, limit)
	if b.then != nil && collection == b.collection {
		b.then()
		b.then = nil
	}
	return out, err
}

// A listing that was read before a partition was taken must not undo what its owner
// decided since: nobody would read it again.
func TestAListingUndoesNothingThatWasDecidedHere(t *testing.T) {
	s, here := &between{Store: memory.New(memory.Options{})}, false
	b := &Book{Store: s, Catalog: func() *catalog.Catalog { return nil }, Here: func() bool { return here }}
	s.collection, s.then = overrides, func() {
		here = true
		b.changeOverrides(func(list []rota.Override) []rota.Override { return append(list, rota.Override{ID: "ovr_1"}) })
	}
	require.NoError(t, b.Load(t.Context()))
	require.Len(t, *b.overrides.Load(), 1)
}
