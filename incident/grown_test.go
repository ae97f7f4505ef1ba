package incident_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// everyone is enough for a call.
var everyone = impact.Limits{Of: 4}

// outage is a tenant's total outage through alpha.
func outage(id tenant.ID, onset time.Time) alert.Alert {
	a := fires(id, alpha, onset, 58, 60, 1)
	a.Evidence.Hard, a.Evidence.RatePerMinute = true, 60
	return a
}

// taken is an outage of acme alone, a tenth of all volume, that Anna took after two minutes.
func taken(t *testing.T, l impact.Limits) incident.Incident {
	t.Helper()
	c := incident.Open(outage("acme", noon), weighed("s", l, map[tenant.ID]incident.Stake{"acme": {Share: 0.1}}), at(time.Minute))
	require.NotNil(t, c.Page)
	c, h := incident.Acknowledge(c.Incident, anna, "page", at(2*time.Minute))
	require.True(t, h.Taken)
	return c.Incident
}

// TestWhatJoinsLaterCallsByItself: two tenants have an acquirer in common and no fault. The
// second one's joins the incident that somebody has, and calls all the same.
func TestWhatJoinsLaterCallsByItself(t *testing.T) {
	i := taken(t, everyone)
	c := joins(i, outage("bolt", at(9*time.Minute)), everyone, incident.Stake{Share: 0.1}, at(10*time.Minute))
	require.NotNil(t, c.Page)
	require.Equal(t, incident.StateOpen, c.Incident.State)
	require.Equal(t, "it grew since Anna Berg took it: tenant bolt began to fail later; it is 20% of all volume, 2 tenants now and was 10% of all volume, 1 tenant", c.Page.Reason)
	require.Empty(t, c.Page.Except, "Anna is asked too: she does not know yet")
	require.Equal(t, "opened/1/again/1", c.Page.Transition)
	require.Contains(t, kinds(t, c), "released")
	require.Contains(t, c.Incident.Notes[len(c.Incident.Notes)-1].Text, "Open again: it grew since Anna Berg took it: tenant bolt")

	c, h := incident.Acknowledge(c.Incident, anna, "page", at(11*time.Minute))
	require.True(t, h.Taken)
	again := outage("bolt", at(9*time.Minute))
	again.AsOf = at(16 * time.Minute)
	require.Nil(t, joins(c.Incident, again, everyone, incident.Stake{Share: 0.1}, at(16*time.Minute)).Page, "she took both")
	third := joins(c.Incident, outage("core", at(14*time.Minute)), everyone, incident.Stake{Share: 0.1}, at(15*time.Minute))
	require.Nil(t, third.Page, "a half more is not twice as much")
	fourth := joins(third.Incident, outage("dune", at(14*time.Minute)), everyone, incident.Stake{Share: 0.1}, at(15*time.Minute))
	require.NotNil(t, fourth.Page)
	require.Contains(t, fourth.Page.Reason, "tenant core, tenant dune began to fail later; it is 40% of all volume, 4 tenants now and was 20% of all volume, 2 tenants")
}

func TestWhatBelongsToWhatSomebodyHasCallsNobody(t *testing.T) {
	later, alone := at(9*time.Minute), incident.Stake{Share: 0.1}
	soon := outage("bolt", at(2*time.Minute+30*time.Second))
	wave := outage("bolt", at(2*time.Minute))
	wave.StartsAt, wave.AsOf = at(10*time.Minute), at(10*time.Minute)
	warning := outage("bolt", later)
	warning.Severity = "warning"
	same := outage("acme", later)
	same.Slice = nil
	same.ID = same.Key.ID()
	old := outage("bolt", later)
	old.Backlog = true
	for _, tt := range []struct {
		name string
		a    alert.Alert
		l    impact.Limits
		of   incident.Stake
		at   time.Duration
	}{
		{"within two minutes", soon, everyone, alone, 3*time.Minute + 45*time.Second},
		{"began with it, seen late", wave, everyone, alone, 10 * time.Minute},
		{"a warning", warning, everyone, alone, 10 * time.Minute},
		{"the same tenant in other traffic", same, everyone, alone, 10 * time.Minute},
		{"was firing when its source came back", old, everyone, alone, 10 * time.Minute},
		{"too small to call for by itself", outage("bolt", later), day, incident.Stake{Share: 0.0001}, 10 * time.Minute},
		{"not enough more by the policy", outage("bolt", later), impact.Limits{Of: 4, Grown: 2.5}, alone, 10 * time.Minute},
		{"nobody may be called", outage("bolt", later), impact.Limits{Of: 4, Held: "the calendar says so"}, alone, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := joins(taken(t, everyone), tt.a, tt.l, tt.of, at(tt.at))
			require.Nil(t, c.Page)
			require.Equal(t, incident.StateAcknowledged, c.Incident.State)
		})
	}
	for _, s := range []sli.Slice{alpha, {{Label: "country", Value: "DE"}}} {
		t.Run("over all tenants it rings since, in "+s.Key(), func(t *testing.T) {
			ring := fires(tenant.Product, s, later, 900, 1000, 0.4)
			ring.Evidence.Tenants = []tenant.ID{"acme", "core"}
			c := joins(taken(t, everyone), ring, everyone, incident.Stake{}, at(10*time.Minute))
			require.Nil(t, c.Page, "the fault that somebody has, as all see it")
			for n := range 6 {
				c = joins(c.Incident, outage(tenant.ID(fmt.Sprint("t", n)), later), everyone, incident.Stake{Share: 0.2}, at(10*time.Minute))
				require.Nil(t, c.Page)
			}
		})
	}
	t.Run("given back, and nobody has it", func(t *testing.T) {
		c, ok := incident.Release(taken(t, everyone), anna, "view", "", at(5*time.Minute))
		require.True(t, ok)
		require.Nil(t, joins(c.Incident, outage("bolt", later), everyone, alone, at(10*time.Minute)).Page, "they are being called as it is")
	})
}
