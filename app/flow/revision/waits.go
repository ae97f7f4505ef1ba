package revision

import (
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Tell tells the reviews' home when what waits for a person of a tenant has
// changed.
func (k *Keeper) Tell(tx *partition.Tx, t tenant.Tenant, was, is evolution.State) {
	tx.After(func() { k.count(t.ID, review.Waiting(is) > 0) })
	review.Tell(tx, k.Rules(), t, was, is)
}

// count keeps the gauge.
func (k *Keeper) count(id tenant.ID, is bool) {
	if is != k.awaited[id] {
		k.awaited[id] = is
		if is {
			k.o.Awaited.Inc()
		} else {
			delete(k.awaited, id)
			k.o.Awaited.Dec()
		}
	}
}

// Left is called when the partition's owner has ended: what was counted in the gauge is
// another's to count.
func (k *Keeper) Left() {
	for id := range k.awaited {
		k.count(id, false)
	}
}
