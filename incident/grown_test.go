package incident_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// everyone is enough for a call.
var everyone = impact.Limits{Of: 4}

// outage is a tenant's total outage through alpha, that is seen after a minute.
func outage(id tenant.ID, onset time.Time) alert.Alert {
	a := fires(id, alpha, onset, 58, 60, 1)
	a.Evidence.Hard, a.Evidence.RatePerMinute = true, 60
	return a
}

// taken is an outage of acme alone, a tenth of all volume, that Anna took after two minutes.
func taken(t *testing.T, l impact.Limits) incident.Incident {
	t.Helper()
	o := weighed("s", l, map[tenant.ID]incident.Stake{"acme": {Share: 0.1}})
	o.WarningPages = true
	c := incident.Open(outage("acme", noon), o, at(time.Minute))
	require.NotNil(t, c.Page)
	c, h := incident.Acknowledge(c.Incident, anna, "page", at(2*time.Minute))
	require.True(t, h.Taken)
	return c.Incident
}

// goesOn has an alert join and, where nobody is called for that, tells news of it a minute
// later.
func goesOn(i incident.Incident, a alert.Alert, l impact.Limits, st incident.Stake, now time.Time) (joined, later incident.Change) {
	if joined = joins(i, a, l, st, now); joined.Page != nil {
		return joined, joined
	}
	a.AsOf = now.Add(time.Minute)
	return joined, joins(joined.Incident, a, l, st, now.Add(time.Minute))
}

// TestWhatJoinsLaterCallsByItself: two tenants have an acquirer in common and no fault. The
// second one's joins the incident that somebody has, and calls all the same.
func TestWhatJoinsLaterCallsByItself(t *testing.T) {
	tenth := incident.Stake{Share: 0.1}
	joined, c := goesOn(taken(t, everyone), outage("bolt", at(9*time.Minute)), everyone, tenth, at(10*time.Minute))
	require.Nil(t, joined.Page, "it may ring over all in a moment")
	require.NotNil(t, c.Page)
	require.Equal(t, incident.StateOpen, c.Incident.State)
	require.Equal(t, "it grew since Anna Berg took it: tenant bolt began to fail later, 10% of all volume, 1 tenant; what was taken was 10% of all volume, 1 tenant", c.Page.Reason)
	require.Empty(t, c.Page.Except, "Anna is asked too: she does not know yet")
	require.Equal(t, "opened/1/again/1", c.Page.Transition)
	require.Contains(t, kinds(t, c), "released")
	require.Contains(t, c.Incident.Notes[len(c.Incident.Notes)-1].Text, "Open again: it grew since Anna Berg took it: tenant bolt")

	c, h := incident.Acknowledge(c.Incident, anna, "page", at(12*time.Minute))
	require.True(t, h.Taken)
	again := outage("bolt", at(9*time.Minute))
	again.AsOf = at(16 * time.Minute)
	c = joins(c.Incident, again, everyone, tenth, at(16*time.Minute))
	require.Nil(t, c.Page, "she took both")
	wave, _ := goesOn(c.Incident, outage("core", at(11*time.Minute)), everyone, tenth, at(17*time.Minute))
	require.Nil(t, wave.Page, "it began with what bolt has")
	i := c.Incident
	_, c = goesOn(i, outage("core", at(14*time.Minute)), everyone, tenth, at(15*time.Minute))
	require.Nil(t, c.Page, "a half more is not twice as much")
	_, c = goesOn(c.Incident, outage("dune", at(14*time.Minute)), everyone, tenth, at(17*time.Minute))
	require.NotNil(t, c.Page)
	require.Contains(t, c.Page.Reason, "tenant core, tenant dune began to fail later, 20% of all volume, 2 tenants; what was taken was 20% of all volume, 2 tenants")
}

func TestWhatBelongsToWhatSomebodyHasCallsNobody(t *testing.T) {
	later, alone := at(9*time.Minute), incident.Stake{Share: 0.3}
	bolt := func(change func(*alert.Alert)) alert.Alert {
		a := outage("bolt", later)
		if change != nil {
			change(&a)
		}
		a.ID = a.Key.ID()
		return a
	}
	for _, tt := range []struct {
		name string
		a    alert.Alert
		l    impact.Limits
		of   incident.Stake
		at   time.Duration
		when func(incident.Incident) incident.Incident
	}{
		{name: "it calls else", a: bolt(nil)},
		{name: "within two minutes", a: bolt(func(a *alert.Alert) {
			a.OnsetAt, a.StartsAt, a.AsOf = at(3*time.Minute+10*time.Second), at(3*time.Minute+50*time.Second), at(3*time.Minute+50*time.Second)
		}), at: 3*time.Minute + 55*time.Second},
		{name: "began with it, seen late", a: bolt(func(a *alert.Alert) { a.OnsetAt = at(2 * time.Minute) })},
		{name: "a warning", a: bolt(func(a *alert.Alert) { a.Severity = rule.Warning }), at: 30 * time.Minute},
		{name: "the same tenant in other traffic", a: bolt(func(a *alert.Alert) { a.Tenant, a.Slice = "acme", nil }), of: incident.Stake{Share: 0.8}},
		{name: "was firing when its source came back", a: bolt(func(a *alert.Alert) { a.Backlog = true })},
		{name: "too small to call for by itself", a: bolt(nil), l: day, of: incident.Stake{Share: 0.0001}},
		{name: "not enough more by the policy", a: bolt(nil), l: impact.Limits{Of: 4, Grown: 4.5}},
		{name: "nobody may be called", a: bolt(nil), l: impact.Limits{Of: 4, Held: "the calendar says so"}},
		{name: "nobody may be called for the tenant", a: bolt(nil), of: incident.Stake{Share: 0.3, Held: true}},
		{name: "one of many, of whose volume nothing is known", a: bolt(nil), of: incident.Stake{}, l: impact.Limits{Of: 5}, when: func(i incident.Incident) incident.Incident {
			for n := range 3 {
				i = joins(i, outage(tenant.ID(fmt.Sprint("t", n)), noon), everyone, incident.Stake{}, at(2*time.Minute)).Incident
			}
			i.Known.Stakes.Share = 0
			return i
		}},
		{name: "kept by an earlier release", a: bolt(nil), when: func(i incident.Incident) incident.Incident { i.Known = nil; return i }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.l.Of == 0 {
				tt.l = everyone
			}
			if tt.of == (incident.Stake{}) && tt.l.Of != 5 {
				tt.of = alone
			}
			if tt.at == 0 {
				tt.at = 10 * time.Minute
			}
			i := taken(t, everyone)
			if tt.when != nil {
				i = tt.when(i)
			}
			_, c := goesOn(i, tt.a, tt.l, tt.of, at(tt.at))
			if c.Page == nil {
				_, c = goesOn(c.Incident, tt.a, tt.l, tt.of, at(tt.at+3*time.Minute))
			}
			if tt.name == "it calls else" {
				require.NotNil(t, c.Page)
				return
			}
			require.Nil(t, c.Page)
			require.Equal(t, incident.StateAcknowledged, c.Incident.State)
		})
	}
}

// TestWhatRingsOverAllExplainsWhatJoins: in the same traffic, or where the tenant is among
// those that it is seen of. That itself calls nobody: it is what somebody has, as all see it.
func TestWhatRingsOverAllExplainsWhatJoins(t *testing.T) {
	elsewhere := sli.Slice{{Label: "country", Value: "DE"}}
	for _, tt := range []struct {
		in    sli.Slice
		of    []tenant.ID
		calls bool
	}{{alpha, []tenant.ID{"acme"}, false}, {elsewhere, []tenant.ID{"acme", "bolt"}, false}, {elsewhere, []tenant.ID{"acme"}, true}} {
		ring := fires(tenant.Product, tt.in, at(9*time.Minute), 900, 1000, 0.4)
		ring.Evidence.Tenants = tt.of
		_, c := goesOn(taken(t, everyone), ring, everyone, incident.Stake{}, at(10*time.Minute))
		require.Nil(t, c.Page)
		_, c = goesOn(c.Incident, outage("bolt", at(9*time.Minute)), everyone, incident.Stake{Share: 0.4}, at(12*time.Minute))
		require.Equal(t, tt.calls, c.Page != nil, "%v of %v", tt.in, tt.of)
	}
}

// TestWhatFlapsIsNotNew: of a tenant that was part of it when somebody took it.
func TestWhatFlapsIsNotNew(t *testing.T) {
	i := incident.Open(outage("acme", noon), weighed("s", everyone, map[tenant.ID]incident.Stake{"acme": {Share: 0.1}}), at(time.Minute)).Incident
	bolt := outage("bolt", noon)
	i = joins(i, bolt, everyone, incident.Stake{Share: 0.3}, at(time.Minute)).Incident
	i = incident.WithAlert(i, over(bolt, at(100*time.Second)), nil, "part of it", at(100*time.Second)).Incident
	c, _ := incident.Acknowledge(i, anna, "page", at(2*time.Minute))
	_, c = goesOn(c.Incident, outage("bolt", at(9*time.Minute)), everyone, incident.Stake{Share: 0.3}, at(10*time.Minute))
	require.Nil(t, c.Page)
}

// TestWhatIsBackAndHeardOfIsTaken: who has it again has what it is now.
func TestWhatIsBackAndHeardOfIsTaken(t *testing.T) {
	i := taken(t, everyone)
	i = incident.WithAlert(i, over(i.Alerts[0], at(5*time.Minute)), nil, "part of it", at(5*time.Minute)).Incident
	c := incident.Reopen(incident.Weigh(i, everyone, map[tenant.ID]incident.Stake{"bolt": {Share: 0.1}}), outage("bolt", at(6*time.Minute)), nil, "it fires again", 0, at(7*time.Minute))
	require.Nil(t, c.Page)
	c = incident.Note(c.Incident, anna, "n", "I see it", at(8*time.Minute))
	_, c = goesOn(c.Incident, outage("bolt", at(6*time.Minute)), everyone, incident.Stake{Share: 0.1}, at(11*time.Minute))
	require.Nil(t, c.Page, "she has seen bolt's")
	_, c = goesOn(c.Incident, outage("core", at(11*time.Minute)), everyone, incident.Stake{Share: 0.1}, at(13*time.Minute))
	require.NotNil(t, c.Page)
}

// TestWhatCalledAndIsMergedCallsOnce: into what somebody has.
func TestWhatCalledAndIsMergedCallsOnce(t *testing.T) {
	i := taken(t, everyone)
	o := weighed("younger", everyone, map[tenant.ID]incident.Stake{"bolt": {Share: 0.3}})
	younger := incident.Open(outage("bolt", at(9*time.Minute)), o, at(10*time.Minute))
	require.NotNil(t, younger.Page)
	e, _, ok := incident.Merge(i, younger.Incident, "one fault", at(11*time.Minute))
	require.True(t, ok)
	require.Nil(t, e.Page)
	_, c := goesOn(e.Incident, outage("bolt", at(9*time.Minute)), everyone, incident.Stake{Share: 0.3}, at(12*time.Minute))
	require.Nil(t, c.Page, "somebody was called for it")
	small := younger.Incident
	small.PagedUrgent = false
	e, _, ok = incident.Merge(i, small, "one fault", at(11*time.Minute))
	require.True(t, ok)
	require.NotNil(t, e.Page, "nobody was")
}

// TestWhatSomebodyTookIsStored as it was.
func TestWhatSomebodyTookIsStored(t *testing.T) {
	i := taken(t, everyone)
	raw, err := json.Marshal(i)
	require.NoError(t, err)
	var back incident.Incident
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, i.Known, back.Known)
	require.Equal(t, []tenant.ID{"acme"}, back.Known.Tenants)
	c, ok := incident.Release(i, anna, "view", "", at(5*time.Minute))
	require.True(t, ok)
	require.Nil(t, c.Incident.Known)
	_, c = goesOn(c.Incident, outage("bolt", at(9*time.Minute)), everyone, incident.Stake{Share: 0.3}, at(10*time.Minute))
	require.Nil(t, c.Page, "they are being called as it is")
}
