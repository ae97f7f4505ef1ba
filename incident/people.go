package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/store"
)

// Holder is who has an incident, told to whoever asks for it.
type Holder struct {
	Taken bool // this call took it
	By    Actor
	Via   string
	Since time.Time
	Over  bool   // resolved: there is nothing to take
	Text  string // one sentence
}

// Acknowledge says that somebody has it: nobody is paged for it any more. Via
// is page, view, api or ticket. Asked again, or by another, it changes nothing
// and tells who has it since when.
func Acknowledge(i Incident, by Actor, via string, now time.Time) (Change, Holder) {
	b := begin(i, now)
	n := &b.Incident
	switch n.State {
	case StateResolved:
		h := Holder{By: n.ResolvedBy, Over: true, Text: n.label() + " is over: " + n.ResolutionReason + "."}
		if n.ResolvedAt != nil {
			h.Since = *n.ResolvedAt
			h.Text = fmt.Sprintf("%s is over since %s: %s.", n.label(), clock(h.Since), n.ResolutionReason)
		}
		b.log("acknowledged_late", actorName(by), by.String()+" acknowledged after it was over")
		return b.done(), h
	case StateAcknowledged:
		h := Holder{By: n.AcknowledgedBy, Via: n.AcknowledgedVia, Since: *n.AcknowledgedAt}
		if by.Same(h.By) {
			b.listen()
			h.Text = fmt.Sprintf("You have %s since %s.", n.label(), clock(h.Since))
			return b.done(), h
		}
		if n.Again != nil { // nobody knows yet whether its holder knows that it is back
			break
		}
		h.Text = fmt.Sprintf("%s has %s since %s.", h.By, n.label(), clock(h.Since))
		b.log("acknowledged_again", actorName(by), fmt.Sprintf("%s acknowledged too (by %s); %s has it since %s", by, via, h.By, clock(h.Since)))
		return b.done(), h
	}
	at := b.now
	why := fmt.Sprintf("acknowledged by %s (%s)", by, via)
	b.attribute("state", string(n.State), string(StateAcknowledged), why)
	n.State, n.AcknowledgedAt, n.AcknowledgedBy, n.AcknowledgedVia = StateAcknowledged, &at, by, via
	b.unsettle()
	b.listen()
	b.know()
	b.Withdraw = true
	b.log("acknowledged", actorName(by), why+"; pages not yet sent are withdrawn")
	b.note(fmt.Sprintf("acknowledged/%d", n.Openings), "Acknowledged by "+by.String()+" ("+via+").", nil)
	return b.done(), Holder{Taken: true, By: by, Via: via, Since: at, Text: "You have " + n.label() + "."}
}

// Resolve says that a person calls it over; note may be empty. What still fires
// does not reopen it, what fires anew within 15 minutes does.
func Resolve(i Incident, by Actor, via, note string, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	if n.State == StateResolved {
		b.log("resolved_again", actorName(by), by.String()+" resolved it too; it was over already: "+n.ResolutionReason)
		return b.done()
	}
	why := fmt.Sprintf("resolved by %s (%s)", by, via)
	if note != "" {
		why += ": " + cut(note, 500)
	}
	still := ""
	if n.Firing() {
		still = "; alerts of it still fire"
	}
	b.resolve(by, why)
	b.log("resolved", actorName(by), why+still)
	b.note(fmt.Sprintf("resolved/%d", n.Openings), "Resolved by "+by.String()+" ("+via+")"+still+".\n"+note, nil)
	return b.done()
}

// Note adds what a person wrote. Key makes it idempotent; the same key again
// changes nothing.
func Note(i Incident, by Actor, key, text string, now time.Time) Change {
	b := begin(i, now)
	if b.note("note/"+key, by.String()+": "+text, nil) {
		b.listen()
		b.log("note", actorName(by), cut(text, maxNoteRunes))
	}
	return b.done()
}

// Release gives an acknowledged incident back: it is open again and others are
// called. ok is false when nobody has it.
func Release(i Incident, by Actor, via, note string, now time.Time) (c Change, ok bool) {
	if i.State != StateAcknowledged {
		return begin(i, now).done(), false
	}
	b := begin(i, now)
	why := fmt.Sprintf("given back by %s (%s)", by, via)
	if note != "" {
		why += ": " + cut(note, 500)
	}
	b.release(by, why)
	return b.done(), true
}

// SilentTimer is the kind of the timer after which Silent is to be called.
const SilentTimer = "incident.silent"

// Silent is called by the silent timer: whoever has the incident left no trace
// on it for too long, and it goes on. Others are called.
func Silent(i Incident, now time.Time) Change {
	b := begin(i, now)
	switch {
	case i.State == StateAcknowledged && i.overdue(b.now):
		b.unheld(fmt.Sprintf("it fires again since %s, and %s, who had it before, left no trace on it since", clock(*i.ReopenedAt), i.AcknowledgedBy))
		return b.done()
	case i.State != StateAcknowledged || i.SilentAfter <= 0 || i.Again != nil && !i.Again.Until.IsZero():
		return b.done()
	}
	limit := time.Duration(i.SilentAfter * float64(time.Second))
	b.release(Actor{}, fmt.Sprintf("%s acknowledged it at %s and left no trace on it for %s", i.AcknowledgedBy, clock(*i.AcknowledgedAt), strings.TrimSuffix(limit.String(), "0s")))
	return b.done()
}

// release makes an acknowledged incident nobody's and asks for a call.
func (b *build) release(by Actor, why string) {
	n := &b.Incident
	had := n.AcknowledgedBy
	b.attribute("state", string(n.State), string(StateOpen), why)
	n.State, n.Mirror.Owner = StateOpen, had.ITSMUser // still on the ticket: no news when it is read again
	n.AcknowledgedAt, n.AcknowledgedBy, n.AcknowledgedVia, n.Known = nil, Actor{}, "", nil
	called := n.Paged
	n.Releases, n.Paged, n.PagedUrgent = n.Releases+1, false, false
	b.deaf()
	actor := "tocsin"
	if !by.Zero() {
		actor = actorName(by)
	}
	b.log("released", actor, why+"; it is open again")
	b.note(fmt.Sprintf("released/%d/%d", n.Openings, n.Releases), "Open again: "+why+".", nil)
	_, _, nobody := n.wants()
	if nobody == "" && !called { // whoever was called once hands it to another, however small
		nobody = b.small()
	}
	if nobody != "" {
		b.log("no_page", "tocsin", "nobody is paged: "+nobody)
		return
	}
	b.want(why)
	b.Page.Except = had.Person
}

// listen starts the time anew in which whoever has the incident must leave a
// trace on it.
func (b *build) listen() {
	b.heard()
	if n := &b.Incident; n.SilentAfter > 0 && n.State == StateAcknowledged {
		b.Timers = append(b.Timers, store.Timer{ID: n.silentTimer(), At: b.now.Add(time.Duration(n.SilentAfter * float64(time.Second))), Subject: n.ID.Subject(), Kind: SilentTimer})
	}
}

// deaf ends it.
func (b *build) deaf() {
	if n := &b.Incident; n.SilentAfter > 0 || n.Again != nil {
		n.Again = nil
		b.Timers = append(b.Timers, store.Timer{ID: b.Incident.silentTimer(), Subject: b.Incident.ID.Subject(), Kind: SilentTimer})
	}
}

func (i Incident) silentTimer() string { return i.ID.Subject() + "/silent" }

// TicketObserved takes what somebody did in the ticket system: took it, or
// resolved it. by is the person, found by the ticket system's user name. What
// equals the incident is an echo and only remembered; nothing there makes an
// incident less acknowledged than it is.
func TicketObserved(i Incident, seen itsm.Observed, by Actor, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	if n.ReopenedAt != nil && seen.At.Before(n.ReopenedAt.Truncate(time.Second)) {
		return b.done() // about the life before it was reopened
	}
	by = observer(seen, by)
	if seen.State == "" { // only a field was filled in
		seen.State = n.Mirror.Observed
	}
	// Only what changed there counts: a comment on a ticket whose newest
	// document is still on its way reports the state before it.
	moved := n.Mirror.Observed != seen.State
	taken := seen.Owner != "" && seen.Owner != n.Mirror.Owner
	if moved || seen.Owner != n.Mirror.Owner {
		n.Mirror.Observed, n.Mirror.Owner, b.Changed = seen.State, seen.Owner, true
	}
	if seen.Ref.ID != "" && n.Mirror.Ref != seen.Ref {
		n.Mirror.Ref, b.Changed = seen.Ref, true
	}
	if !by.Zero() && by.Same(n.AcknowledgedBy) {
		b.listen() // work on the ticket is a trace too
	}
	before := b.done()
	switch {
	case seen.State == itsm.Resolved && moved && n.State != StateResolved:
		return after(before, Resolve(before.Incident, by, "ticket", "", now))
	case n.State == StateOpen && seen.State != itsm.Resolved && (taken || moved && seen.State == itsm.Acknowledged),
		n.State == StateAcknowledged && n.Again != nil && seen.State != itsm.Resolved && taken:
		c, _ := Acknowledge(before.Incident, by, "ticket", now)
		return after(before, c)
	case n.State == StateResolved && seen.State != itsm.Resolved && n.Mirror.Delivered >= n.Mirror.Desired && moved:
		b = begin(before.Incident, now)
		b.log("ticket_reopened", actorName(by), by.String()+" opened the ticket again; the incident stays resolved because none of its alerts fires anew")
		return after(before, b.Change)
	}
	return before
}

// observer is who did something in the ticket system: a person, or a name that only the
// ticket system knows.
func observer(seen itsm.Observed, by Actor) Actor {
	if by.Zero() {
		return Actor{Name: seen.Actor, ITSMUser: seen.Actor}
	}
	return by
}

// after joins two changes made one after the other in one decision.
func after(first, second Change) Change {
	second.Ledger = append(first.Ledger, second.Ledger...)
	second.Timers = append(first.Timers, second.Timers...)
	second.Changed = first.Changed || second.Changed
	second.Withdraw = first.Withdraw || second.Withdraw
	return second
}

func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

func (i Incident) label() string { return fmt.Sprintf("incident %d", i.Number) }
