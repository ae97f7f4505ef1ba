package incident

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
)

// Links are the addresses and names that a ticket carries and that the incident
// cannot know.
type Links struct {
	Incident  string // its view
	Dashboard string // empty: the one attached
	Queue     string // of the owning team; empty: the system's default
	Requestor string
}

// Ticket is the desired document: what the ticket system must say now.
func (i Incident) Ticket(l Links) itsm.Ticket {
	t := itsm.Ticket{Key: string(i.ID), Version: i.Mirror.Desired, Title: i.Title, Description: i.Body(time.UTC), Severity: i.Severity,
		State: itsm.State(i.State), Queue: l.Queue, Requestor: l.Requestor, URL: l.Incident, Dashboard: l.Dashboard, Notes: slices.Clone(i.Notes)}
	if t.Dashboard == "" {
		t.Dashboard = i.Dashboard.URL
	}
	if !i.AcknowledgedBy.Zero() {
		t.Owner = i.AcknowledgedBy.ITSMUser
	}
	if t.Notes == nil {
		t.Notes = []itsm.Note{}
	}
	return t
}
