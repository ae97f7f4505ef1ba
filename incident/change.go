package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// PageWanted is the decision that somebody of the team must be called. It has
// the same fields as what on-call arithmetic takes, so that one converts into
// the other.
type PageWanted struct {
	Incident    string
	Number      int
	Environment string
	Tenant      tenant.ID // the one tenant concerned, or tenant.Product
	Service     string
	Team        catalog.TeamID
	Transition  string // which opening, "opened/1"
	Reason      string
	Live        bool // false: only record who would have been paged
	Urgent      bool // false: a warning
	// Except is who gave the incident back or fell silent: others are asked first.
	Except   catalog.PersonID
	At       time.Time
	NotAfter time.Time // too late to be of use
}

// Change is what a decision brings. Everything in it belongs in one commit.
type Change struct {
	Incident  Incident
	Ledger    []ledger.Entry
	Page      *PageWanted   // somebody must be called now
	Withdraw  bool          // pages not yet sent must not be sent any more
	Dashboard bool          // the dashboard of this opening is to be made and attached
	Ticket    bool          // the ticket's desired document changed: deliver it anew
	Changed   bool          // the record must be written
	Timers    []store.Timer // set, or removed by a zero At
}

// SettleTimer is the kind of the timer after which Settled is to be called.
const SettleTimer = "incident.settle"

const (
	settle        = 30 * time.Second
	settleWarning = 15 * time.Minute
	usefulFor     = 24 * time.Hour // a page undelivered for that long helps nobody
	maxNoteRunes  = 4000
	maxTitleRunes = 200
)

// build collects one Change.
type build struct {
	Change
	now time.Time
}

// begin copies what is changed in place, so that the caller's value stays.
func begin(i Incident, now time.Time) *build {
	i.Alerts, i.Tenants, i.Pages = slices.Clone(i.Alerts), slices.Clone(i.Tenants), slices.Clone(i.Pages)
	i.Notes, i.History = slices.Clone(i.Notes), slices.Clone(i.History)
	return &build{Change: Change{Incident: i}, now: now.UTC()}
}

// done closes the change: versions grow, lists are never nil.
func (b *build) done() Change {
	i := &b.Incident
	i.Likely = nil
	if b.Changed || b.Ticket {
		b.Changed = true
		if i.Severity == rule.Info && i.Mirror.Ref.ID == "" {
			b.Ticket = false // recorded and shown; a ticket comes when it gets worse
		}
		i.Title = cut(i.Headline(), maxTitleRunes)
		i.Version++
		b.judged()
	}
	if b.Ticket {
		i.Mirror.Desired = i.Version
	}
	i.Alerts, i.Tenants, i.Pages = some(i.Alerts), some(i.Tenants), some(i.Pages)
	i.Notes, i.History, i.Slice = some(i.Notes), some(i.History), some(i.Slice)
	return b.Change
}

func some[S ~[]E, E any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}

// log records a decision; refs are further subjects to find it under.
func (b *build) log(kind, actor, reason string, refs ...string) {
	b.Ledger = append(b.Ledger, ledger.Entry{At: b.now, Subject: b.Incident.ID.Subject(), Refs: refs,
		Kind: "incident." + kind, Actor: actor, Reason: reason})
}

// logData is log with a value for programs.
func (b *build) logData(kind, actor, reason string, data any, refs ...string) {
	b.log(kind, actor, reason, refs...)
	if raw, err := json.Marshal(data); err == nil {
		b.Ledger[len(b.Ledger)-1].Data = raw
	}
}

func refs(a alert.Alert) []string {
	return []string{"alert/" + string(a.ID), "tenant/" + string(a.Tenant)}
}

func actorName(a Actor) string {
	switch {
	case a.Person != "":
		return "person:" + string(a.Person)
	case a.ITSMUser != "":
		return "itsm:" + a.ITSMUser
	}
	return "person:" + a.Name
}

// note appends to the ticket; a key that is there already is not repeated.
func (b *build) note(key, text string, at *itsm.Attachment) bool {
	i := &b.Incident
	if slices.ContainsFunc(i.Notes, func(n itsm.Note) bool { return n.Key == key }) {
		return false
	}
	i.Notes = append(i.Notes, itsm.Note{Key: key, At: b.now, Text: cut(text, maxNoteRunes), Attachment: at})
	b.Ticket = true
	return true
}

// attribute changes what the incident is about, and keeps why.
func (b *build) attribute(name, from, to, reason string) {
	b.Incident.History = append(b.Incident.History, Attribute{At: b.now, Name: name, From: from, To: to, Reason: reason})
	b.Changed = true
}

// put takes the newest of an alert; false when it is not newer than what is there.
func (b *build) put(a alert.Alert) (old *alert.Alert, ok bool) {
	i := &b.Incident
	at, found := slices.BinarySearchFunc(i.Alerts, a.ID, func(x alert.Alert, id alert.ID) int {
		switch {
		case x.ID < id:
			return -1
		case x.ID > id:
			return 1
		}
		return 0
	})
	if found {
		prev := i.Alerts[at]
		old = &prev
		if !a.Newer(old) {
			return old, false
		}
		if a.State == alert.Resolved && a.Evidence.N == 0 {
			a.Evidence = prev.Evidence // how bad it was stays readable
		}
		if a.Dropped != "" && a.Noun == "" {
			a.Noun = prev.Noun // its rule is gone, and was kept without it
		}
		i.Alerts[at] = a
	} else {
		i.Alerts = slices.Insert(i.Alerts, at, a)
	}
	b.Changed = true
	// Newer evidence of what fires already is not worth a write to the ticket
	// system every minute for every tenant.
	b.Ticket = b.Ticket || old == nil || old.State != a.State
	b.derive(a)
	return old, true
}

// derive brings what follows from the alerts up to date.
func (b *build) derive(newest alert.Alert) {
	i := &b.Incident
	i.OnsetAt = i.onset()
	if newest.State == alert.Firing && newest.Severity.Rank() > i.Severity.Rank() {
		if i.Severity != "" {
			why := "rule " + newest.Rule + " fires as " + string(newest.Severity)
			b.attribute("severity", string(i.Severity), string(newest.Severity), why)
			b.log("severity", "tocsin", fmt.Sprintf("severity rises from %s to %s: %s", i.Severity, newest.Severity, why), refs(newest)...)
		}
		i.Severity = newest.Severity
	}
	if i.RunbookURL == "" {
		i.RunbookURL = newest.RunbookURL
	}
	i.Tenants = i.tenants()
	i.Title = cut(i.Headline(), maxTitleRunes)
}

// onset is the earliest of the alerts in the incident's own slice; others see
// the same fault diluted and place its beginning less well.
func (i Incident) onset() (at time.Time) {
	own := i.owns()
	for _, a := range i.told() {
		if own && !a.Slice.Equal(i.Slice) {
			continue
		}
		if at.IsZero() || a.OnsetAt.Before(at) {
			at = a.OnsetAt.UTC()
		}
	}
	return at
}

// narrow makes the incident about another slice: one below its own, or one that
// crosses it and fails more. It never widens.
func (b *build) narrow(to sli.Slice, reason string) {
	i := &b.Incident
	if len(to) == 0 || to.Equal(i.Slice) || to.Covers(i.Slice) {
		return
	}
	b.attribute("slice", i.Slice.Key(), to.Key(), reason)
	b.log("narrowed", "tocsin", fmt.Sprintf("it is about %s from now on, before: %s; %s", i.of(to), i.of(i.Slice), reason))
	i.Slice = slices.Clone(to)
	i.OnsetAt = i.onset()
	i.Tenants = i.tenants()
	b.Ticket = true
}

// wants says whether somebody is to be paged for what fires, at all, and why
// when nobody is.
func (i Incident) wants() (worst *alert.Alert, hard bool, nobody string) {
	worst, hard = i.worst()
	switch {
	case i.State != StateOpen:
		nobody = "it is " + string(i.State)
	case worst == nil && i.Paged:
		nobody = "the team was called already for this opening"
	case worst == nil:
		nobody = "what fires was firing when its source was first seen (backlog): listed, never paged"
	case worst.Severity == rule.Warning && !i.WarningPages:
		nobody = "severity warning opens a ticket and pages nobody, for the team has no working_hours"
	case worst.Severity != rule.Critical && worst.Severity != rule.Warning:
		nobody = "severity " + string(worst.Severity) + " is recorded and shown: no ticket, no page"
	case i.NoPage != "":
		nobody = i.NoPage
	case i.Paged && (i.PagedUrgent || worst.Severity != rule.Critical):
		nobody = "the team was called already for this opening"
	}
	return worst, hard, nobody
}

// consider decides whether somebody must be paged, and says why when nobody is.
// It is called whenever an alert arrived.
func (b *build) consider() (nobody string) {
	if b.considerAgain() || b.considerGrown() {
		return ""
	}
	i := &b.Incident
	worst, hard, nobody := i.wants()
	if nobody == "" {
		nobody = b.small()
	}
	if nobody != "" {
		return nobody
	}
	wait := i.settleFor(worst.Severity)
	until := b.now.Add(wait)
	switch since := i.smallSince(); {
	case i.LikelyUntil != nil && b.now.Before(*i.LikelyUntil):
		return fmt.Sprintf("a page waits until %s to see whether this is part of another incident", i.LikelyUntil.Format("15:04:05 UTC"))
	case hard:
		return b.call(b.enough("most attempts fail (" + worst.Reason + "): the page does not wait"))
	case i.lasted():
		return b.call(b.enough("it has lasted for some minutes already: the page does not wait"))
	case !since.IsZero() && b.now.Sub(since) >= wait:
		return b.call(b.enough(fmt.Sprintf("it fires since %s, and was too small to call for before", since.Format("15:04:05 UTC"))))
	case i.SettleUntil != nil && !until.Before(*i.SettleUntil):
		return fmt.Sprintf("a page waits until %s to see whether it lasts", i.SettleUntil.Format("15:04:05 UTC"))
	case wait <= 0:
		return b.call(b.enough(string(worst.Severity) + ", and no settling time is set"))
	default:
		i.SettleUntil = &until
		b.Timers = append(b.Timers, store.Timer{ID: i.settleTimer(), At: until, Subject: i.ID.Subject(), Kind: SettleTimer})
		b.log("settling", "tocsin", fmt.Sprintf("%s but not a hard fault: the page waits %g s and is sent only if it still fires then", worst.Severity, wait.Seconds()))
		b.Changed = true
	}
	return ""
}

// lasted says whether something critical fires that lasted for minutes before it could be
// seen: what is held against the last hour. To wait longer would show nothing.
func (i Incident) lasted() bool {
	return slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool {
		return a.State == alert.Firing && !a.Backlog && a.Severity == rule.Critical && a.Evidence.Test == alert.Change
	})
}

// settleFor is how long what is no hard fault must last before somebody is called. A
// warning does not hurry: most blips are over by then.
func (i Incident) settleFor(s rule.Severity) time.Duration {
	wait := time.Duration(i.SettleFor * float64(time.Second))
	if wait > 0 && s != rule.Critical {
		wait = max(wait, settleWarning)
	}
	return wait
}

// want asks for the page of this opening. One that was wanted for a warning is
// wanted again once it is critical: that is another call.
func (b *build) want(reason string) {
	i := &b.Incident
	worst, _ := i.worst()
	urgent := worst != nil && worst.Severity == rule.Critical
	transition := i.Transition()
	if i.Releases > 0 {
		transition += fmt.Sprintf("/again/%d", i.Releases)
	}
	if urgent && i.Paged {
		transition += "/critical"
	}
	at := b.now
	i.Paged, i.PagedUrgent, i.CalledAt = true, urgent, &at
	b.unsettle()
	b.Changed = true
	b.Page = &PageWanted{Incident: string(i.ID), Number: i.Number, Environment: i.Environment, Tenant: i.scope(), Service: i.Service,
		Team: i.Team, Transition: transition, Reason: reason, Live: i.Live, Urgent: urgent, At: b.now, NotAfter: b.now.Add(usefulFor)}
	what := "a page for team " + string(i.Team) + ": " + reason
	if !i.Live {
		what = "would page team " + string(i.Team) + " (it is observed, nothing leaves): " + reason
	}
	b.log("page_wanted", "tocsin", what)
}

func (b *build) unsettle() {
	i := &b.Incident
	if i.SettleUntil != nil {
		i.SettleUntil = nil
		b.Timers = append(b.Timers, store.Timer{ID: i.settleTimer(), Subject: i.ID.Subject(), Kind: SettleTimer})
	}
}

func (i Incident) settleTimer() string { return i.ID.Subject() + "/settle" }

// Transition names the opening that calls and dashboards belong to.
func (i Incident) Transition() string { return fmt.Sprintf("opened/%d", i.Openings) }

// worst is the firing alert that matters most for paging, and whether one of
// those that page is a hard fault. Backlog does not count; nil: none is left.
func (i Incident) worst() (worst *alert.Alert, hard bool) {
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if a.State != alert.Firing || a.Backlog {
			continue
		}
		isHard := a.Evidence.Hard && a.Severity == rule.Critical
		if worst == nil || a.Severity.Rank() > worst.Severity.Rank() || isHard && !hard {
			worst = a
		}
		hard = hard || isHard
	}
	return worst, hard
}

func cut(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}
