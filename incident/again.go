package incident

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// What ends and fires again is one fault to whoever has it. The ticket tells them, and nobody
// is called: what flaps at night must not wake them each time. They may have gone to sleep,
// for they were told that it was over: what stays calls, and so does what grew.

const (
	againFor   = 5 * time.Minute // that what is back may go on before somebody is called
	againGrown = 1.5             // times what was at stake before is more
)

// Again is how an incident that is back stands with whoever had it before.
type Again struct {
	// Until is by when they must leave a trace on it, or the team is called; zero: nobody
	// was called before, and nobody is for this.
	Until  time.Time     `json:"until"`
	Worst  rule.Severity `json:"worst"`  // before
	Stakes *impact.Facts `json:"stakes"` // the most that was at stake before; nil: it was not weighed
}

// heldBefore says that somebody had the incident when its alerts ended. Who resolved it
// has it no longer.
func (i Incident) heldBefore() bool {
	return i.State == StateResolved && i.AcknowledgedAt != nil && i.ResolvedBy.Zero()
}

// holdAgain leaves an incident that is back with whoever had it.
func (b *build) holdAgain(worst rule.Severity) {
	i := &b.Incident
	i.Again = &Again{Worst: worst}
	if i.Stakes != nil {
		most := i.Stakes.Most
		i.Again.Stakes = &most
	}
	what := "nobody is called unless more is at stake than before"
	if i.Paged {
		i.Again.Until = b.now.Add(againFor)
		b.Timers = append(b.Timers, store.Timer{ID: i.silentTimer(), At: i.Again.Until, Subject: i.ID.Subject(), Kind: SilentTimer})
		what = fmt.Sprintf("nobody is called unless it still fires at %s and they have done nothing on it by then, or more is at stake than before", i.Again.Until.Format("15:04:05 UTC"))
	} else if i.SilentAfter > 0 {
		b.Timers = append(b.Timers, store.Timer{ID: i.silentTimer(), At: b.now.Add(time.Duration(i.SilentAfter * float64(time.Second))), Subject: i.ID.Subject(), Kind: SilentTimer})
	}
	b.log("held_again", "tocsin", fmt.Sprintf("%s had it and has it again: %s", i.AcknowledgedBy, what))
	b.note(fmt.Sprintf("held/%d", i.Openings), i.AcknowledgedBy.String()+" had it and has it again: "+what+".", nil)
}

// grown says in which way an incident that is back is more than it was; empty: it is not.
func (i Incident) grown() string {
	open := i
	open.State, open.Paged, open.PagedUrgent = StateOpen, false, false
	worst, _, nobody := open.wants()
	f, v := i.verdict()
	many := func(n int) bool { return i.Stakes.Limits.Tenants > 0 && n >= i.Stakes.Limits.Tenants }
	switch was := i.Again.Stakes; {
	case nobody != "" || !v.Wakes: // nobody would be called however it was before
		return ""
	case worst.Severity.Rank() > i.Again.Worst.Rank():
		return fmt.Sprintf("it is %s now, it was %s before", worst.Severity, i.Again.Worst)
	case !i.Paged && worst.Severity == rule.Critical:
		return "it is enough to call somebody for, which it was not before"
	case i.Stakes == nil || was == nil:
		return ""
	case f.Share > againGrown*was.Share, f.LossPerMinute > againGrown*was.LossPerMinute, many(f.Tenants) && !many(was.Tenants), f.Priority != "" && was.Priority == "":
		return fmt.Sprintf("more is at stake, %s; before it was %s", f.Words(), was.Words())
	}
	return ""
}

// considerAgain calls when what is back is more than whoever has it knows.
func (b *build) considerAgain() (called bool) {
	i := &b.Incident
	if i.Again == nil || i.State != StateAcknowledged {
		return false
	}
	more := i.grown()
	if more == "" {
		return false
	}
	b.unheld(fmt.Sprintf("it fires again, and %s had it before: %s", i.AcknowledgedBy, more))
	return b.Page != nil
}

// overdue says that whoever had it left no trace since it is back.
func (i Incident) overdue(now time.Time) bool {
	return i.Again != nil && !i.Again.Until.IsZero() && !now.Before(i.Again.Until)
}

// unheld takes an incident that is back from whoever had it and calls; them too.
func (b *build) unheld(why string) {
	b.release(Actor{}, why)
	if b.Page != nil {
		b.Page.Except = "" // they were not asked yet
	}
}

// heard takes a trace of whoever has an incident that is back: they know.
func (b *build) heard() {
	i := &b.Incident
	if i.Again == nil {
		return
	}
	i.Again, b.Changed = nil, true
	b.know()
	b.Timers = append(b.Timers, store.Timer{ID: i.silentTimer(), Subject: i.ID.Subject(), Kind: SilentTimer})
	b.log("heard", "tocsin", "whoever has it has done something on it since it is back: nobody is called for that")
}
