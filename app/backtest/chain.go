package backtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// chain takes alerts through router and incident, with the environment's
// incidents in memory and everybody live. Who is called, and what they do then, stands
// in calls.go.
type chain struct {
	o         Options
	number    int
	incidents map[string][]incident.Incident // by environment: open, or resolved lately
	timers    map[string]waiting             // by timer id
	firing    map[alert.ID]*Line
	lines     []*Line
	weigh     func(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident
	held      []hold    // warnings that call when the team's working hours begin
	calling   []calling // calls that are not made yet
	taking    []taking  // what those who were called will take
}

type waiting struct {
	store.Timer
	environment string
}

func newChain(o Options) *chain {
	return &chain{o: o, incidents: map[string][]incident.Incident{}, timers: map[string]waiting{}, firing: map[alert.ID]*Line{}}
}

// take routes alerts in their order.
func (c *chain) take(as []alert.Alert, now time.Time) {
	c.made(now)
	for _, a := range as {
		c.record(a)
		c.route(a, now)
	}
}

// record keeps the alert's line.
func (c *chain) record(a alert.Alert) {
	l := c.firing[a.ID]
	if a.State == alert.Resolved {
		if l != nil {
			end := a.AsOf.UTC()
			if a.EndsAt != nil {
				end = a.EndsAt.UTC()
			}
			l.EndsAt = &end
			delete(c.firing, a.ID)
		}
		return
	}
	if l == nil {
		l = &Line{Tenant: string(a.Tenant), Service: a.Service, Rule: a.Rule, Slice: map[string]string{}, Severity: string(a.Severity),
			StartsAt: a.StartsAt.UTC(), OnsetAt: a.OnsetAt.UTC(), Reason: a.Reason}
		for _, d := range a.Slice {
			l.Slice[d.Label] = d.Value
		}
		c.firing[a.ID] = l
		c.lines = append(c.lines, l)
	}
	l.Severity = string(a.Severity)
}

func (c *chain) route(a alert.Alert, now time.Time) {
	list := c.incidents[a.Environment]
	d := router.Route(response.Candidates(list), a, now)
	i := slices.IndexFunc(list, func(x incident.Incident) bool { return string(x.ID) == d.Incident })
	switch {
	case d.Ignore:
		return
	case i < 0:
		c.apply(incident.Open(a, c.opening(a, d, now), now), a.ID, now)
	case d.Reopen:
		c.apply(incident.Reopen(c.weighed(list[i], &a, now), a, d.Narrow, d.Reason, 0, now), a.ID, now)
	default:
		c.apply(incident.WithAlert(c.weighed(list[i], &a, now), a, d.Narrow, d.Reason, now), a.ID, now)
		c.merge(a, d, now)
	}
}

// merge makes incidents that turned out to be one fault one.
func (c *chain) merge(a alert.Alert, d router.Decision, now time.Time) {
	for _, id := range d.Merge {
		list := c.incidents[a.Environment]
		into := slices.IndexFunc(list, func(x incident.Incident) bool { return string(x.ID) == d.Incident })
		from := slices.IndexFunc(list, func(x incident.Incident) bool { return string(x.ID) == id })
		if into < 0 || from < 0 {
			continue
		}
		if elder, younger, ok := incident.Merge(c.weighed(list[into], nil, now), list[from], d.Reason, now); ok {
			c.apply(younger, a.ID, now)
			c.apply(elder, a.ID, now)
		}
	}
}

func (c *chain) opening(a alert.Alert, d router.Decision, now time.Time) incident.Opening {
	c.number++
	team, why := c.o.Catalog.Owner(catalog.ServiceID(a.Service))
	if a.Kind == rule.Source {
		team, _, why = c.o.Catalog.SourceOwner(a.Evidence.Source)
	}
	o := incident.Opening{ID: incident.NewID(now, fmt.Sprintf("%s/%d", a.ID, c.number)), Number: c.number, Team: team.ID, OwnerReason: why, Reason: d.Reason, Live: true,
		WarningPages: len(team.WorkingHours.Hours) > 0, NoPage: c.o.Policy.Silent(a.Environment)}
	first := c.weighed(incident.Incident{Environment: a.Environment, Service: a.Service, Slice: a.Slice, Team: team.ID}, &a, now)
	o.Weighed, o.Likely = first.Stakes, first.Likely
	return o
}

// apply keeps what an incident became. cause is the alert that brought it;
// empty: a timer did.
func (c *chain) apply(ch incident.Change, cause alert.ID, now time.Time) {
	n := ch.Incident
	for _, t := range ch.Timers {
		if t.At.IsZero() {
			delete(c.timers, t.ID)
		} else {
			c.timers[t.ID] = waiting{t, n.Environment}
		}
	}
	if ch.Changed {
		list := c.incidents[n.Environment]
		list = slices.DeleteFunc(list, func(x incident.Incident) bool {
			return x.ID == n.ID || x.ResolvedAt != nil && now.Sub(*x.ResolvedAt) > router.Window+time.Minute
		})
		c.incidents[n.Environment] = append(list, n)
	}
	for _, a := range n.Alerts {
		if l := c.firing[a.ID]; l != nil && l.Incident == 0 {
			l.Incident, l.Unheard = n.Number, n.Unheard()
		}
	}
	if ch.Withdraw {
		c.withdraw(n)
	}
	if ch.Page == nil {
		return
	}
	if !ch.Page.Urgent {
		team, _ := c.o.Catalog.Team(ch.Page.Team)
		in, begin, _ := rota.Working(team.WorkingHours, now)
		if !in {
			if !begin.IsZero() {
				c.held = append(c.held, hold{begin, n.Number, n.Environment})
			}
			return
		}
	}
	c.call(n, cause, now)
}

// all lists the lines by the time they fired.
func (c *chain) all() []Line {
	out := make([]Line, len(c.lines))
	for i, l := range c.lines {
		out[i] = *l
	}
	slices.SortStableFunc(out, func(a, b Line) int { return a.StartsAt.Compare(b.StartsAt) })
	return out
}
