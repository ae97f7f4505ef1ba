package incidents

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// since is, for tenants whose id was somebody else's, from when on it is their own.
type since map[tenant.ID]time.Time

// since is what narrows what a tenant's own credential sees; people see all.
func (s *API) since(ctx context.Context, p web.Principal) since {
	if p.Any || p.Role == web.Link {
		return nil
	}
	return s.Since(ctx, p.Tenants)
}

// former says whether an alert is of whoever had the tenant's id before.
func (s since) former(a alert.Alert, id tenant.ID) bool { return a.StartsAt.Before(s[id]) }

// had says whether an incident holds such an alert.
func (s since) had(i incident.Incident, id tenant.ID) bool {
	return slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.Tenant == id && s.former(a, id) })
}

// touched are the tenants of an incident, less those of which it is over since their id
// was used again.
func touched(i incident.Incident, s since) []tenant.ID {
	out := make([]tenant.ID, 0, len(i.Tenants))
	for _, t := range i.Tenants {
		if s[t.ID].IsZero() || slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool {
			return !s.former(a, t.ID) && (a.Tenant == t.ID || a.Tenant == tenant.Product && slices.Contains(a.Evidence.Tenants, t.ID))
		}) {
			out = append(out, t.ID)
		}
	}
	return out
}

// Former are the tenants of an incident that had their id before whoever has it now, if
// anybody has.
func (s *API) Former(i incident.Incident) []tenant.ID {
	times := since{}
	for _, t := range i.Tenants {
		times[t.ID] = s.Flow.Directory().Since(t.ID)
	}
	now := touched(i, times)
	var out []tenant.ID
	for _, t := range i.Tenants {
		if !slices.Contains(now, t.ID) {
			out = append(out, t.ID)
		}
	}
	return out
}
