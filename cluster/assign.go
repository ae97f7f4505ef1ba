// Package cluster is how several processes share one store: which of them should
// serve which partition, and how one asks another.
//
// Who lives and who holds what is the store's to say. Nothing here decides: a
// partition belongs to whoever holds its lease, whatever this package computes.
package cluster

import (
	"hash/fnv"

	"github.com/tocsin-alerting/tocsin/store"
)

// Preferred is the member that should serve p: the one with the highest hash of
// its id and p, so that a member that joins or leaves moves no other's
// partitions. Members that leave are passed over; empty when all do.
func Preferred(p store.Partition, members []store.Member) (id string) {
	var best uint64
	for _, m := range members {
		if m.Leaving {
			continue
		}
		if w := weight(m.ID, p); id == "" || w > best || w == best && m.ID < id {
			id, best = m.ID, w
		}
	}
	return id
}

// Share lists the partitions that id should serve, in order.
func Share(id string, members []store.Member) []store.Partition {
	var out []store.Partition
	for p := range store.Partitions {
		if Preferred(store.Partition(p), members) == id {
			out = append(out, store.Partition(p))
		}
	}
	return out
}

func weight(id string, p store.Partition) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	_, _ = h.Write([]byte{0, byte(p)})
	v := h.Sum64() // close names have close sums: mixed until every bit depends on every other
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}
