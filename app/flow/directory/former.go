package directory

import (
	"maps"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Formers holds Former by id, in the partition of the tenant.
const Formers = "former"

// Former is that somebody else had a tenant's id. The record stays: what is kept of the
// id from before Until is not of whoever has it now.
type Former struct {
	ID    tenant.ID `json:"id"`
	Until time.Time `json:"until"` // when that one left, and once the id is used again: when that was
}

// PutFormer stores it with a decision at the tenant's home; the caller has the directory
// told after the commit.
func PutFormer(tx *partition.Tx, id tenant.ID) (Former, error) {
	f := Former{ID: id, Until: tx.Now().UTC()}
	return f, tx.Put(Formers, string(id), "former", 1, f)
}

// ReadFormer reads the record of one.
func ReadFormer(r store.Record) (Former, error) {
	if r.Version != 1 {
		return Former{}, problem.New(problem.Internal, "what is kept of a tenant's id that is used again has version %d, which this release cannot read", r.Version)
	}
	return partition.Decode[Former](r)
}

// Left notes that an id was somebody else's; what is known already may be newer.
func (d *Directory) Left(f Former) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.formers == nil {
		d.formers = map[tenant.ID]time.Time{}
	}
	if f.Until.After(d.formers[f.ID]) {
		d.formers[f.ID] = f.Until
	}
}

// Since is from when on what is kept under an id is of whoever has it now; zero: nobody
// had it before.
func (d *Directory) Since(id tenant.ID) time.Time {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.formers[id]
}

// Formers is Since of every id that somebody else had.
func (d *Directory) Formers() map[tenant.ID]time.Time {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return maps.Clone(d.formers)
}
