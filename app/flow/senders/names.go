package senders

import (
	"maps"
	"slices"
	"sync"
)

// Names are the subjects of the sources of this process. Safe for concurrent use.
type Names struct {
	mu  sync.Mutex
	set map[string]bool
}

// add says whether there is room for one more.
func (n *Names) add(subject string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set[subject] {
		return true
	}
	if len(n.set) >= most {
		return false
	}
	if n.set == nil {
		n.set = map[string]bool{}
	}
	n.set[subject] = true
	return true
}

// List gives them in order.
func (n *Names) List() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.set))
}
