package backtest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// measure looks once an hour how much each tenant does, and what of its team's budget
// it has by that.
func (r *Replay) measure(now time.Time) {
	if now.Before(r.measureAt) {
		return
	}
	first := r.measureAt.IsZero()
	r.measureAt = now.Truncate(time.Hour).Add(time.Hour)
	spec, ok := r.o.Policy.VolumeSLI()
	moved := map[tenant.ID]bool{}
	for _, s := range r.subjects {
		tpm, observed := s.engine.Volume(s.id, r.o.Environment, spec, now)
		known := ok && observed >= revision.KnownAfter
		if known {
			r.scale.Set(s.id, tpm)
		}
		if t, there := r.tenants[s.id]; there && r.o.Follow {
			moved[s.id] = r.follow(t, tpm, known, now)
		}
	}
	if first { // a profile's first revision has an equal share
		return
	}
	o := r.observation()
	for id, t := range r.tenants {
		w := r.scale.Weight(r.o.Policy, t, r.weights[id], r.watched(), now)
		if w != r.weights[id] || moved[id] {
			r.weights[id] = w
			r.assign(t, o, now)
		}
	}
}

// assign puts the profile of a tenant in force. o is what all profiles depend on.
func (r *Replay) assign(t tenant.Tenant, o profiles.Observation, now time.Time) {
	rules, _ := profiles.Compile(r.o.Policy, t, r.stands(o, t, now))
	r.subject(t.ID).engine.SetTenant(t, rules, now)
	r.asksFor(t.ID, rules, now)
}

// documents lists the tenants that there are at this moment, always in the same order:
// sums of what they do must not differ.
func (r *Replay) documents() []tenant.Tenant {
	if r.listed == nil {
		r.listed = slices.SortedFunc(maps.Values(r.tenants), func(a, b tenant.Tenant) int { return cmp.Compare(a.ID, b.ID) })
	}
	return r.listed
}

// weigh says what counts at this moment, as live does.
func (r *Replay) weigh(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	document := func(id tenant.ID) (tenant.Tenant, bool) { t, ok := r.tenants[id]; return t, ok }
	team, _ := r.o.Catalog.Team(i.Team)
	l := whole.Limits(r.o.Policy, r.o.Catalog, team, r.watched(), now)
	l.Held = whole.Held(r.o.Policy, i, a, document, now)
	of := map[tenant.ID]incident.Stake{}
	if a != nil {
		if t, ok := document(a.Tenant); ok {
			st := r.scale.Stake(t, now)
			st.Held = whole.Held(r.o.Policy, incident.Incident{Service: i.Service, Environment: i.Environment}, a, document, now) != ""
			of[t.ID] = st
		}
	}
	return incident.Weigh(i, l, of)
}
