package evolution

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
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
	// Said is what somebody said since of the incident that the rules in force made of it;
	// empty: nothing.
	Said alert.Verdict `json:"said"`
	By   string        `json:"said_by"`
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

// Judged notes a word on what the rules in force raised while a proposal was in shadow: it
// counts when the proposal is promoted by its record.
func Judged(s State, w alert.Word) Change {
	c := Change{State: s}
	if s.Proposal == nil {
		return c
	}
	next := *s.Proposal
	next.Pages = slices.Clone(next.Pages)
	for i, p := range next.Pages {
		if !w.About(p.Service, p.Slice, p.At) || p.Said == w.Said {
			continue
		}
		next.Pages[i].Said, next.Pages[i].By = w.Said, w.By
		c.State.Proposal = &next
		c.log("profile.shadow_verdict", "", "%s says that it was %s; %s", w.By, w.Said.Words(), p.speaks(w.Said, next.Number))
	}
	return c
}

// speaks says what a word on a page says of the proposal.
func (p Page) speaks(said alert.Verdict, number int) string {
	did := map[Verdict]string{Extra: "would have called somebody", Agreed: "would have called as well", Missed: "would have called nobody",
		Ticket: "would have opened a ticket", TicketMissed: "would have opened no ticket"}[p.Verdict]
	real, raised := said == alert.VerdictReal, p.Verdict == Extra || p.Verdict == Ticket
	weight := "speaks against it"
	switch {
	case p.Verdict == Agreed:
		weight = "says nothing of it"
	case p.Verdict == Missed && real:
		weight = "keeps it from being promoted by its record"
	case raised == real:
		weight = "speaks for it"
	}
	return fmt.Sprintf("proposal %d %s: that %s", number, did, weight)
}

// against says whether a page speaks against a proposal. One that nobody has said anything
// of does: it differs from what the rules in force made.
func (p Page) against() bool {
	switch p.Verdict {
	case Extra, Ticket:
		return p.Said != alert.VerdictReal
	case Missed, TicketMissed:
		return p.Said == "" || p.Said == alert.VerdictReal
	default:
		return false
	}
}

// lost says whether a proposal would have called nobody for what was a fault, by what
// somebody said. No time makes that good.
func (p Page) lost() bool { return p.Verdict == Missed && p.Said == alert.VerdictReal }
