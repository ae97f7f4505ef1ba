package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Opening is what an incident gets from outside when it opens.
type Opening struct {
	ID          ID
	Number      int
	Team        catalog.TeamID
	OwnerReason string
	System      string // name of the ticket system; may be empty
	Reason      string // why it is an incident of its own
	RunbookURL  string // of the service, when the alert names none
	// SettleFor is how long a fault that is not hard must last before the first
	// page: zero means 30 s, negative none. Hard faults never wait.
	SettleFor time.Duration
	Live      bool // the team is live; else it is recorded who would be paged, and nothing leaves
	// WarningPages says that the team has working hours, in which a warning calls.
	WarningPages bool
	SilentAfter  time.Duration // how long an acknowledged incident may stay silent; 0: for ever
	NoPage       string        // why nobody may be paged at all, e.g. an environment the policy does not list
	// Weighed is as Weigh makes it; nil: whatever is at stake, somebody is called.
	Weighed *Stakes
	// Likely is what called the same team just now and is likely the same fault; nil: nothing did.
	Likely *Likely
}

// Open opens an incident with its first alert, which fires.
func Open(a alert.Alert, o Opening, now time.Time) Change {
	wait := o.SettleFor
	if wait == 0 {
		wait = settle
	}
	b := begin(Incident{ID: o.ID, Number: o.Number, Environment: a.Environment, Service: a.Service, Slice: a.Slice,
		State: StateOpen, Team: o.Team, OwnerReason: o.OwnerReason, OpenedAt: now.UTC(), Openings: 1, Live: o.Live, NoPage: o.NoPage,
		SettleFor: max(0, wait.Seconds()), WarningPages: o.WarningPages, SilentAfter: o.SilentAfter.Seconds(), Mirror: Mirror{System: o.System, Unasked: true}, Stakes: o.Weighed, Likely: o.Likely}, now)
	b.put(a)
	if b.Incident.RunbookURL == "" {
		b.Incident.RunbookURL = o.RunbookURL
	}
	why := "opened by " + describe(a)
	if o.Reason != "" {
		why += "; its own incident because " + o.Reason
	}
	b.logData("opened", "tocsin", why, map[string]any{"number": o.Number, "title": b.Incident.Title}, refs(a)...)
	b.log("owner", "tocsin", o.OwnerReason)
	b.Dashboard = a.Kind != rule.Source // there is nothing to draw of what does not arrive
	b.note("opened/1", "Opened: "+b.Incident.Title+".\n"+describe(a)+".", nil)
	if nobody := b.consider(); nobody != "" {
		b.log("no_page", "tocsin", "nobody is paged: "+nobody)
	}
	return b.done()
}

// WithAlert takes news of an alert that belongs to the incident: it joins,
// changes or ends. narrow, when not empty, is what the incident is about from
// now on; reason says why the alert belongs here. When the last alert has ended
// the incident is resolved. News not newer than what is known changes nothing.
func WithAlert(i Incident, a alert.Alert, narrow sli.Slice, reason string, now time.Time) Change {
	b := begin(i, now)
	old, ok := b.put(a)
	if !ok {
		return b.done()
	}
	b.narrow(narrow, reason)
	if a.State == alert.Resolved {
		b.ended(a)
		return b.done()
	}
	nobody := b.consider()
	if nobody != "" {
		nobody = "; it pages nobody: " + nobody
	}
	switch {
	case old == nil:
		b.log("joined", "tocsin", describe(a)+" joins: "+reason+nobody, refs(a)...)
	case old.State == alert.Resolved: // newer evidence of what fires anyway is no decision, and no entry
		b.log("fires_again", "tocsin", describe(a)+" fires again"+nobody, refs(a)...)
	}
	return b.done()
}

// ended handles the end of an alert, and of the incident with its last one.
func (b *build) ended(a alert.Alert) {
	i := &b.Incident
	left := 0
	for _, x := range i.Alerts {
		if x.State == alert.Firing {
			left++
		}
	}
	end := ""
	if a.EndsAt != nil {
		end = " at " + a.EndsAt.UTC().Format("15:04:05 UTC")
	}
	if a.Dropped != "" {
		end += ", not because it is over: it is no longer evaluated, because " + a.Dropped
	}
	b.log("alert_ended", "tocsin", fmt.Sprintf("%s for %s ended%s; %d still firing", a.Rule, who(a), end, left), refs(a)...)
	if left > 0 || i.State == StateResolved {
		return
	}
	why := "all its alerts have ended"
	if len(i.Alerts) == 1 {
		why = "its alert has ended"
	}
	why += i.dropped()
	b.resolve(Actor{}, why)
	b.log("resolved", "tocsin", "resolved: "+why+b.unsent())
	b.note(fmt.Sprintf("resolved/%d", i.Openings), "Resolved: "+why+".", nil)
}

// dropped says which of the alerts that ended since the opening nobody judges any more, and
// why: that reads otherwise like a recovery. Empty: all are over.
func (i Incident) dropped() string {
	var reasons []string
	ended, dropped := 0, 0
	for _, a := range i.Alerts {
		if !i.OfOpening(a) {
			continue
		}
		ended++
		if a.Dropped == "" {
			continue
		}
		dropped++
		if !slices.Contains(reasons, a.Dropped) {
			reasons = append(reasons, a.Dropped)
		}
	}
	if dropped == 0 {
		return ""
	}
	if more := len(reasons) - 3; more > 0 {
		reasons = append(reasons[:3], fmt.Sprintf("and %d more reasons", more))
	}
	part := ", "
	if dropped < ended {
		part = fmt.Sprintf(", %d of %d ", dropped, ended)
	}
	return part + "not because it is over: " + strings.Join(reasons, "; ")
}

func (b *build) unsent() string {
	if b.Incident.Paged {
		return ""
	}
	return "; nobody had been paged"
}

func (b *build) resolve(by Actor, why string) {
	i := &b.Incident
	now := b.now
	b.attribute("state", string(i.State), string(StateResolved), why)
	i.State, i.ResolvedAt, i.ResolvedBy, i.ResolutionReason = StateResolved, &now, by, why
	b.unsettle()
	b.deaf()
	b.Withdraw, b.Ticket = true, true
}

// Reopen takes an alert that fires again shortly after the incident was
// resolved: the same incident is back. Whoever had it has it again, see Again; else its team
// is called again. settleFor is as in Opening. Where what fires names no runbook there is
// none: the caller knows the service's. An incident that is not resolved takes it as
// WithAlert does.
func Reopen(i Incident, a alert.Alert, narrow sli.Slice, reason string, settleFor time.Duration, now time.Time) Change {
	if i.State != StateResolved {
		return WithAlert(i, a, narrow, reason, now)
	}
	b := begin(i, now)
	if _, ok := b.put(a); !ok || a.State != alert.Firing {
		return b.done()
	}
	if settleFor == 0 {
		settleFor = settle
	}
	n := &b.Incident
	at := b.now
	held, called, urgent, state := n.heldBefore(), n.Paged, n.PagedUrgent, StateOpen
	if held {
		state = StateAcknowledged
	}
	b.attribute("state", string(n.State), string(state), reason)
	n.State, n.ReopenedAt = state, &at
	n.Mirror.Owner = n.AcknowledgedBy.ITSMUser // still on the ticket: no news when it is read again
	if !held {
		n.AcknowledgedAt, n.AcknowledgedBy, n.AcknowledgedVia, n.Known = nil, Actor{}, "", nil
	}
	n.ResolvedAt, n.ResolvedBy, n.ResolutionReason = nil, Actor{}, ""
	n.Openings, n.Paged, n.PagedUrgent, n.Releases, n.SettleFor, n.LikelyUntil = n.Openings+1, false, false, 0, max(0, settleFor.Seconds()), nil
	b.unsmall()
	was := n.Severity
	if worst, _ := n.worst(); worst != nil && worst.Severity != n.Severity {
		b.attribute("severity", string(n.Severity), string(worst.Severity), "what fires now that it is back")
		n.Severity = worst.Severity
	}
	b.narrow(narrow, reason)
	b.anew(a)
	b.Dashboard, b.Ticket = a.Kind != rule.Source, true
	b.log("reopened", "tocsin", "reopened by "+describe(a)+": "+reason, refs(a)...)
	b.note(fmt.Sprintf("opened/%d", n.Openings), "Reopened: "+describe(a)+".\n"+reason+".", nil)
	if held {
		n.Paged, n.PagedUrgent = called, urgent
		b.holdAgain(was)
		b.considerAgain()
		return b.done()
	}
	if nobody := b.consider(); nobody != "" {
		b.log("no_page", "tocsin", "nobody is paged: "+nobody)
	}
	return b.done()
}

// anew lets the incident that is back be about what fires now: its slice, when nothing in
// the old one does, the beginning, the tenants and the runbook.
func (b *build) anew(a alert.Alert) {
	i := &b.Incident
	if !i.owns() {
		why := "nothing of " + i.of(i.Slice) + " fires now that it is back"
		b.attribute("slice", i.Slice.Key(), a.Slice.Key(), why)
		i.Slice = slices.Clone(a.Slice)
	}
	i.OnsetAt, i.Tenants = i.onset(), i.tenants()
	i.RunbookURL = i.lead().RunbookURL // none: that of what was over would mislead
}

// Settled is called by the settle timer: a page is wanted if it still fires.
func Settled(i Incident, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	if n.SettleUntil == nil || b.now.Before(*n.SettleUntil) {
		return b.done() // moved or removed since
	}
	n.SettleUntil = nil // the timer that fired removes itself
	b.Changed = true
	worst, _, nobody := n.wants()
	if nobody == "" {
		nobody = b.small()
	}
	switch {
	case n.State == StateAcknowledged:
		b.log("no_page", "tocsin", "no page after the settling time: "+n.AcknowledgedBy.String()+" has it")
	case n.State == StateResolved:
		b.log("no_page", "tocsin", "no page after the settling time: it is over")
	case n.Paged && (worst == nil || n.PagedUrgent):
	case worst == nil || worst.Severity != rule.Critical && !n.WarningPages:
		b.log("no_page", "tocsin", "no page after the settling time: nothing critical fires any more")
	case nobody != "":
		b.log("no_page", "tocsin", "no page after the settling time: "+nobody)
	default:
		b.call(b.enough(fmt.Sprintf("it still fires after the settling time of %g s", n.settleFor(worst.Severity).Seconds())))
	}
	return b.done()
}

func describe(a alert.Alert) string {
	s := "rule " + a.Rule + " for " + who(a)
	if len(a.Slice) > 0 {
		s += ", " + sliceName(a.Slice)
	}
	if a.Reason != "" {
		s += ": " + a.Reason
	}
	return s
}

// attach is a picture as the ticket carries it.
func attach(number int, blob string) *itsm.Attachment {
	return &itsm.Attachment{Name: fmt.Sprintf("incident-%d-%s.png", number, blob[:min(8, len(blob))]), ContentType: "image/png", Blob: blob}
}
