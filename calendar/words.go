package calendar

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// About says whether an entry concerns a tenant, whatever the service.
func (e Entry) About(on Scope) bool {
	e.Services = nil
	return e.concerns(on)
}

// Follows says what follows while the entry lasts.
func (e Entry) Follows() string {
	switch e.Effect {
	case Widen:
		return fmt.Sprintf("%g times the usual volume is as usual, and all between", e.Factor)
	case HoldPages:
		return "nobody is paged; tickets are opened"
	case HoldRevisions:
		return "no profile is proposed or promoted, and a rollout waits at the end of its stage"
	}
	return "no change but an emergency may go ahead"
}

// Whom says for whom and what the entry is.
func (e Entry) Whom() string {
	var parts []string
	add := func(one, many string, list []string) {
		switch {
		case len(list) == 1:
			parts = append(parts, one+" "+list[0])
		case len(list) > 1:
			parts = append(parts, many+" "+strings.Join(list, ", "))
		}
	}
	add("tenant", "tenants", e.Tenants)
	add("country", "countries", e.Countries)
	add("service", "services", e.Services)
	add("environment", "environments", e.Environments)
	if len(parts) == 0 {
		return "everybody"
	}
	return strings.Join(parts, "; ")
}

// When says when the entry holds, in the zone that it is written in; what it names by
// instants is told in zone.
func (e Entry) When(zone *time.Location) string {
	var parts []string
	part := func(days []string, every, from, to, zone string) {
		what := every
		if len(days) > 0 {
			what = strings.Join(days, ", ")
		}
		if from == "" {
			from = "00:00"
		}
		if to == "" {
			to = "24:00"
		}
		if zone == "" {
			zone = "UTC"
		}
		parts = append(parts, fmt.Sprintf("%s, %s to %s %s", what, from, to, zone))
	}
	if w := e.Weekly; w != nil {
		part(w.Days, "every day", w.From, w.To, w.TimeZone)
	}
	if d := e.Dates; d != nil {
		part(d.Days, "", d.From, d.To, d.TimeZone)
	}
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04") + " " + zone.String() }
	if !e.StartsAt.IsZero() {
		parts = append(parts, "from "+at(e.StartsAt))
	}
	if !e.EndsAt.IsZero() {
		parts = append(parts, "until "+at(e.EndsAt))
	}
	return strings.Join(parts, ", ")
}

// Standing is how an entry stands at an instant.
type Standing struct {
	Entry
	Holds bool
	// ChangesAt is when that may change; zero: never again.
	ChangesAt time.Time
	// Behind names the entry of the same effect that counts where both hold, because
	// it is listed before; empty: none holds.
	Behind string
}

// Over says whether the entry holds nothing now and never will.
func (s Standing) Over() bool { return !s.Holds && s.ChangesAt.IsZero() }

// Standings are the entries that concern the tenant (nil: all of them), those that hold
// first, then those that come, the next first, then those that are over.
func (c Calendar) Standings(at time.Time, on *Scope) []Standing {
	var out []Standing
	for i := range c.entries {
		e := &c.entries[i]
		if on != nil && !e.About(*on) {
			continue
		}
		s := Standing{Entry: e.Entry}
		s.Holds, s.ChangesAt = e.holds(at, ahead)
		if j := slices.IndexFunc(out, func(o Standing) bool { return o.Holds && s.Holds && o.Effect == s.Effect && o.overlaps(s.Entry) }); j >= 0 {
			s.Behind = out[j].Name
		}
		out = append(out, s)
	}
	rank := func(s Standing) int {
		switch {
		case s.Holds:
			return 0
		case !s.Over():
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b Standing) int {
		if d := rank(a) - rank(b); d != 0 || rank(a) != 1 {
			return d
		}
		return a.ChangesAt.Compare(b.ChangesAt)
	})
	return out
}

// overlaps says whether somebody may be concerned by both.
func (e Entry) overlaps(o Entry) bool {
	meet := func(a, b []string) bool {
		return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
	}
	return meet(e.Tenants, o.Tenants) && meet(e.Countries, o.Countries) && meet(e.Services, o.Services) && meet(e.Environments, o.Environments)
}

// Of is what is asked about one tenant.
func Of(t tenant.Tenant, environment string) *Scope {
	return &Scope{Tenant: t.ID, Countries: t.Countries, Environment: environment}
}
