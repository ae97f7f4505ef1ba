package directory

import (
	"time"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Purge is the erasure of a tenant. The record stays: while it does, nothing of
// the tenant that stands before At in the journal is written to the history again.
type Purge struct {
	ID      tenant.ID        `json:"id"`
	At      journal.Position `json:"at"`
	Journal string           `json:"journal,omitempty"` // the one that At is a position in
	AskedAt time.Time        `json:"asked_at"`
	By      string           `json:"by"`
	Done    bool             `json:"done"`
}

// Erased says what a purge took away.
type Erased struct {
	Tenant    tenant.ID `json:"tenant"`
	Series    int       `json:"series"`    // of the metrics history
	Records   int       `json:"records"`   // document, profile revisions, learned state, alerts
	Incidents int       `json:"incidents"` // that were the tenant's alone, with their pages
	Pictures  int       `json:"pictures"`
	// Kept are incidents of the tenant alone that are not over or whose ticket is
	// not up to date: they lose their picture only.
	Kept int `json:"kept"`
}

// Purged notes a purge.
func (d *Directory) Purged(p Purge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.purges == nil {
		d.purges = map[tenant.ID]Purge{}
	}
	d.purges[p.ID] = p
}

// Purge gives what was last erased of a tenant.
func (d *Directory) Purge(id tenant.ID) (Purge, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, ok := d.purges[id]
	return p, ok
}

// Unfinished lists the purges that were asked for and are not done.
func (d *Directory) Unfinished() (out []Purge) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, p := range d.purges {
		if !p.Done {
			out = append(out, p)
		}
	}
	return out
}

// Erased says whether a tenant's samples that end at a position of the journal
// belong to what was purged. unknown is what the door said of the tenant.
func (d *Directory) Erased(id tenant.ID, unknown bool, end journal.Position) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, ok := d.purges[id]
	if !ok {
		return false
	}
	_, known := d.tenants[id]
	// What was under way at the moment of the purge still took it for a tenant.
	return !p.At.Before(end) || !known && !unknown
}

// ReadPurge reads the record of one.
func ReadPurge(r store.Record) (Purge, error) {
	if r.Version != 1 {
		return Purge{}, problem.New(problem.Internal, "a purge of version %d cannot be read by this release", r.Version)
	}
	return partition.Decode[Purge](r)
}
