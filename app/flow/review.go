package flow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
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

// What waits for a person is told to the team that owns the service, in one ticket for
// all its tenants: it calls nobody. The tenants' partitions tell the reviews' home what
// begins and ends to wait.

// ReviewsSubject is where the notices of what waits for a person live.
const ReviewsSubject = "reviews"

// Collections of ReviewsSubject.
const (
	reviewWaits = "review_wait" // evolution.Wait by tenant
	reviews     = "review"      // review by team
)

const (
	timerReview  = "review"    // a team's notice is to be looked at
	reviewGather = time.Minute // a ticket waits for the other tenants of the same hour
)

// review is a team's notice with its ticket.
type review struct {
	evolution.Review
	System string   `json:"system"`
	Ref    itsm.Ref `json:"ref"`
}

// waitTold tells the reviews' home what waits of a tenant; Number 0: nothing.
type waitTold struct {
	evolution.Wait
	At time.Time `json:"at"`
}

// tellReview tells the reviews' home when what waits for a person of a tenant has
// changed.
func (h *Handler) tellReview(tx *partition.Tx, t tenant.Tenant, was, is evolution.State) {
	old, now := waitsFor(was), waitsFor(is)
	h.countWait(t.ID, now > 0)
	if old == now {
		return
	}
	w := waitTold{Wait: evolution.Wait{Tenant: string(t.ID), Name: t.Name, Number: now}, At: tx.Now()}
	if now > 0 {
		p := is.Proposal
		w.Team, w.From, w.To, w.Cause, w.Held, w.Since = string(h.s.reviewer(t)), p.From, p.To, p.Cause, p.Held, *p.WaitsSince
	}
	tx.Send(store.Input{ID: fmt.Sprintf("review/%s/%d/%d/%d", t.ID, old, now, tx.Now().UnixNano()), Kind: inputReview, Version: 1, Subject: ReviewsSubject, Payload: partition.Payload(w)})
}

// waitsFor is the number of the proposal that waits for a person; 0: none does.
func waitsFor(s evolution.State) int {
	if s.Proposal == nil || s.Proposal.WaitsSince == nil {
		return 0
	}
	return s.Proposal.Number
}

// countWait keeps the gauge.
func (h *Handler) countWait(id tenant.ID, is bool) {
	if is != h.awaited[id] {
		h.awaited[id] = is
		if is {
			h.s.Metrics.Awaited.Inc()
		} else {
			delete(h.awaited, id)
			h.s.Metrics.Awaited.Dec()
		}
	}
}

// reviewer is the team that decides about a tenant's tier: who owns the service whose
// events are the tenants' volume.
func (s *Shared) reviewer(t tenant.Tenant) catalog.TeamID {
	p, _ := s.Rules().Of(t.ID)
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
	team, _ := s.Rules().Catalog.Owner(catalog.ServiceID(service))
	return team.ID
}

// reviewTold takes note of what waits. The ticket waits for the others of the same hour.
func (h *Handler) reviewTold(tx *partition.Tx, in store.Input) error {
	w, err := partition.DecodeInput[waitTold](in)
	if err != nil {
		return err
	}
	var old evolution.Wait
	known, err := tx.Get(reviewWaits, w.Tenant, &old)
	if err != nil {
		return err
	}
	for _, team := range []string{old.Team, w.Team} {
		if team != "" {
			tx.SetTimer(store.Timer{ID: "review/gather/" + team, At: tx.Now().Add(reviewGather), Subject: team, Kind: timerReview})
		}
	}
	if w.Number > 0 {
		return tx.Put(reviewWaits, w.Tenant, "review_wait", 1, w.Wait)
	}
	if known {
		tx.Delete(reviewWaits, w.Tenant)
	}
	return nil
}

// lookReview brings a team's notice up to date.
func (h *Handler) lookReview(tx *partition.Tx, team string) error {
	records, err := tx.List(reviewWaits)
	if err != nil {
		return err
	}
	waits, err := waitsOf(records, team)
	if err != nil {
		return err
	}
	var r review
	if _, err := tx.Get(reviews, team, &r); err != nil {
		return err
	}
	next, changed := r.Look(waits, tx.Now())
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
		tx.SetTimer(store.Timer{ID: "review/remind/" + team, At: next.NextAt, Subject: team, Kind: timerReview})
	}
	h.askReview(tx, catalog.TeamID(team), &r)
	return tx.Put(reviews, team, "review", 1, r)
}

// askReview asks for the notice's ticket.
func (h *Handler) askReview(tx *partition.Tx, id catalog.TeamID, r *review) {
	team, _ := h.s.Rules().Catalog.Team(id)
	if r.System != "" {
		if system, _, _ := h.s.Settings.Ticket(team); system != r.System { // it stays where it is
			team.ITSM.System, team.ITSM.Queue = r.System, ""
		}
	}
	system, queue, live := h.s.Settings.Ticket(team)
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
	outbox.Ask(tx, "itsm/"+system, delivery.Delivery{Key: key + "/ticket/" + system, Kind: delivery.Mirror, Verb: outbox.Ticket, Subject: ReviewsSubject, Ref: key,
		Version: t.Version, Payload: partition.Payload(outbox.TicketJob{System: system, Ticket: t, Known: r.Ref})})
}

// reviewOutcome notes where the ticket is.
func (h *Handler) reviewOutcome(tx *partition.Tx, in store.Input) error {
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
	var r review
	if ok, err := tx.Get(reviews, parts[1], &r); err != nil || !ok || fmt.Sprint(r.Number) != parts[2] || got.Ref == r.Ref || got.Ref.ID == "" {
		return err
	}
	r.Ref = got.Ref
	return tx.Put(reviews, parts[1], "review", 1, r)
}

// waitsOf are what waits for a team (empty: for all), the longest first.
func waitsOf(records []store.Record, team string) ([]evolution.Wait, error) {
	out := []evolution.Wait{}
	for _, r := range records {
		w, err := partition.Decode[evolution.Wait](r)
		if err != nil {
			return nil, err
		}
		if team == "" || w.Team == team {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b evolution.Wait) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Tenant, b.Tenant))
	})
	return out, nil
}

// Waits lists the proposals that wait for a person, the longest first.
func (s *Shared) Waits(ctx context.Context) ([]evolution.Wait, error) {
	records, err := partition.All(ctx, s.Store, store.PartitionOf(ReviewsSubject), reviewWaits)
	if err != nil {
		return nil, err
	}
	return waitsOf(records, "")
}
