package flow

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Directory lists the onboarded tenants of this process. Safe for concurrent use.
type Directory struct {
	mu      sync.RWMutex
	tenants map[tenant.ID]tenant.Tenant
	purges  map[tenant.ID]Purge
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
	slices.SortFunc(out, func(a, b tenant.Tenant) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
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
	n := 0
	for _, t := range d.tenants {
		if t.Watched() {
			n++
		}
	}
	return n
}

func (d *Directory) put(t tenant.Tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants == nil {
		d.tenants = map[tenant.ID]tenant.Tenant{}
	}
	d.tenants[t.ID] = t
}

func (d *Directory) remove(id tenant.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.tenants, id)
	delete(d.seen, id)
}

// observe notes what the newest revision of a tenant's profile was made of.
func (d *Directory) observe(id tenant.ID, o profiles.Observation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[tenant.ID]profiles.Observation{}
	}
	d.seen[id] = o
}

// observed is what was noted of a tenant.
func (d *Directory) observed(id tenant.ID) profiles.Observation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.seen[id]
}

// keep takes the documents of list as all there are, but for those that are served
// here: what was put or removed of them meanwhile stays.
func (d *Directory) keep(list map[tenant.ID]tenant.Tenant, here func(tenant.ID) bool) {
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
	d.tenants = list
}

// LoadDirectory reads every tenant document of the store, which environments
// have had incidents, and what people decided about being on call. Where other
// processes share the store it is called again and again; profiles follow when
// what they all depend on has changed.
func (s *Shared) LoadDirectory(ctx context.Context) error {
	list := map[tenant.ID]tenant.Tenant{}
	for p := range store.Partitions {
		records, err := partition.All(ctx, s.Store, store.Partition(p), tenants)
		if err != nil {
			return err
		}
		for _, r := range records {
			t, err := decode[tenant.Tenant](r)
			if err != nil {
				return err
			}
			list[t.ID] = t
		}
		if records, err = partition.All(ctx, s.Store, store.Partition(p), purges); err != nil {
			return err
		}
		for _, r := range records {
			p, err := readPurge(r)
			if err != nil {
				return err
			}
			if p.Journal != s.Journal { // its position means nothing here
				p.At = journal.Position{}
			}
			s.directory.purged(p)
		}
		if records, err = partition.All(ctx, s.Store, store.Partition(p), environments); err != nil {
			return err
		}
		for _, r := range records {
			s.saw(r.Key)
		}
	}
	s.adopt(list)
	return s.LoadDuty(ctx)
}

// adopt takes over what other processes changed. What is served here is known
// better than a listing, which may be a moment old, tells.
func (s *Shared) adopt(list map[tenant.ID]tenant.Tenant) {
	before := s.observation()
	s.directory.keep(list, func(id tenant.ID) bool {
		_, here := s.SeatOf(TenantSubject(id))
		return here
	})
	if !s.observation().Equal(before) {
		s.refreshAll()
	}
}

// Known says whether a tenant was onboarded, also by another process since the
// directory was read.
func (s *Shared) Known(ctx context.Context, id tenant.ID) bool {
	if s.directory.Known(id) {
		return true
	}
	r, ok, err := s.Store.Record(ctx, store.PartitionOf(TenantSubject(id)), tenants, string(id))
	if err != nil || !ok {
		return false
	}
	t, err := decode[tenant.Tenant](r)
	if err != nil {
		return false
	}
	s.directory.put(t)
	return true
}
