package response

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Candidates is what routing must know of incidents.
func Candidates(open []incident.Incident) []router.Candidate {
	out := make([]router.Candidate, 0, len(open))
	for _, i := range open {
		all, firing := i.AlertIDs()
		c := router.Candidate{Incident: string(i.ID), Number: i.Number, Service: i.Service, Slice: i.Slice, OnsetAt: i.OnsetAt,
			Open: i.State != incident.StateResolved, Alerts: all, Firing: firing, Rings: i.Rings(),
			Taken: i.State == incident.StateAcknowledged, Called: i.PagedUrgent, Parts: make([]router.Part, 0, len(i.Alerts))}
		c.Source, c.Absent = i.Kind() == rule.Source, len(i.Alerts) > 0
		for _, a := range i.Alerts {
			c.Absent = c.Absent && a.Kind == rule.Absent
			p := router.Part{Tenant: a.Tenant, Slice: a.Slice, OnsetAt: a.OnsetAt, Firing: a.State == alert.Firing}
			if i.OfOpening(a) {
				p.K, p.N = a.Bad()
			}
			c.Parts = append(c.Parts, p)
			if a.State == alert.Resolved && a.EndsAt != nil {
				if c.Ended == nil {
					c.Ended = map[alert.ID]time.Time{}
				}
				c.Ended[a.ID] = *a.EndsAt
			}
			if a.State == alert.Firing && a.Tenant == tenant.Product && a.Slice.Equal(i.Slice) {
				c.Share = a.Evidence.Share
			}
			if !slices.Contains(c.Tenants, a.Tenant) {
				c.Tenants = append(c.Tenants, a.Tenant)
			}
		}
		if n, k, _, _, _ := i.Counts(); n > 0 {
			c.Failing, c.Events = k/n, n
		}
		if i.ResolvedAt != nil {
			c.ResolvedAt = *i.ResolvedAt
		}
		if i.CalledAt != nil {
			c.CalledAt = *i.CalledAt
		}
		out = append(out, c)
	}
	return out
}

// Likely finds among the incidents of an environment what called the same team just now
// and is likely the same fault as i; nil: nothing did. a is the alert that is news of i,
// which may not have it yet; nil: a timer is.
func Likely(open []incident.Incident, i incident.Incident, a *alert.Alert, now time.Time) *incident.Likely {
	if i.Paged {
		return nil
	}
	var theirs []incident.Incident
	for n := range open {
		if o := &open[n]; o.PagedUrgent && o.CalledAt != nil && now.Sub(*o.CalledAt) <= router.Fresh && o.Team == i.Team {
			theirs = append(theirs, *o)
		}
	}
	if len(theirs) == 0 { // nearly always
		return nil
	}
	if a != nil {
		if i.Alerts = append(slices.Clone(i.Alerts), *a); i.OnsetAt.IsZero() {
			i.OnsetAt = a.OnsetAt
		}
	}
	of, ok := router.Likely(Candidates(theirs), Candidates([]incident.Incident{i})[0], now)
	if !ok {
		return nil
	}
	return &incident.Likely{Number: of.Number, CalledAt: of.CalledAt}
}

// weighAmong is weigh, and says what of the incidents that are open called just now and
// is likely the same fault.
func (k *Desk) weighAmong(open []incident.Incident, i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	i = k.weigh(i, a, now)
	i.Likely = Likely(open, i, a, now)
	return i
}

// stakes is what a tenant is of the whole.
func (k *Desk) stakes(id tenant.ID, now time.Time) map[tenant.ID]incident.Stake {
	t, ok := k.Directory.Get(id)
	if !ok {
		return nil
	}
	return map[tenant.ID]incident.Stake{id: k.Scale.Stake(t, now)}
}

// weigh says what counts at this moment for an incident, before it is decided about. a
// is the alert that is news; nil: a timer or a person is.
func (k *Desk) weigh(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	id := tenant.Product
	var of map[tenant.ID]incident.Stake
	if a != nil {
		id, of = a.Tenant, k.stakes(a.Tenant, now)
	}
	r := k.Rules()
	policy, _ := r.Of(id)
	team, _ := r.Catalog.Team(i.Team)
	l := whole.Limits(policy, r.Catalog, team, k.Directory.Watched(), now)
	l.Held = whole.Held(policy, i, a, k.Directory.Get, now)
	for id, st := range of {
		st.Held = whole.Held(policy, incident.Incident{Service: i.Service, Environment: i.Environment}, a, k.Directory.Get, now) != ""
		of[id] = st
	}
	return incident.Weigh(i, l, of)
}
