package evaluate

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
)

// mostAccepted bounds what is remembered of one tenant; older ones have done their work.
const mostAccepted = 64

// Acceptance is a person's word that what an alert shows is the new normal.
type Acceptance struct {
	Alert alert.Key `json:"alert"`
	At    time.Time `json:"at"` // alarms that began later are others
	By    string    `json:"by"`
}

// acceptance is an Acceptance as it is looked up.
type acceptance struct {
	id alert.ID
	at int64
	by string
}

// Accept has what a firing alert of a tenant shows taken as the usual, from the first
// step on that ends at a.At or later: the alert ends, and its cell learns from there.
// Taking it again, before a replay, changes nothing.
func (e *Engine) Accept(a Acceptance) {
	ts := e.tenants[a.Alert.Tenant]
	if ts == nil {
		return
	}
	v := acceptance{a.Alert.ID(), a.At.UnixMilli(), a.By}
	ts.accepted = slices.DeleteFunc(ts.accepted, func(o acceptance) bool { return o.id == v.id })
	ts.accepted = append(ts.accepted, v)
	ts.accepted = ts.accepted[max(0, len(ts.accepted)-mostAccepted):]
}

// acceptedBy is who accepted what g fires about, by the step that ends at end; empty:
// nobody did.
func (ts *tenantState) acceptedBy(m *meter, g spot, end int64) string {
	if len(ts.accepted) == 0 || !g.w.Firing {
		return ""
	}
	id := alert.Key{Environment: m.env, Tenant: ts.id, Service: g.r.Service, Rule: g.r.Name, Slice: g.c.slice}.ID()
	for _, a := range ts.accepted {
		if a.id == id && g.w.Onset < a.at && end >= a.at {
			return a.by
		}
	}
	return ""
}
