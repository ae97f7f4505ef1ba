// Package review tells the team that owns a service what of its tenants' profiles waits for a
// person, in one ticket for all its tenants: it calls nobody. The tenants' partitions tell
// the reviews' home what begins and ends to wait.
package review

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Subject is where the notices of what waits for a person live.
const Subject = "reviews"

// Collections of Subject.
const (
	waits   = "review_wait" // evolution.Wait by tenant
	notices = "review"      // notice by team
)

const (
	// Input is the kind of what a tenant tells, at version 1.
	Input = "review"
	// Timer is the kind of a team's timer: its notice is to be looked at.
	Timer = "review"

	gather = time.Minute // a ticket waits for the other tenants of the same hour
)

// Board keeps the notices, in the partition of Subject. The fields are to be set before
// use. Safe for concurrent use.
type Board struct {
	Catalog func() *catalog.Catalog
	// Ticket says which system takes a team's tickets, in which queue, and
	// whether anything may be written there.
	Ticket func(catalog.Team) (system, queue string, live bool)
}

// notice is what a team is told, with its ticket.
type notice struct {
	evolution.Review
	System string   `json:"system"`
	Ref    itsm.Ref `json:"ref"`
}

// told is what waits of a tenant; Number 0: nothing.
type told struct {
	evolution.Wait
	At time.Time `json:"at"`
}

// Tell tells the reviews' home what waits for a person of a tenant, when it has changed.
// r are the rules in force.
func Tell(tx *partition.Tx, r policy.Rules, t tenant.Tenant, was, is evolution.State) {
	old, now := Waiting(was), Waiting(is)
	if old == now {
		return
	}
	w := told{Wait: evolution.Wait{Tenant: string(t.ID), Name: t.Name, Number: now}, At: tx.Now()}
	if now > 0 {
		p := is.Proposal
		w.Team, w.From, w.To, w.Cause, w.Held, w.Since = string(reviewer(r, t)), p.From, p.To, p.Cause, p.Held, *p.WaitsSince
	}
	tx.Send(store.Input{ID: fmt.Sprintf("review/%s/%d/%d/%d", t.ID, old, now, tx.Now().UnixNano()), Kind: Input, Version: 1, Subject: Subject, Payload: partition.Payload(w)})
}

// Waiting is the number of the proposal that waits for a person; 0: none does.
func Waiting(s evolution.State) int {
	if s.Proposal == nil || s.Proposal.WaitsSince == nil {
		return 0
	}
	return s.Proposal.Number
}

// reviewer is who decides about a tenant's tier: who owns the service whose
// events are the tenants' volume.
func reviewer(r policy.Rules, t tenant.Tenant) catalog.TeamID {
	p, _ := r.Of(t.ID)
	service := ""
	for _, d := range p.Rules {
		of := len(t.Services) == 0 || slices.Contains(t.Services, d.Service)
		if service == "" || of && d.SLI == p.Volume.SLI {
			service = d.Service
		}
		if of && d.SLI == p.Volume.SLI {
			break
		}
	}
	team, _ := r.Catalog.Owner(catalog.ServiceID(service))
	return team.ID
}

// Told takes note of what waits of a tenant. The ticket waits for the others of the same hour.
func (b *Board) Told(tx *partition.Tx, in store.Input) error {
	w, err := partition.DecodeInput[told](in)
	if err != nil {
		return err
	}
	var old evolution.Wait
	known, err := tx.Get(waits, w.Tenant, &old)
	if err != nil {
		return err
	}
	for _, team := range []string{old.Team, w.Team} {
		if team != "" {
			tx.SetTimer(store.Timer{ID: "review/gather/" + team, At: tx.Now().Add(gather), Subject: team, Kind: Timer})
		}
	}
	if w.Number > 0 {
		return tx.Put(waits, w.Tenant, "review_wait", 1, w.Wait)
	}
	if known {
		tx.Delete(waits, w.Tenant)
	}
	return nil
}

// Look brings a team's notice up to date.
func (b *Board) Look(tx *partition.Tx, team string) error {
	list, err := of(partition.Values[evolution.Wait](tx.List(waits)))
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(w evolution.Wait) bool { return w.Team != team })
	var r notice
	if _, err := tx.Get(notices, team, &r); err != nil {
		return err
	}
	next, changed := r.Look(list, tx.Now())
	if !changed {
		return nil
	}
	if next.Number != r.Number {
		r.Ref, r.System = itsm.Ref{}, ""
	}
	said := len(next.Notes) > len(r.Notes) || next.Number != r.Number || !next.Open
	if r.Review = next; said {
		what := fmt.Sprintf("team %s is told by ticket: %s", team, next.Title)
		if !next.Open {
			what = fmt.Sprintf("nothing waits for team %s any more", team)
		}
		tx.Log(ledger.Entry{Subject: "team/" + team, Kind: "team.reviews", Reason: what})
	}
	if next.Open {
		tx.SetTimer(store.Timer{ID: "review/remind/" + team, At: next.NextAt, Subject: team, Kind: Timer})
	}
	b.ask(tx, catalog.TeamID(team), &r)
	return tx.Put(notices, team, "review", 1, r)
}

// ask asks for the notice's ticket. A notice that is over and never had one, as its team was
// not live, needs none.
func (b *Board) ask(tx *partition.Tx, id catalog.TeamID, r *notice) {
	if !r.Open && r.System == "" {
		return
	}
	team, _ := b.Catalog().Team(id)
	if r.System != "" {
		if system, _, _ := b.Ticket(team); system != r.System { // it stays where it is
			team.ITSM.System, team.ITSM.Queue = r.System, ""
		}
	}
	system, queue, live := b.Ticket(team)
	if !live {
		return
	}
	r.System = system
	key := fmt.Sprintf("review/%s/%d", id, r.Number)
	t := itsm.Ticket{Key: strings.ReplaceAll(key, "/", "-"), Version: r.Version, Title: r.Title, Description: r.Text, Severity: rule.Info, State: itsm.Open, Queue: queue, Notes: []itsm.Note{}}
	if !r.Open {
		t.State = itsm.Resolved
	}
	for _, n := range r.Notes {
		t.Notes = append(t.Notes, itsm.Note{Key: t.Key + "/" + n.At.Format(time.RFC3339), At: n.At, Text: n.Text})
	}
	outbox.Ask(tx, "itsm/"+system, delivery.Delivery{Key: key + "/ticket/" + system, Kind: delivery.Mirror, Verb: outbox.Ticket, Subject: Subject, Ref: key,
		Version: t.Version, Payload: partition.Payload(outbox.TicketJob{System: system, Ticket: t, Known: r.Ref})})
}

// Outcome notes where the ticket is.
func (b *Board) Outcome(tx *partition.Tx, in store.Input) error {
	o, err := partition.DecodeInput[delivery.Outcome](in)
	if err != nil {
		return err
	}
	parts := strings.Split(o.Ref, "/")
	if len(parts) != 3 || len(o.Data) == 0 {
		return nil // not written yet: it is tried again
	}
	var got itsm.Result
	if err := json.Unmarshal(o.Data, &got); err != nil {
		return problem.Wrap(err, problem.Internal, "a ticket's result cannot be read")
	}
	var r notice
	if ok, err := tx.Get(notices, parts[1], &r); err != nil || !ok || fmt.Sprint(r.Number) != parts[2] || got.Ref == r.Ref || got.Ref.ID == "" {
		return err
	}
	r.Ref = got.Ref
	return tx.Put(notices, parts[1], "review", 1, r)
}

// of gives what waits in order, the longest first.
func of(list []evolution.Wait, err error) ([]evolution.Wait, error) {
	slices.SortFunc(list, func(a, b evolution.Wait) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Tenant, b.Tenant))
	})
	return list, err
}

// Waits lists the proposals that wait for a person, the longest first.
func Waits(ctx context.Context, s store.Store) ([]evolution.Wait, error) {
	return of(partition.Values[evolution.Wait](partition.All(ctx, s, store.PartitionOf(Subject), waits)))
}
