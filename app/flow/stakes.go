package flow

import (
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func (s *Shared) scale() *whole.Scale {
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
	l := whole.Limits(policy, r.Catalog, team, s.directory.Watched(), now)
	l.Held = whole.Held(policy, i, a, s.directory.Get, now)
	return incident.Weigh(i, l, of)
}
