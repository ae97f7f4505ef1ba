// Package channel is the port to whatever carries a page to a person.
//
// Implementations: channel/smtp (mail with an inline picture), channel/webhook (a
// signed JSON document), channel/logch (the daemon's log). The text must be
// enough without a network.
package channel

import (
	"context"
	"time"
)

// Page is one call for one person, ready to be sent.
type Page struct {
	ID      string // the page's id; the same for every attempt (Message-ID is made from it)
	Key     string // idempotency key: environment, incident, kind, destination, transition
	To      string // address in this channel
	Name    string // the person
	Subject string // first line: what is broken for whom, how much of the volume
	Text    string // the whole page as plain text, links included
	AckURL  string // opens a view with a button; opening it changes nothing
	// Links are shown as a list under the text in rich forms.
	Links   []Link
	Picture *Picture // may be nil
	// ThreadKey groups pages of one incident in a mail client.
	ThreadKey string
	About     About
}

// About is what programs need of a page besides its text.
type About struct {
	Incident    string // id; empty: a drill
	Number      int    // of the incident
	Environment string
	Severity    string
	Team        string
	Person      string // id
	RequestedAt time.Time
	Step, Steps int // of the escalation, from 1; 0: in none
	Round       int
	LastResort  bool
	Drill       bool // a test: nothing is broken
}

// Link is a named address.
type Link struct{ Name, URL string }

// Picture is a PNG shown in the page.
type Picture struct {
	Name    string
	Content []byte
	Alt     string
}

// Receipt is what the carrier said.
type Receipt struct {
	Detail string // e.g. "250 2.0.0 Ok: queued as ABC"
}

// Channel sends pages. Safe for concurrent use; bounded by ctx. Errors are
// *problem.Error: Retryable says whether trying again helps. An error after
// which the page may still have arrived says so in its message.
type Channel interface {
	Send(ctx context.Context, p Page) (Receipt, error)
}
