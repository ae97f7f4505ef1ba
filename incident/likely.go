package incident

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// Two large tenants' incidents are each worth a call some seconds before the alarm over
// all tenants makes them one. Whoever has a page that is seconds old is not called again
// for what is likely the same: the second page waits that long.

// likelyFor is how long a page waits to see whether the incident is part of another one.
const likelyFor = 30 * time.Second

// Likely is another incident that called the same team just now and is likely the same
// fault.
type Likely struct {
	Number   int
	CalledAt time.Time
}

// waitFor goes on with what an incident waits for that becomes part of this one: to be merged
// is no reason to call. What rings over all tenants waits for nothing.
func (b *build) waitFor(younger Incident) {
	i := &b.Incident
	if younger.LikelyUntil == nil || i.LikelyUntil != nil || i.Paged || i.State != StateOpen || len(i.Rings()) > 0 {
		return
	}
	until := *younger.LikelyUntil
	i.LikelyUntil, b.Changed = &until, true
	if b.now.Before(until) {
		i.SettleUntil = &until
		b.Timers = append(b.Timers, store.Timer{ID: i.settleTimer(), At: until, Subject: i.ID.Subject(), Kind: SettleTimer})
	}
}

// call asks for the page of this opening, unless it waits to see whether the incident is
// part of another one; it says so then.
func (b *build) call(reason string) (waits string) {
	i := &b.Incident
	worst, _ := i.worst()
	if i.Likely == nil || i.LikelyUntil != nil || i.Paged || worst == nil || worst.Severity != rule.Critical {
		b.want(reason)
		return ""
	}
	until := b.now.Add(likelyFor)
	i.LikelyUntil, i.SettleUntil = &until, &until
	b.Timers = append(b.Timers, store.Timer{ID: i.settleTimer(), At: until, Subject: i.ID.Subject(), Kind: SettleTimer})
	b.log("likely", "tocsin", fmt.Sprintf("incident %d called the team at %s for another tenant, and both began together: they may be one fault. The page waits %g s to see whether an alarm over all tenants makes them one, and is sent if none does (%s)",
		i.Likely.Number, i.Likely.CalledAt.UTC().Format("15:04:05 UTC"), likelyFor.Seconds(), reason))
	b.Changed = true
	return fmt.Sprintf("a page waits until %s: this may be one fault with incident %d, which called the team just now", until.Format("15:04:05 UTC"), i.Likely.Number)
}
