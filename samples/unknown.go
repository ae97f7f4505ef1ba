package samples

import (
	"slices"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// UnknownTenant sends samples and was onboarded by nobody.
type UnknownTenant struct {
	ID        tenant.ID `json:"id"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Series    int       `json:"series"`
	Samples   int       `json:"samples"`
}

// strangers is the bounded list of unknown tenants. When it is full the one not
// heard of for longest makes room.
type strangers struct {
	max int
	mu  sync.Mutex
	all map[tenant.ID]*UnknownTenant
}

func newStrangers(max int) *strangers {
	return &strangers{max: max, all: map[tenant.ID]*UnknownTenant{}}
}

// saw adds what a request held of the tenant.
func (s *strangers) saw(id tenant.ID, series, samples int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.all[id]
	if u == nil {
		if len(s.all) >= s.max {
			s.dropOldest()
		}
		u = &UnknownTenant{ID: id, FirstSeen: at.UTC()}
		s.all[id] = u
	}
	if at.After(u.LastSeen) {
		u.LastSeen = at.UTC()
	}
	u.Series += series
	u.Samples += samples
}

func (s *strangers) dropOldest() {
	var oldest *UnknownTenant
	for _, u := range s.all {
		if oldest == nil || u.LastSeen.Before(oldest.LastSeen) {
			oldest = u
		}
	}
	if oldest != nil {
		delete(s.all, oldest.ID)
	}
}

func (s *strangers) forget(id tenant.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

func (s *strangers) list() []UnknownTenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]UnknownTenant, 0, len(s.all))
	for _, u := range s.all {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b UnknownTenant) int {
		if c := b.LastSeen.Compare(a.LastSeen); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	return out
}

// Saw adds what another door received of a tenant that nobody onboarded.
func (d *Door) Saw(id tenant.ID, items int, at time.Time) { d.unknown.saw(id, 0, items, at) }
