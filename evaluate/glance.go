package evaluate

import (
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Glance is a tenant's state in a few numbers, cheap enough to be taken of all
// tenants every few seconds.
type Glance struct {
	Tenant         tenant.ID
	Watched        bool // state live or onboarding
	Blind, Young   bool
	LastReceivedAt *time.Time // nil: nothing ever came
	Flows          []Flow
}

// Flow is the volume of one SLI in one environment.
type Flow struct {
	Environment   string
	Service       string // of the first rule on it
	SLI           string
	RatePerMinute float64 // over the last steps
}

// Glance looks at a tenant; ok is false for one that is not here.
func (e *Engine) Glance(id tenant.ID, now time.Time) (g Glance, ok bool) {
	ts := e.tenants[id]
	if ts == nil {
		return g, false
	}
	g = Glance{Tenant: id, Watched: ts.watched, Blind: ts.unseen(now), Young: ts.missing() > 0, LastReceivedAt: when(ts.lastReceived)}
	for _, m := range ts.meters {
		f := Flow{Environment: m.env, SLI: m.spec.Name}
		f.RatePerMinute, _ = m.pace()
		if len(m.rules) > 0 {
			f.Service = m.rules[0].Service
		}
		g.Flows = append(g.Flows, f)
	}
	return g, true
}

// unseen: it has sent, and does not any more.
func (ts *tenantState) unseen(now time.Time) bool {
	return ts.lastReceived > 0 && now.UnixMilli()-ts.lastReceived >= ts.o.BlindAfter.Milliseconds()
}

// missing is the event time, in ms, that still makes a tenant grown up.
func (ts *tenantState) missing() (ms int64) {
	if len(ts.meters) == 0 {
		return ts.o.YoungFor.Milliseconds()
	}
	for _, m := range ts.meters {
		if len(m.rules) == 0 || ts.firstSource(m, m.rules[0]) == nil { // what is only compared makes nobody young
			ms = max(ms, ts.o.YoungFor.Milliseconds()-m.learned)
		}
	}
	return ms
}

// pace is the events a minute over the last steps, and the share of them that
// failed.
func (m *meter) pace() (perMinute, failing float64) {
	var events, failed, minutes float64
	for _, d := range m.recent {
		events, failed = events+d.total, failed+d.bad
		minutes += d.step.Coverage * float64(d.step.End-d.step.Start) / 60_000
	}
	if minutes > 0 {
		perMinute = events / minutes * m.standForNow()
	}
	if events > 0 {
		failing = failed / events
	}
	return perMinute, failing
}
