package outbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// Backlog is what waits for one destination.
type Backlog struct {
	Destination string    `json:"destination"`
	Waiting     int       `json:"waiting"`
	Oldest      time.Time `json:"oldest"`
	Failures    int       `json:"failures"` // attempts in a row
	LastError   string    `json:"last_error"`
}

// Backlogs lists the destinations for which something waits, the most first.
func Backlogs(ctx context.Context, s store.Store) ([]Backlog, error) {
	by := map[string]*Backlog{}
	failures := map[string]int{}
	for p := range store.Partitions {
		waiting, err := partition.Values[delivery.Delivery](partition.All(ctx, s, store.Partition(p), deliveries))
		if err != nil {
			return nil, err
		}
		for _, d := range waiting {
			b := by[d.Destination]
			if b == nil {
				b = &Backlog{Destination: d.Destination, Oldest: d.CreatedAt}
				by[d.Destination] = b
			}
			b.Waiting++
			if d.CreatedAt.Before(b.Oldest) {
				b.Oldest = d.CreatedAt
			}
			if d.LastError != "" {
				b.LastError = d.LastError
			}
		}
		if len(waiting) == 0 {
			continue
		}
		known, err := partition.All(ctx, s, store.Partition(p), destinations)
		if err != nil {
			return nil, err
		}
		for _, r := range known {
			d, err := partition.Decode[delivery.Destination](r)
			if err != nil {
				return nil, err
			}
			failures[r.Key] = d.Failures
		}
	}
	out := make([]Backlog, 0, len(by))
	for name, b := range by {
		b.Failures = failures[name]
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Backlog) int {
		if a.Waiting != b.Waiting {
			return b.Waiting - a.Waiting
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	return out, nil
}
