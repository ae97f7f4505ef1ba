// Package standby is what people decided about being on call: who takes over from whom,
// and which teams are paged for real.
//
// It keeps decisions in the store, in the partition of Subject, and in memory for
// everybody who asks. Who is called is worked out by rota and oncall.
package standby

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/oklog/ulid/v2"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
)

// Subject is where what people decide about being on call lives.
const Subject = "oncall"

const overrides = "override" // rota.Override by id, in the partition of Subject

// Book has the decisions. The exported fields are to be set before use. Safe for
// concurrent use.
type Book struct {
	Store   store.Store
	Catalog func() *catalog.Catalog
	// Default says whether a team is paged for real by the configuration.
	Default func(catalog.TeamID) bool
	// Here says whether this process decides: then it knows better than the store.
	Here func() bool
	// Drills lists those of a team, the newest first.
	Drills func(ctx context.Context, team catalog.TeamID) ([]oncall.Drill, error)

	modes     atomic.Pointer[map[catalog.TeamID]Mode]
	overrides atomic.Pointer[[]rota.Override] // the oldest first
}

// Roster is who is on call, as the catalog and the overrides of this moment say.
func (b *Book) Roster() rota.Roster {
	r := rota.Roster{Catalog: b.Catalog()}
	if list := b.overrides.Load(); list != nil {
		r.Overrides = *list
	}
	return r
}

// AddOverride stores a new override; without From it begins now. It is in
// force once it is committed.
func (b *Book) AddOverride(tx *partition.Tx, o rota.Override, actor string) (rota.Override, error) {
	now := tx.Now().UTC()
	if o.From.IsZero() {
		o.From = now
	}
	o.From, o.To, o.Author, o.CreatedAt = o.From.UTC(), o.To.UTC(), actor, now
	o.Reason = oneLine(o.Reason)
	r := b.Roster()
	if err := r.Check(o, now); err != nil {
		return o, err
	}
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return o, problem.Wrap(err, problem.Internal, "no random numbers")
	}
	o.ID = "ovr_" + strings.ToLower(id.String())
	tx.Log(ledger.Entry{Subject: "schedule/" + string(o.Schedule), Refs: overrideRefs(o), Kind: "oncall.override_added", Actor: actor, Reason: r.Says(o), Data: partition.Payload(o)})
	b.putOverride(tx, o)
	return o, nil
}

// RemoveOverride takes an override away. One that is under way ends now, so that
// who was on call stays true; one that is over stays.
func (b *Book) RemoveOverride(tx *partition.Tx, id, actor string) error {
	var o rota.Override
	ok, err := tx.Get(overrides, id, &o)
	if err != nil {
		return err
	}
	now := tx.Now().UTC()
	entry := ledger.Entry{Subject: "schedule/" + string(o.Schedule), Refs: overrideRefs(o), Kind: "oncall.override_removed", Actor: actor, Data: partition.Payload(o)}
	switch {
	case !ok:
		return problem.New(problem.NotFound, "there is no such override").WithHint("tocsin oncall override list shows them; those of the catalog are removed there")
	case !now.Before(o.To):
		return problem.New(problem.Conflict, "the override is over: who was on call then stays")
	case now.After(o.From):
		entry.Reason = "the override ends now, before: " + b.Roster().Says(o)
		o.To = now
		tx.Log(entry)
		b.putOverride(tx, o)
		return nil
	}
	entry.Reason = "the override is taken back: " + b.Roster().Says(o)
	tx.Log(entry)
	tx.Delete(overrides, id)
	tx.After(func() { b.changeOverrides(func(list []rota.Override) []rota.Override { return without(list, id) }) })
	return nil
}

func overrideRefs(o rota.Override) []string {
	refs := []string{"override/" + o.ID, "person/" + string(o.Person)}
	if o.Instead != "" {
		refs = append(refs, "person/"+string(o.Instead))
	}
	return refs
}

func (b *Book) putOverride(tx *partition.Tx, o rota.Override) {
	tx.PutRaw(store.Record{Collection: overrides, Key: o.ID, Kind: rota.RecordKind, Version: rota.RecordVersion, Value: partition.Payload(o)})
	tx.After(func() {
		b.changeOverrides(func(list []rota.Override) []rota.Override { return append(without(list, o.ID), o) })
	})
}

func without(list []rota.Override, id string) []rota.Override {
	return slices.DeleteFunc(slices.Clone(list), func(o rota.Override) bool { return o.ID == id })
}

// changeOverrides puts another list in force; the oldest override stays first.
func (b *Book) changeOverrides(change func([]rota.Override) []rota.Override) {
	list := change(b.Roster().Overrides)
	sortOverrides(list)
	b.overrides.Store(&list)
}

// Load reads what was decided about being on call, unless it is changed here
// and known better. What changes while it reads is not undone: it reads again.
func (b *Book) Load(ctx context.Context) error {
	for read := false; !read; {
		if b.Here() {
			return nil
		}
		before := b.overrides.Load()
		list, err := partition.AllOf[rota.Override](ctx, b.Store, Subject, overrides)
		if err != nil {
			return err
		}
		sortOverrides(list)
		read = b.overrides.CompareAndSwap(before, &list)
	}
	return b.loadModes(ctx)
}

func sortOverrides(list []rota.Override) {
	slices.SortFunc(list, func(a, b rota.Override) int { return strings.Compare(a.ID, b.ID) })
}
