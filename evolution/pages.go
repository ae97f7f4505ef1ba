package evolution

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/sli"
)

// Verdict is how a page compares with what the rules in force did.
type Verdict string

// The verdicts.
const (
	Extra  Verdict = "extra"
	Agreed Verdict = "agreed"
	Missed Verdict = "missed"
	// Of what is too small to call somebody.
	Ticket       Verdict = "ticket"
	TicketMissed Verdict = "ticket_missed"
)

// Page is one that a proposal would have made, or would not have.
type Page struct {
	Verdict Verdict   `json:"verdict"`
	Service string    `json:"service"`
	Rule    string    `json:"rule"`
	Slice   sli.Slice `json:"slice"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
	Weighed string    `json:"weighed"` // why somebody would be called, or nobody; empty: it was not weighed
}

const (
	mostPages = 50
	// mostTickets is how many tickets a proposal may open or miss within its time in
	// shadow: a tenant that is too small to call anybody for is not to be flooded either.
	mostTickets = 3
)

// Paged notes a page of a proposal that is in shadow.
func Paged(s State, proposal int, p Page) Change {
	c := Change{State: s}
	if s.Proposal == nil || s.Proposal.Number != proposal {
		return c // of one that is over
	}
	next := *s.Proposal
	next.Pages = slices.Clone(next.Pages)
	if len(next.Pages) == mostPages {
		next.Pages = slices.Delete(next.Pages, 0, 1)
	}
	next.Pages = append(next.Pages, p)
	switch p.Verdict {
	case Extra:
		next.Extra++
	case Agreed:
		next.Agreed++
	case Missed:
		next.Missed++
	case Ticket:
		next.Tickets++
	case TicketMissed:
		next.TicketsMissed++
	}
	c.State.Proposal, c.Changed = &next, true
	return c
}
