package flow

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
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
	b := &between{Store: memory.New(memory.Options{})}
	s := &Shared{Store: b}
	s.SetRules(Rules{})
	b.collection, b.then = overrides, func() {
		s.Bind(store.PartitionOf(DutySubject), partition.Nobody(), nil)
		s.changeOverrides(func(list []rota.Override) []rota.Override { return append(list, rota.Override{ID: "ovr_1"}) })
	}
	require.NoError(t, s.LoadDuty(t.Context()))
	require.Len(t, *s.overrides.Load(), 1)

	var d Directory
	d.put(tenant.Tenant{ID: "here"})
	d.put(tenant.Tenant{ID: "left"})
	d.keep(map[tenant.ID]tenant.Tenant{"there": {ID: "there"}, "gone": {ID: "gone"}}, func(id tenant.ID) bool { return id == "here" || id == "gone" })
	require.True(t, d.Known("here"))
	require.True(t, d.Known("there"))
	require.False(t, d.Known("gone"))
	require.False(t, d.Known("left"))
}
