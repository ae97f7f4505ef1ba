package backtest

import (
	"cmp"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/tenant"

	"github.com/tocsin-alerting/tocsin/app/flow"
)

// scale is how much each tenant does, and all of them, as live looks at it.
type scale struct {
	observed map[tenant.ID]float64 // transactions a minute
	total    float64
	at       time.Time // the next look
}

// measure looks once an hour how much each tenant does.
func (r *Replay) measure(now time.Time) {
	if now.Before(r.scale.at) {
		return
	}
	r.scale.at = now.Truncate(time.Hour).Add(time.Hour)
	spec, ok := r.o.Policy.VolumeSLI()
	for id := range r.tenants {
		if tpm, observed := r.engine.Volume(id, r.o.Environment, spec, now); ok && observed >= flow.MeasuredAfter {
			r.scale.observed[id] = flow.Rounded(tpm)
		}
	}
	r.add()
}

// add sums up what all tenants do.
func (r *Replay) add() {
	r.scale.total = 0
	watched := 0
	for _, t := range r.tenants {
		if t.Watched() {
			watched++
			r.scale.total += r.volume(t)
		}
	}
	if r.o.Watched > 0 && watched > 0 { // those there are stand for more
		r.scale.total *= float64(r.o.Watched) / float64(watched)
	}
}

func (r *Replay) volume(t tenant.Tenant) float64 {
	return cmp.Or(r.scale.observed[t.ID], t.ExpectedTPM)
}

// weigh says what counts at this moment, as live does.
func (r *Replay) weigh(i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	document := func(id tenant.ID) (tenant.Tenant, bool) { t, ok := r.tenants[id]; return t, ok }
	team, _ := r.o.Catalog.Team(i.Team)
	l := flow.LimitsOf(r.o.Policy, r.o.Catalog, team, r.watched(), now)
	l.Held = flow.HeldPages(r.o.Policy, i, a, document, now)
	of := map[tenant.ID]incident.Stake{}
	if a != nil {
		if t, ok := document(a.Tenant); ok {
			of[t.ID] = flow.StakeOf(t, r.volume(t), r.scale.total)
		}
	}
	return incident.Weigh(i, l, of)
}
