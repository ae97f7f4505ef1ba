// Package itsm is the port to a ticket system: a ticket is a mirror of an
// incident, a desired document with a version. Only the newest is delivered;
// what was written is read back and compared, because in most of these systems
// a 2xx is a receipt and not a result.
//
// Implementations: itsm/register (built in), itsm/rt (Request Tracker 5).
// itsmtest holds them to this text.
package itsm

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
)

// State is where a ticket stands in words every system can express.
type State string

// The states an incident's ticket goes through.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Ticket is the desired document.
type Ticket struct {
	Key         string        `json:"key"`     // correlation: the incident's id; unique in the system
	Version     uint64        `json:"version"` // grows with every change; an older one is never written over a newer
	Title       string        `json:"title"`   // one line, at most 200 runes
	Description string        `json:"description"`
	Severity    rule.Severity `json:"severity"`
	State       State         `json:"state"`
	Queue       string        `json:"queue"` // empty: the system's default
	Owner       string        `json:"owner"` // itsm_user of who acknowledged; empty: nobody
	Requestor   string        `json:"requestor"`
	URL         string        `json:"url"`       // the incident's view
	Dashboard   string        `json:"dashboard"` // the dashboard at the firing time
	Notes       []Note        `json:"notes"`     // append-only, oldest first
}

// Note is a comment on the ticket. Key makes it idempotent: a note whose key is
// already on the ticket is not written again.
type Note struct {
	Key        string      `json:"key"`
	At         time.Time   `json:"at"`
	Text       string      `json:"text"`
	Attachment *Attachment `json:"attachment,omitempty"`
}

// Attachment is a file on a note. Content is read from the blob store just
// before delivery and is not kept in records.
type Attachment struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Blob        string `json:"blob"` // id in the blob store
	Content     []byte `json:"-"`
}

// Ref is where a ticket lives.
type Ref struct {
	ID     string `json:"id"`     // the system's own id; empty: not created yet
	Number string `json:"number"` // what people call it
	URL    string `json:"url"`    // for a browser
}

// Result is what Sync saw on read-back.
type Result struct {
	Ref     Ref    `json:"ref"`
	Version uint64 `json:"version"` // of the document that now stands there
	State   State  `json:"state"`   // as read back
	Created bool   `json:"created"` // this call made the ticket
}

// Observed is a ticket as the system has it, reported by Changes.
type Observed struct {
	Key   string `json:"key"`
	Ref   Ref    `json:"ref"`
	State State  `json:"state"` // empty: nobody changed it
	Owner string `json:"owner"` // who took it in the ticket system; empty: nobody
	// Resolution is what they said with it of how it was resolved, in the words of those
	// who use the system; empty: nothing.
	Resolution string    `json:"resolution"`
	Actor      string    `json:"actor"` // who made the last change; never tocsin's own user
	At         time.Time `json:"at"`
}

// System is one ticket system. Safe for concurrent use; every call is bounded
// by ctx. Errors are *problem.Error: Retryable says whether trying again helps.
type System interface {
	// Sync makes the system's ticket equal to want: it looks up by known or by
	// want.Key, creates when there is none, writes what differs, adds missing
	// notes, and reads back. A write that was answered with success but did not
	// take is a retryable error that says which field. Sync with a ticket that
	// already equals want writes nothing.
	Sync(ctx context.Context, want Ticket, known Ref) (Result, error)
	// Changes reports tickets changed by somebody else since the cursor (empty:
	// from now on) and the next cursor. The same change may be reported twice.
	Changes(ctx context.Context, cursor string) ([]Observed, string, error)
	// Check says whether the system can be used: reachable, token accepted,
	// queue and correlation field there; each fault with what to do.
	Check(ctx context.Context) error
}
