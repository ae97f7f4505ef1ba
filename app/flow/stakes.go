package flow

import (
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func (s *Shared) scale() *Scale {
	s.scaling.Do(func() { s.scaled.List = s.directory.List })
	return &s.scaled
}

func (s *Shared) stakes(id tenant.ID, now time.Time) map[tenant.ID]incident.Stake {
	t, ok := s.directory.Get(id)
	if !ok {
		return nil
	}
	return map[tenant.ID]incident.Stake{id: s.scale().Stake(t, now)}
}

// weigh says what counts at this moment for an incident, before it is decided about. a
// is the alert that is news; nil: a timer or a person is.
func (s *Shared) weigh(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	id := tenant.Product
	var of map[tenant.ID]incident.Stake
	if a != nil {
		id, of = a.Tenant, s.stakes(a.Tenant, now)
	}
	r := s.Rules()
	policy, _ := r.Of(id)
	team, _ := r.Catalog.Team(i.Team)
	l := LimitsOf(policy, r.Catalog, team, s.directory.Watched(), now)
	l.Held = HeldPages(policy, i, a, s.directory.Get, now)
	return incident.Weigh(i, l, of)
}

// LimitsOf is what a policy demands for a call of a team at an instant, of so many
// tenants.
func LimitsOf(p *profiles.Policy, c *catalog.Catalog, team catalog.Team, tenants int, now time.Time) impact.Limits {
	return p.Impact.Limits(tenants, ZoneOf(c, team), now)
}

// ZoneOf is where it is night for a team: the zone of its working hours, else of its
// schedule.
func ZoneOf(c *catalog.Catalog, team catalog.Team) *time.Location {
	name := team.WorkingHours.TimeZone
	if sched, ok := c.Schedule(team.Schedule); ok && len(team.WorkingHours.Hours) == 0 {
		name = sched.TimeZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		zone = time.UTC // the catalog was checked when it was read
	}
	return zone
}

// HeldPages says which calendar entry lets nobody be called for an incident that the
// alert (nil: none) is news of; empty: some of its tenants are not concerned.
func HeldPages(p *profiles.Policy, i incident.Incident, a *alert.Alert, document func(tenant.ID) (tenant.Tenant, bool), now time.Time) (why string) {
	asked := map[tenant.ID]bool{}
	held := func(id tenant.ID) bool {
		if asked[id] {
			return true
		}
		asked[id] = true
		on := calendar.Scope{Service: i.Service, Environment: i.Environment}
		if t, ok := document(id); ok {
			on.Tenant, on.Countries = id, t.Countries
		}
		e, ok := p.Calendar().Active(now, calendar.HoldPages, on)
		if ok && why == "" {
			why = "the calendar entry " + e.Name + " holds pages: " + e.Why
		}
		return ok
	}
	if a != nil && a.State == alert.Firing && !held(a.Tenant) {
		return ""
	}
	for n := range i.Alerts {
		if x := &i.Alerts[n]; x.State == alert.Firing && !held(x.Tenant) {
			return ""
		}
	}
	return why
}
