package whole

import (
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Limits is what a policy demands for a call of a team at an instant, of so many
// tenants.
func Limits(p *profiles.Policy, c *catalog.Catalog, team catalog.Team, tenants int, now time.Time) impact.Limits {
	return p.Impact.Limits(tenants, Zone(c, team), now)
}

// Zone is where it is night for a team: the zone of its working hours, else of its
// schedule.
func Zone(c *catalog.Catalog, team catalog.Team) *time.Location {
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

// A reason of Held is heldBy, the entry's name, holdsPages and why. It is stored with
// incidents.
const (
	heldBy     = "the calendar entry "
	holdsPages = " holds pages: "
)

// Held says which calendar entry lets nobody be called for an incident that the
// alert (nil: none) is news of; empty: some of its tenants are not concerned.
func Held(p *profiles.Policy, i incident.Incident, a *alert.Alert, document func(tenant.ID) (tenant.Tenant, bool), now time.Time) (why string) {
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
			why = heldBy + e.Name + holdsPages + e.Why
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

// HeldBy names the entry in a reason of Held.
func HeldBy(why string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(why, heldBy)
	name, _, holds := strings.Cut(rest, holdsPages)
	return name, ok && holds
}
