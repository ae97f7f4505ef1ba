package flow

import (
	"slices"
	"sync"
)

// names is the set of subjects of one kind in this process. Safe for concurrent use.
type names struct {
	mu  sync.Mutex
	set map[string]bool
}

// add says whether there is room for one more.
func (n *names) add(subject string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set[subject] {
		return true
	}
	if len(n.set) >= mostSources {
		return false
	}
	if n.set == nil {
		n.set = map[string]bool{}
	}
	n.set[subject] = true
	return true
}

func (n *names) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(keysOf(n.set))
}
