package oncall

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Request makes the page that is wanted, for the person on duty, by the first
// of the person's contacts whose channel exists; channels are the names of
// those configured. A team that is not live gets a page that is only observed.
// A person without a usable contact gives a page that failed, with what to do.
func Request(w Wanted, d rota.Duty, at Place, patience time.Duration, channels []string, now time.Time) PageChange {
	now = now.UTC()
	usable := slices.DeleteFunc(slices.Clone(d.Person.Contacts), func(c catalog.Contact) bool { return !slices.Contains(channels, c.Channel) })
	p := Page{Incident: w.Incident, Number: w.Number, Environment: w.Environment, Tenant: w.Tenant, Team: d.Team, Person: d.Person.ID,
		PersonName: d.Person.Name, TimeZone: d.Person.TimeZone, Why: d.Reason, State: Pending, RequestedAt: now, Transition: w.Transition,
		NotAfter: w.NotAfter.UTC(), Alternatives: []catalog.Contact{}, Place: at, Patience: patience.Seconds()}
	p.Place.Asked = append([]Asked{}, at.Asked...)
	if p.PersonName == "" {
		p.PersonName = string(p.Person)
	}
	if p.Team == "" {
		p.Team = w.Team
	}
	if p.Tenant == "" {
		p.Tenant = tenant.Product
	}
	// The person is part of the id, the address is not: the page stays the same
	// when a second address must be tried.
	p.ID = newPageID(w.At, key(p.Environment, p.Tenant, p.Incident, "page", "person/"+string(p.Person), p.Transition))
	b := pageBuild{PageChange: PageChange{Page: p, Changed: true}, now: now}
	if len(usable) == 0 {
		b.Page.State, b.Page.Detail = Failed, "no contact of "+p.PersonName+" uses a channel that is configured"
		b.log("page.failed", "tocsin", b.Page.Detail+"; add the channel to tocsin.yaml or a contact to the catalog"+p.stays())
		return b.PageChange
	}
	b.Page.Channel, b.Page.To = usable[0].Channel, usable[0].To
	b.Page.Alternatives = append(b.Page.Alternatives, usable[1:]...)
	b.call()
	if !w.Live {
		b.Page.State, b.Call, b.Timers = Observed, nil, nil
		b.Page.Detail = fmt.Sprintf("would have paged %s by %s at %s; team %s is observed, nothing leaves", p.PersonName, b.Page.Channel, both(now, p.TimeZone), p.Team)
		b.log("page.observed", "tocsin", b.Page.Detail+"; "+p.Why)
		return b.PageChange
	}
	b.log("page.requested", "tocsin", fmt.Sprintf("page for %s by %s: %s; %s", p.PersonName, b.Page.Channel, p.Why, w.Reason))
	return b.PageChange
}

type pageBuild struct {
	PageChange
	now time.Time
}

func (b *pageBuild) log(kind, actor, reason string) {
	b.Ledger = append(b.Ledger, ledger.Entry{At: b.now, Subject: b.Page.ID.Subject(), Refs: b.Page.refs(),
		Kind: kind, Actor: actor, Reason: reason})
}

// refs are the further subjects that the ledger finds the page under.
func (p Page) refs() []string {
	of := "incident/" + p.Incident
	if p.Place.Drill != "" {
		of = "drill/" + p.Place.Drill
	}
	return []string{of, "person/" + string(p.Person)}
}

// stays is what a page that failed means for its incident.
func (p Page) stays() string {
	if p.Place.Drill != "" {
		return ""
	}
	return "; the incident stays open"
}

// call makes the call to the page's present address; it has so long to be
// delivered there.
func (b *pageBuild) call() {
	p := &b.Page
	p.Key = key(p.Environment, p.Tenant, p.Incident, "page", p.Channel+"/"+p.To, p.Transition)
	b.Call = &Call{Page: p.ID, Key: p.Key, Incident: p.Incident, Channel: p.Channel, To: p.To, NotAfter: p.NotAfter, OnlyIf: OnlyIf}
	if p.Patience > 0 {
		b.Timers = append(b.Timers, store.Timer{ID: p.contactTimer(), At: b.now.Add(time.Duration(p.Patience * float64(time.Second))), Subject: string(p.ID), Kind: ContactTimer})
	}
}

func (p Page) contactTimer() string { return p.ID.Subject() + "/contact" }

// settled takes the contact's timer away: the page waits for no delivery any more.
func (b *pageBuild) settled() {
	if b.Page.Patience > 0 {
		b.Timers = append(b.Timers, store.Timer{ID: b.Page.contactTimer(), Subject: string(b.Page.ID), Kind: ContactTimer})
	}
}

// MaySend is asked just before every attempt: whether the call still makes
// sense, and if not, why.
func MaySend(p Page, c Call, incidentOpen bool, now time.Time) (bool, string) {
	switch {
	case p.State != Pending:
		return false, "the page is " + string(p.State)
	case c.Key != p.Key:
		return false, "another address is tried meanwhile"
	case !incidentOpen && p.Place.Drill == "":
		return false, "the incident is over or somebody has it"
	case !c.NotAfter.IsZero() && now.After(c.NotAfter):
		return false, "it is too late for this page (not after " + c.NotAfter.UTC().Format(time.RFC3339) + ")"
	}
	return true, ""
}

// Outcome takes the result of an attempt. A refusal for good moves the page to
// the person's next address; when none is left the page has failed.
func Outcome(p Page, r Result, now time.Time) PageChange {
	b := pageBuild{PageChange: PageChange{Page: p}, now: now.UTC()}
	n := &b.Page
	if r.Key != "" && r.Key != p.Key && !r.Sent {
		return b.PageChange // about an address that was given up
	}
	switch {
	case r.Sent:
		if n.SentAt != nil {
			return b.PageChange
		}
		at := b.now
		n.SentAt, n.Attempts, n.Detail, b.Changed = &at, n.Attempts+1, r.Detail, true
		if n.State == Pending || n.State == Failed {
			n.State = Sent
		}
		b.settled()
		b.log("page.sent", "tocsin", fmt.Sprintf("%s was paged by %s: %s", n.PersonName, n.Channel, r.Detail))
	case n.State != Pending:
	case r.Withheld:
		n.State, n.Detail, b.Changed = Withdrawn, r.Detail, true
		b.settled()
		b.log("page.withdrawn", "tocsin", "not sent: "+r.Detail)
	case r.Retryable:
		n.Attempts, b.Changed = n.Attempts+1, true
		if n.Detail != r.Detail { // said once, not with every attempt
			b.log("page.delayed", "tocsin", fmt.Sprintf("%s could not be paged by %s yet, it is tried again: %s", n.PersonName, n.Channel, r.Detail))
		}
		n.Detail = r.Detail
	default:
		n.Attempts, n.Detail, b.Changed = n.Attempts+1, r.Detail, true
		b.next(r.Detail)
	}
	return b.PageChange
}

// Undelivered is called by the contact's timer: the page moves to the person's
// next address. At the last one it goes on being tried, and counts as not
// reached.
func Undelivered(p Page, now time.Time) PageChange {
	b := pageBuild{PageChange: PageChange{Page: p}, now: now.UTC()}
	n := &b.Page
	if n.State != Pending || n.Unreached {
		return b.PageChange
	}
	b.Changed = true
	waited := "not delivered within " + span(time.Duration(n.Patience*float64(time.Second)))
	if n.Detail != "" {
		waited += ": " + n.Detail
	}
	if len(n.Alternatives) > 0 {
		b.next(waited)
		return b.PageChange
	}
	n.Unreached = true
	b.log("page.unreached", "tocsin", fmt.Sprintf("%s could not be reached by %s: %s; it is still tried", n.PersonName, n.Channel, waited))
	return b.PageChange
}

func (b *pageBuild) next(why string) {
	n := &b.Page
	if len(n.Alternatives) == 0 {
		n.State = Failed
		b.settled()
		b.log("page.failed", "tocsin", fmt.Sprintf("%s could not be paged by %s: %s; no other contact is left%s", n.PersonName, n.Channel, why, n.stays()))
		return
	}
	was := n.Channel
	n.Channel, n.To = n.Alternatives[0].Channel, n.Alternatives[0].To
	n.Alternatives = slices.Clone(n.Alternatives[1:])
	b.call()
	b.log("page.rerouted", "tocsin", fmt.Sprintf("%s could not be paged by %s: %s; the next contact (%s) is tried", n.PersonName, was, why, n.Channel))
}

// Acknowledge is the press of the page's button. Pressed again, or by another
// (a forwarded page), it changes nothing and tells who has it since when.
// Whether the incident can still be taken is the incident's to say.
func Acknowledge(p Page, by Actor, now time.Time) (PageChange, Answer) {
	b := pageBuild{PageChange: PageChange{Page: p}, now: now.UTC()}
	n := &b.Page
	if n.AcknowledgedAt != nil {
		a := Answer{By: n.AcknowledgedBy, Since: *n.AcknowledgedAt}
		if by.Person == n.By {
			a.Text = fmt.Sprintf("You have incident %d since %s.", n.Number, both(a.Since, n.TimeZone))
			return b.PageChange, a
		}
		a.Text = fmt.Sprintf("%s has incident %d since %s.", a.By, n.Number, both(a.Since, n.TimeZone))
		b.log("page.acknowledged_again", "person:"+string(by.Person), fmt.Sprintf("%s acknowledged too; %s has it since %s", by, a.By, both(a.Since, n.TimeZone)))
		return b.PageChange, a
	}
	at := b.now
	n.AcknowledgedAt, n.AcknowledgedBy, n.By, b.Changed = &at, by.String(), by.Person, true
	n.State = Acknowledged
	b.settled()
	b.log("page.acknowledged", "person:"+string(by.Person), by.String()+" acknowledged the page")
	return b.PageChange, Answer{First: true, By: by.String(), Since: at, Text: fmt.Sprintf("You have incident %d.", n.Number)}
}

// Withdraw stops a page that was not sent yet; one that was sent stays sent.
func Withdraw(p Page, reason string, now time.Time) PageChange {
	b := pageBuild{PageChange: PageChange{Page: p}, now: now.UTC()}
	if p.State != Pending {
		return b.PageChange
	}
	b.Page.State, b.Page.Detail, b.Changed = Withdrawn, reason, true
	b.settled()
	b.log("page.withdrawn", "tocsin", "not sent: "+reason)
	return b.PageChange
}

// both is a time as a person reads it: local, and UTC when that differs.
func both(t time.Time, zone string) string {
	utc := t.UTC().Format("15:04 UTC")
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return utc
	}
	local := t.In(loc)
	if _, off := local.Zone(); off == 0 {
		return utc
	}
	return local.Format("15:04 MST") + " (" + utc + ")"
}
