package flow

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
)

// LoadDirectory reads every tenant document of the store, which environments
// have had incidents, and what people decided about being on call. Where other
// processes share the store it is called again and again; profiles follow when
// what they all depend on has changed.
func (s *Shared) LoadDirectory(ctx context.Context) error {
	list := map[tenant.ID]tenant.Tenant{}
	for p := range store.Partitions {
		tenants, err := partition.Values[tenant.Tenant](partition.All(ctx, s.Store, store.Partition(p), directory.Tenants))
		if err != nil {
			return err
		}
		for _, t := range tenants {
			list[t.ID] = t
		}
		records, err := partition.All(ctx, s.Store, store.Partition(p), purges)
		if err != nil {
			return err
		}
		for _, r := range records {
			p, err := directory.ReadPurge(r)
			if err != nil {
				return err
			}
			if p.Journal != s.Journal { // its position means nothing here
				p.At = journal.Position{}
			}
			s.directory.Purged(p)
		}
		if err := s.loadFormers(ctx, store.Partition(p)); err != nil {
			return err
		}
		if records, err = partition.All(ctx, s.Store, store.Partition(p), response.Environments); err != nil {
			return err
		}
		for _, r := range records {
			s.saw(r.Key)
		}
	}
	s.adopt(list)
	return s.Duty().Load(ctx)
}

// adopt takes over what other processes changed. What is served here is known
// better than a listing, which may be a moment old, tells.
func (s *Shared) adopt(list map[tenant.ID]tenant.Tenant) {
	s.recount(func() {
		s.directory.Keep(list, func(id tenant.ID) bool {
			_, here := s.SeatOf(id.Subject())
			return here
		})
	})
}

// recount lets f change which tenants there are. All profiles follow when what they all
// depend on is another by that.
func (s *Shared) recount(f func()) {
	before := s.observation()
	f()
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
	r, ok, err := s.Store.Record(ctx, store.PartitionOf(id.Subject()), directory.Tenants, string(id))
	if err != nil || !ok {
		return false
	}
	t, err := partition.Decode[tenant.Tenant](r)
	if err != nil {
		return false
	}
	s.directory.Put(t)
	return true
}

// loadFormers reads which ids of a partition were somebody else's.
func (s *Shared) loadFormers(ctx context.Context, p store.Partition) error {
	records, err := partition.All(ctx, s.Store, p, directory.Formers)
	if err != nil {
		return err
	}
	for _, r := range records {
		f, err := directory.ReadFormer(r)
		if err != nil {
			return err
		}
		s.directory.Left(f)
	}
	return nil
}

// Since is from when on what is kept under an id is of whoever has it now; zero: nobody
// had it before. Of an id that is served elsewhere the store is asked: its directory may
// be some seconds old.
func (s *Shared) Since(ctx context.Context, id tenant.ID) time.Time {
	if _, here := s.SeatOf(id.Subject()); !here {
		r, ok, err := s.Store.Record(ctx, store.PartitionOf(id.Subject()), directory.Formers, string(id))
		if f, bad := directory.ReadFormer(r); err == nil && ok && bad == nil {
			s.directory.Left(f)
		}
	}
	return s.directory.Since(id)
}

// ownTraces finds traces for an alert: none of whoever had the tenant's id before.
func (s *Shared) ownTraces() func(hops.Question) hops.Answer {
	if s.Traces == nil {
		return nil
	}
	return func(q hops.Question) hops.Answer {
		if at := s.directory.Since(q.Tenant); at.After(q.Since) {
			q.Since = at
		}
		return s.Traces(q)
	}
}
