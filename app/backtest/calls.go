package backtest

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/incident"
)

// takenAfter is how long whoever is called needs to take the incident: to wake up, to
// read and to press the button. Until it is over, it is theirs then.
const takenAfter = 5 * time.Minute

// engineer is whoever is called.
var engineer = incident.Actor{Name: "whoever was called"}

// hold is an incident whose team is called later, if it is still open then.
type hold struct {
	at          time.Time
	number      int
	environment string
}

// calling is a call that waits for what rings in the same moment, as live.
type calling struct {
	at          time.Time
	incident    incident.ID
	environment string
	line        *Line // of the alert that it is about
}

// taking is what somebody who was called takes.
type taking struct {
	at          time.Time
	incident    incident.ID
	environment string
}

// weighed is what counts for an incident now, as live; a is the alert that is news of
// it, nil: a timer is.
func (c *chain) weighed(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	i = c.weigh(i, a, now)
	i.Likely = response.Likely(c.incidents[i.Environment], i, a, now)
	return i
}

// call asks for a call for the incident.
func (c *chain) call(n incident.Incident, cause alert.ID, now time.Time) {
	if cause == "" {
		cause = worst(n)
	}
	if l := c.firing[cause]; l != nil {
		c.calling = append(c.calling, calling{now.Add(response.Gather), n.ID, n.Environment, l})
	}
}

// withdraw makes no call for an incident that is over, or that somebody has.
func (c *chain) withdraw(n incident.Incident) {
	c.calling = slices.DeleteFunc(c.calling, func(x calling) bool { return x.incident == n.ID })
}

// made makes the calls that are due.
func (c *chain) made(now time.Time) {
	c.calling = slices.DeleteFunc(c.calling, func(x calling) bool {
		if x.at.After(now) {
			return false
		}
		if !x.line.Pages {
			x.line.Pages, x.line.PagedAt = true, x.at.UTC()
		}
		c.taking = append(c.taking, taking{x.at.Add(takenAfter), x.incident, x.environment})
		return true
	})
}

// taken has those who were called take what they were called for.
func (c *chain) taken(now time.Time) {
	var due []taking
	c.taking = slices.DeleteFunc(c.taking, func(x taking) bool {
		if x.at.After(now) {
			return false
		}
		due = append(due, x)
		return true
	})
	for _, x := range due {
		for _, i := range c.incidents[x.environment] {
			if i.ID == x.incident && i.State == incident.StateOpen {
				ch, _ := incident.Acknowledge(i, engineer, "page", now)
				c.apply(ch, "", now)
				break
			}
		}
	}
}

// begin calls for what waited for working hours: of an incident that is over, or that
// became urgent and has called since, nobody hears again.
func (c *chain) begin(now time.Time) {
	c.held = slices.DeleteFunc(c.held, func(h hold) bool {
		if h.at.After(now) {
			return false
		}
		for _, i := range c.incidents[h.environment] {
			if i.Number == h.number && i.State == incident.StateOpen && !i.PagedUrgent {
				c.call(i, "", now)
			}
		}
		return true
	})
}

// worst is the alert that a page after the settling time is about: of the most severe one
// that the incident is about, else the one with the most evidence.
func worst(i incident.Incident) (id alert.ID) {
	var best *alert.Alert
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if a.State == alert.Firing && (best == nil || cmp.Or(cmp.Compare(a.Severity.Rank(), best.Severity.Rank()),
			owns(i, a)-owns(i, best), cmp.Compare(a.Evidence.Score, best.Evidence.Score)) > 0) {
			best = a
		}
	}
	if best == nil {
		return ""
	}
	return best.ID
}

// owns is 1 for an alert of the incident's own slice.
func owns(i incident.Incident, a *alert.Alert) int {
	if a.Slice.Equal(i.Slice) {
		return 1
	}
	return 0
}

// due makes the calls, has people do what they do and fires timers, the earliest first.
func (c *chain) due(now time.Time) {
	c.made(now)
	c.begin(now)
	c.taken(now)
	var list []waiting
	for _, t := range c.timers {
		if !t.At.After(now) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b waiting) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	for _, t := range list {
		delete(c.timers, t.ID)
		i := slices.IndexFunc(c.incidents[t.environment], func(i incident.Incident) bool { return i.ID.Subject() == t.Subject })
		if i < 0 {
			continue
		}
		switch x := c.weighed(c.incidents[t.environment][i], nil, now); t.Kind {
		case incident.SettleTimer:
			c.apply(incident.Settled(x, now), "", now)
		case incident.SilentTimer:
			c.apply(incident.Silent(x, now), "", now)
		}
	}
}
