package flow

import (
	"fmt"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const purges = "purge" // Purge by tenant, in the tenant's partition

// BeginPurge offboards the tenant, if it is there, and erases its records. It
// gives how many.
func (s *Shared) BeginPurge(tx *partition.Tx, h *Handler, id tenant.ID, match int, by string) (records int, err error) {
	_, there, err := tx.Raw(directory.Tenants, string(id))
	if err != nil {
		return 0, err
	}
	if there || match != 0 {
		if err := s.DeleteTenant(tx, h, id, match, by); err != nil {
			return 0, err
		}
		records = 2 // document and learned state
	}
	revisions, err := course.Forget(tx, id)
	if err != nil {
		return 0, err
	}
	records += revisions
	all, err := partition.Values[alert.Alert](tx.List(raise.Records))
	if err != nil {
		return 0, err
	}
	for _, a := range all {
		if a.Tenant == id {
			tx.Delete(raise.Records, string(a.ID))
			records++
		}
	}
	gone, err := forgetNoted(tx, id)
	if err != nil {
		return 0, err
	}
	records += gone
	p := directory.Purge{ID: id, At: s.JournalEnd(), Journal: s.Journal, AskedAt: tx.Now().UTC(), By: by}
	if err := tx.Put(purges, string(id), "purge", 1, p); err != nil {
		return 0, err
	}
	tx.Log(ledger.Entry{Subject: id.Subject(), Kind: "tenant.purge_asked", Actor: by,
		Reason: fmt.Sprintf("what is kept of tenant %s is to be erased; %d record(s) were", id, records)})
	tx.After(func() { s.directory.Purged(p) })
	return records, nil
}

// EndPurge records that everything was erased.
func (s *Shared) EndPurge(tx *partition.Tx, p directory.Purge, e directory.Erased) error {
	p.Done = true
	tx.Log(ledger.Entry{Subject: p.ID.Subject(), Kind: "tenant.purged", Actor: p.By, Data: partition.Payload(e),
		Reason: fmt.Sprintf("of tenant %s were erased: %d series, %d record(s), %d incident(s) of its own, %d picture(s); %d incident(s) that were not over lost their picture only; the ledger stays",
			p.ID, e.Series, e.Records, e.Incidents, e.Pictures, e.Kept)})
	tx.After(func() { s.directory.Purged(p) })
	return tx.Put(purges, string(p.ID), "purge", 1, p)
}
