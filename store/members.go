package store

import (
	"context"
	"time"
)

// Member is one process among those that share a store.
type Member struct {
	ID      string    `json:"id"`
	URL     string    `json:"url"` // where the others reach it
	Started time.Time `json:"started"`
	Version string    `json:"version"`
	// Leaving: it gives its partitions away and takes none.
	Leaving bool `json:"leaving,omitempty"`
}

// Members is what a home that several processes share tells of them. Safe for
// concurrent use.
type Members interface {
	// Beat says that m lives, for ttl, and lists all that do, in order of id.
	Beat(ctx context.Context, m Member, ttl time.Duration) ([]Member, error)
	// Leave takes the member out at once.
	Leave(ctx context.Context, id string) error
	// Holder is the id of the process that holds p's lease; empty: none does.
	Holder(ctx context.Context, p Partition) (string, error)
	// Holders is Holder of every partition, not at one moment.
	Holders(ctx context.Context) ([Partitions]Hold, error)
}

// Hold is how a partition stands.
type Hold struct {
	Holder string // empty: nobody
	// Waiting counts inputs that were offered and not decided on yet.
	Waiting int
	// Oldest is when the first of them was offered, by the offerer's clock; zero
	// when there is none.
	Oldest time.Time
}
