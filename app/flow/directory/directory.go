// Package directory is which tenants there are in memory, what was last observed of those
// served here, what was purged, and which ids were somebody else's.
//
// It keeps; whoever owns a tenant's partition puts in what was decided.
package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Tenants holds tenant.Tenant by id, in the partition of the tenant.
const Tenants = "tenant"

// Document reads a tenant's within a decision at its home; NotFound when nobody has the id.
func Document(tx *partition.Tx, id tenant.ID) (t tenant.Tenant, err error) {
	ok, err := tx.Get(Tenants, string(id), &t)
	if err == nil && !ok {
		err = Nobody()
	}
	return t, err
}

// Nobody is what is said of an id that no tenant has.
func Nobody() error { return problem.New(problem.NotFound, "there is no such tenant") }

// Directory lists the onboarded tenants of this process. Safe for concurrent use.
type Directory struct {
	mu      sync.RWMutex
	tenants map[tenant.ID]tenant.Tenant
	watched int // of tenants: every look at every profile asks for it
	purges  map[tenant.ID]Purge
	formers map[tenant.ID]time.Time            // until when somebody else had an id
	seen    map[tenant.ID]profiles.Observation // of those served here
}

// Known says whether a tenant was onboarded.
func (d *Directory) Known(id tenant.ID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.tenants[id]
	return ok
}

// Get gives a tenant's document.
func (d *Directory) Get(id tenant.ID) (tenant.Tenant, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, ok := d.tenants[id]
	return t, ok
}

// List gives all documents in order of id.
func (d *Directory) List() []tenant.Tenant {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]tenant.Tenant, 0, len(d.tenants))
	for _, t := range d.tenants {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b tenant.Tenant) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// IDs lists all tenants, in no order.
func (d *Directory) IDs() []tenant.ID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Collect(maps.Keys(d.tenants))
}

// Count is how many tenants there are.
func (d *Directory) Count() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.tenants)
}

// Watched counts the tenants whose traffic is evaluated.
func (d *Directory) Watched() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.watched
}

// count counts a document that is put in (1) or taken out (-1).
func (d *Directory) count(t tenant.Tenant, by int) {
	if t.Watched() {
		d.watched += by
	}
}

// Put takes a document in.
func (d *Directory) Put(t tenant.Tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants == nil {
		d.tenants = map[tenant.ID]tenant.Tenant{}
	}
	if old, ok := d.tenants[t.ID]; ok {
		d.count(old, -1)
	}
	d.count(t, 1)
	d.tenants[t.ID] = t
}

// Remove forgets a tenant.
func (d *Directory) Remove(id tenant.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.tenants[id]; ok {
		d.count(old, -1)
	}
	delete(d.tenants, id)
	delete(d.seen, id)
}

// Observe notes what the newest revision of a tenant's profile was made of.
func (d *Directory) Observe(id tenant.ID, o profiles.Observation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[tenant.ID]profiles.Observation{}
	}
	d.seen[id] = o
}

// Observed is what was noted of a tenant.
func (d *Directory) Observed(id tenant.ID) profiles.Observation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.seen[id]
}

// Keep takes the documents of list as all there are, but for those that are served
// here: what was put or removed of them meanwhile stays.
func (d *Directory) Keep(list map[tenant.ID]tenant.Tenant, here func(tenant.ID) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range list {
		if _, known := d.tenants[id]; !known && here(id) {
			delete(list, id)
		}
	}
	for id, t := range d.tenants {
		if here(id) {
			list[id] = t
		}
	}
	d.tenants, d.watched = list, 0
	for _, t := range list {
		d.count(t, 1)
	}
}
