// Package course keeps how a tenant's profile stands: its last revisions, how it evolves,
// and what pins, freezes or overrides it. What is due of it and what its rules become
// is decided by package revision; a backtest asks the same questions of what was recorded.
package course

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	courses   = "course" // Course by tenant
	version   = 1
	revisions = "profile" // profiles.Triple by tenant/number
	// revisionVersion of the records of revisions: since 2 they hold the document.
	revisionVersion = 2
	mostRevisions   = 100 // of one tenant's profile; the oldest goes first, but not one that it is pinned at
)

// Course is what is decided of a tenant's profile besides its document: how it
// evolves, what somebody overrides, and which of its revisions are kept.
type Course struct {
	evolution.State
	Overrides []profiles.Override `json:"overrides"` // made by API, that have not ended
	Oldest    int                 `json:"oldest"`    // revision
	Newest    int                 `json:"newest"`    // 0: there is none
}

// Read reads a tenant's course. Of a tenant of a release that kept none it is
// made of the revisions there are.
func Read(tx *partition.Tx, id tenant.ID) (c Course, err error) {
	r, ok, err := tx.Raw(courses, string(id))
	if err != nil {
		return c, err
	}
	if ok {
		return partition.DecodeVersion[Course](r, "course", version)
	}
	records, err := tx.ListPrefix(revisions, string(id)+"/")
	if err != nil {
		return c, err
	}
	return of(records)
}

// of is the course that follows from a tenant's revisions alone.
func of(records []store.Record) (c Course, err error) {
	for _, r := range records {
		t, err := readTriple(r)
		if err != nil {
			return c, err
		}
		if c.Newest = t.Number; c.Oldest == 0 {
			c.Oldest = t.Number
		}
	}
	return c, nil
}

// Put writes a tenant's course.
func Put(tx *partition.Tx, id tenant.ID, c Course) error {
	if c.Overrides == nil {
		c.Overrides = []profiles.Override{}
	}
	return tx.Put(courses, string(id), "course", version, c)
}

// At reads one revision; false when it is not kept.
func At(tx *partition.Tx, id tenant.ID, number int) (profiles.Triple, bool, error) {
	r, ok, err := tx.Raw(revisions, key(id, number))
	if err != nil || !ok {
		return profiles.Triple{}, false, err
	}
	t, err := readTriple(r)
	return t, err == nil, err
}

// Revisions lists a tenant's profile revisions, the oldest first.
func Revisions(tx *partition.Tx, id tenant.ID) ([]profiles.Triple, error) {
	c, err := Read(tx, id)
	if err != nil {
		return nil, err
	}
	out := []profiles.Triple{}
	for n := max(c.Oldest, 1); n <= c.Newest; n++ {
		t, ok, err := At(tx, id, n)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, t)
		}
	}
	return out, nil
}

// Forget deletes a tenant's revisions and its course; it says how many
// records there were.
func Forget(tx *partition.Tx, id tenant.ID) (records int, err error) {
	c, err := Read(tx, id)
	if err != nil {
		return 0, err
	}
	for n := max(c.Oldest, 1); n <= c.Newest; n++ {
		if _, ok, err := tx.Raw(revisions, key(id, n)); err != nil {
			return records, err
		} else if ok {
			tx.Delete(revisions, key(id, n))
			records++
		}
	}
	if _, ok, err := tx.Raw(courses, string(id)); err != nil {
		return records, err
	} else if ok {
		tx.Delete(courses, string(id))
		records++
	}
	return records, nil
}

// Stored reads the course and the last revision of a tenant whose partition is being taken, with
// no transaction; the revision's number is 0 when there is none.
func Stored(ctx context.Context, s store.Store, at store.Partition, id tenant.ID) (c Course, last profiles.Triple, err error) {
	r, ok, err := s.Record(ctx, at, courses, string(id))
	if err != nil {
		return c, last, err
	}
	if ok {
		c, err = partition.DecodeVersion[Course](r, "course", version)
	} else {
		var records []store.Record
		if records, err = s.Records(ctx, at, revisions, string(id)+"/", 1000); err == nil {
			c, err = of(slices.DeleteFunc(records, func(r store.Record) bool { return !strings.HasPrefix(r.Key, string(id)+"/") }))
		}
	}
	if err != nil {
		return c, last, err
	}
	if r, ok, err = s.Record(ctx, at, revisions, key(id, c.Newest)); err == nil && ok {
		last, err = readTriple(r)
	}
	return c, last, err
}

// Add makes the next revision of a profile, and forgets the oldest when there are
// too many.
func (c *Course) Add(tx *partition.Tx, id tenant.ID, triple profiles.Triple) (profiles.Triple, error) {
	c.Newest++
	if c.Oldest == 0 {
		c.Oldest = c.Newest
	}
	triple.Number, triple.At = c.Newest, tx.Now()
	for ; c.Newest-c.Oldest >= mostRevisions; c.Oldest++ {
		if c.Pin != nil && c.Pin.Revision == c.Oldest {
			break // and those behind it stay for as long
		}
		tx.Delete(revisions, key(id, c.Oldest))
	}
	return triple, tx.Put(revisions, key(id, triple.Number), "profile", revisionVersion, triple)
}

// PinOf is the pin that holds: a person's before the policy's. A person's that is over
// holds nothing back, though it is taken out by the next look only: the policy's holds.
func PinOf(c Course, p *profiles.Policy, id tenant.ID, now time.Time) (evolution.Pin, bool) {
	if c.Pin != nil && (c.Pin.Until == nil || now.Before(*c.Pin.Until)) {
		return *c.Pin, true
	}
	n, ok := p.Pinned(id, now)
	pin := evolution.Pin{Tier: n.Tier, Revision: n.Revision, Reason: n.Reason, By: n.By}
	if !n.Until.IsZero() {
		pin.Until = &n.Until
	}
	return pin, ok
}

// Fixed says whether a tenant's profile follows nothing, so that nothing need run in
// shadow for it either.
func Fixed(c Course, p *profiles.Policy, id tenant.ID, now time.Time) bool {
	pin, pinned := PinOf(c, p, id, now)
	return c.Freeze != nil || pinned && pin.Revision > 0
}

// InForce are the overrides that have not ended.
func InForce(all []profiles.Override, now time.Time) (out []profiles.Override) {
	for _, o := range all {
		if now.Before(o.Until) {
			out = append(out, o)
		}
	}
	return out
}

// HeldTier says why a tenant's tier may not change by its document and its policy; empty:
// it may.
func HeldTier(t tenant.Tenant, c Course, p *profiles.Policy, environment string, now time.Time) string {
	if pin, ok := PinOf(c, p, t.ID, now); ok {
		return pin.Words()
	}
	if e, held := p.Calendar().Active(now, calendar.HoldRevisions, *calendar.Of(t, environment)); held {
		return "the calendar entry " + e.Name + " holds revisions: " + e.Why
	}
	if !t.Watched() {
		return "the tenant is " + string(t.State)
	}
	return ""
}

// Log enters a decision's entries, of the tenant.
func Log(tx *partition.Tx, id tenant.ID, entries []ledger.Entry) {
	for i := range entries {
		entries[i].Subject = id.Subject()
	}
	tx.Log(entries...)
}

// Next is when something of a course ends or is decided by time.
func (c Course) Next() time.Time {
	at := c.Due()
	for _, o := range c.Overrides {
		if at.IsZero() || o.Until.Before(at) {
			at = o.Until
		}
	}
	return at
}

func readTriple(r store.Record) (profiles.Triple, error) {
	return partition.DecodeVersion[profiles.Triple](r, "profile", revisionVersion)
}

func key(id tenant.ID, number int) string { return fmt.Sprintf("%s/%08d", id, number) }
