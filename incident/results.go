package incident

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
)

// TicketResult is what became of delivering the ticket's document.
type TicketResult struct {
	System  string     `json:"system"`
	Version uint64     `json:"version"` // of the document that was delivered
	Ref     itsm.Ref   `json:"ref"`
	State   itsm.State `json:"state"`   // as read back
	Created bool       `json:"created"` // this delivery made the ticket
	Error   string     `json:"error"`   // empty: it stands there as wanted
	// Final says that the ticket system refused and trying again will not help.
	Final bool `json:"final"`
}

// TicketOutcome takes the result of a delivery. It never asks for another: the
// deliverer retries, and the next change brings a newer document.
func TicketOutcome(i Incident, r TicketResult, now time.Time) Change {
	b := begin(i, now)
	m := &b.Incident.Mirror
	if r.System != "" && m.System != r.System {
		m.System, b.Changed = r.System, true
	}
	if r.Ref.ID != "" && m.Ref != r.Ref {
		m.Ref, b.Changed = r.Ref, true
		b.log("ticket", "tocsin", fmt.Sprintf("its ticket is %s in %s (%s)", number(r.Ref), r.System, r.Ref.URL))
	}
	if r.Error != "" {
		if m.Error != r.Error { // said once, not with every attempt
			m.Error, b.Changed = r.Error, true
			then := "it is tried again until it works"
			if r.Final {
				then = "trying again does not help, somebody must look; run: tocsin itsm check " + r.System
			}
			b.log("ticket_failed", "tocsin", "the ticket could not be written: "+r.Error+"; "+then)
		}
		return b.done()
	}
	if m.Error != "" {
		m.Error, b.Changed = "", true
		b.log("ticket_recovered", "tocsin", "the ticket is written again")
	}
	if r.State != "" && m.Observed != r.State {
		m.Observed, b.Changed = r.State, true
		b.log("ticket_state", "tocsin", "the ticket says "+string(r.State)+", read back")
	}
	if r.Version > m.Delivered {
		m.Delivered, b.Changed = r.Version, true
	}
	return b.done()
}

func number(r itsm.Ref) string {
	if r.Number != "" {
		return "#" + r.Number
	}
	return r.ID
}

// DashboardAttached takes the dashboard of the opening: its link and picture,
// or why there is no picture. The same again changes nothing.
func DashboardAttached(i Incident, d Dashboard, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	if n.Dashboard == d {
		return b.done()
	}
	n.Dashboard, b.Changed, b.Ticket = d, true, true
	key := "dashboard/" + n.Transition()
	switch {
	case d.Error != "" && d.Blob == "":
		b.log("dashboard", "tocsin", "the dashboard is linked, but there is no picture of it: "+d.Error)
		b.note(key+"/failed", "Dashboard: "+d.URL+"\nThere is no picture of it: "+d.Error, nil)
	default:
		b.log("dashboard", "tocsin", "the dashboard at the firing time is attached, with a picture")
		b.note(key, "Dashboard at the firing time: "+d.URL, attach(n.Number, d.Blob))
	}
	return b.done()
}

// PageResult is what became of a page, told by the page's own record.
type PageResult struct {
	Page   string // id
	State  string // pending, sent, failed, withdrawn, observed
	Person string // name
	Via    string // channel
	Detail string
}

// PageOutcome remembers the page and says on the ticket who was called.
func PageOutcome(i Incident, r PageResult, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	known := false
	for _, p := range n.Pages {
		known = known || p == r.Page
	}
	if !known && r.Page != "" {
		n.Pages, b.Changed = append(n.Pages, r.Page), true
	}
	key := "page/" + r.Page + "/" + r.State
	switch r.State {
	case "sent":
		b.note(key, fmt.Sprintf("Paged %s by %s.", r.Person, r.Via), nil)
	case "failed":
		if b.note(key, fmt.Sprintf("%s could not be paged by %s: %s", r.Person, r.Via, r.Detail), nil) {
			b.log("page_failed", "tocsin", fmt.Sprintf("%s could not be paged by %s: %s; the incident stays open", r.Person, r.Via, r.Detail), "page/"+r.Page)
		}
	case "observed":
		b.note(key, fmt.Sprintf("Would have paged %s by %s (the team is observed).", r.Person, r.Via), nil)
	}
	return b.done()
}

// Called adds a line about the calls made for it to the ticket; key makes it
// stand there once. The decision itself was recorded by who made it.
func Called(i Incident, key, text string, now time.Time) Change {
	b := begin(i, now)
	b.note(key, text, nil)
	return b.done()
}

// Unpaged records that a page was wanted and nobody could be found for it; the
// incident stays open and says so.
func Unpaged(i Incident, why string, now time.Time) Change {
	b := begin(i, now)
	n := &b.Incident
	if b.note(fmt.Sprintf("unpaged/%s/%d", n.Transition(), len(n.Pages)), "Nobody could be paged: "+why, nil) {
		b.log("unpaged", "tocsin", "nobody could be paged: "+why+"; the incident stays open and waits for somebody to see it")
	}
	return b.done()
}
