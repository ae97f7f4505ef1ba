package flow

import (
	"cmp"
	"math"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// scale is how much each tenant does, and all of them.
type scale struct {
	mu       sync.Mutex
	observed map[tenant.ID]float64 // transactions a minute, of those served here
	total    float64
	at       time.Time // of the total
}

// totalStands is how long a sum over all tenants is used: a mass outage asks for it
// with every alert.
const totalStands = time.Minute

func (s *scale) set(id tenant.ID, tpm float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.observed == nil {
		s.observed = map[tenant.ID]float64{}
	}
	s.observed[id] = tpm
}

// of is a tenant's volume in transactions a minute, and that of all of list. What was
// observed comes before what was promised; 0: neither is known.
func (s *scale) of(t tenant.Tenant, list func() []tenant.Tenant, now time.Time) (tpm, total float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || now.Sub(s.at) >= totalStands || now.Before(s.at) {
		s.total, s.at = 0, now
		for _, o := range list() {
			if o.Watched() {
				s.total += s.volume(o)
			}
		}
	}
	tpm = s.volume(t)
	return tpm, max(s.total, tpm)
}

func (s *scale) volume(t tenant.Tenant) float64 { return cmp.Or(s.observed[t.ID], t.ExpectedTPM) }

// StakeOf is what a tenant is of the whole, by its volume and that of all, in
// transactions a minute; 0: not known.
func StakeOf(t tenant.Tenant, tpm, total float64) incident.Stake {
	s := incident.Stake{Value: t.ValuePerTransaction, Priority: t.Priority}
	if total > 0 {
		s.Share = tpm / total
	}
	return s
}

func (s *Shared) stakes(id tenant.ID, now time.Time) map[tenant.ID]incident.Stake {
	t, ok := s.directory.Get(id)
	if !ok {
		return nil
	}
	tpm, total := s.scale.of(t, s.directory.List, now)
	return map[tenant.ID]incident.Stake{id: StakeOf(t, tpm, total)}
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

// MeasuredAfter is how much of the last day must have been observed before its mean is
// the tenant's volume.
const (
	MeasuredAfter = knownAfter
	measureEvery  = time.Hour // how much each tenant does
)

// measure looks once an hour how much the partition's tenants do.
func (h *Handler) measure(tx *partition.Tx) {
	if tx.Now().Before(h.measureAt) {
		return
	}
	h.measureAt = tx.Now().Truncate(measureEvery).Add(measureEvery)
	for id := range h.at {
		policy, _ := h.s.Rules().Of(id)
		spec, ok := policy.VolumeSLI()
		if !ok {
			continue
		}
		if tpm, observed := h.engine.Volume(id, h.s.Settings.Environment, spec, tx.Now()); observed >= MeasuredAfter {
			h.s.scale.set(id, Rounded(tpm))
		}
	}
}

// Rounded is a volume as it is compared: to a power of the root of two, so that what
// follows from it does not change with every sample.
func Rounded(tpm float64) float64 {
	if tpm <= 0 {
		return 0
	}
	return math.Exp2(math.Round(2*math.Log2(tpm)) / 2)
}
