package incident_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var (
	day   = impact.Limits{Floor: impact.Floor{Share: 0.01, Tenants: 3}, Of: 300}
	night = impact.Limits{Floor: impact.Floor{Share: 0.02, LossPerMinute: 1000, Tenants: 5}, Of: 300, Night: "22:00-07:00 UTC"}
)

// total is a tenant's total outage, sure at once.
func total(id tenant.ID) alert.Alert {
	a := fires(id, nil, noon, 58, 60, 1)
	a.Evidence.Hard, a.Evidence.RatePerMinute = true, 60
	return a
}

func weighed(seed string, l impact.Limits, stakes map[tenant.ID]incident.Stake) incident.Opening {
	o := opening(seed)
	o.Weighed = incident.Weigh(incident.Incident{}, l, stakes).Stakes
	return o
}

func joins(i incident.Incident, a alert.Alert, l impact.Limits, st incident.Stake, now time.Time) incident.Change {
	return incident.WithAlert(incident.Weigh(i, l, map[tenant.ID]incident.Stake{a.Tenant: st}), a, nil, "same slice", now)
}

func TestWhatIsSmallIsATicketUntilItGrows(t *testing.T) {
	tiny := incident.Stake{Share: 0.0002}
	c := incident.Open(total("t1"), weighed("s", day, map[tenant.ID]incident.Stake{"t1": tiny}), at(0))
	require.Nil(t, c.Page)
	require.True(t, c.Ticket, "the ticket is there at once")
	require.Equal(t, []string{"opened", "owner", "no_page"}, kinds(t, c))
	why := "certain but small: 0.02% of all volume, 1 tenant; a call needs 1% of all volume, 0.1% lost, 3 tenants or a tenant marked priority"
	require.Equal(t, "nobody is paged: "+why, c.Ledger[2].Reason)
	require.Equal(t, rule.Critical, c.Incident.Severity, "it stays what it is to the tenant")
	require.Equal(t, why, c.Incident.Stakes.Reason)
	require.Contains(t, c.Incident.Body(time.UTC), "Severity: critical\nNobody is called: "+why)

	c = joins(c.Incident, total("t2"), day, tiny, at(2*time.Minute))
	require.Nil(t, c.Page)
	require.Contains(t, c.Ledger[0].Reason, "it pages nobody: certain but small: 0.04% of all volume, 2 tenants;")
	c = joins(c.Incident, total("t3"), day, tiny, at(4*time.Minute))
	require.NotNil(t, c.Page, "at the moment at which it is enough")
	require.Contains(t, c.Page.Reason, "the page does not wait; 3 tenants are affected, 3 are enough")
	require.NotContains(t, c.Incident.Body(time.UTC), "Nobody is called")
}

func TestWhatIsAtStake(t *testing.T) {
	slow := total("t1")
	slow.Kind, slow.Evidence.Hard = rule.Latency, false
	weak := total("t1")
	weak.Evidence = alert.Evidence{N: 10, K: 3, Usual: 0.01, Score: 8, ToPage: 21, Share: 1, Hard: true}
	later := weak
	later.Evidence.N, later.Evidence.K = 60, 20
	part := total("t1")
	part.Evidence.Share = 0.1
	fifth := total("t1")
	fifth.Evidence.K, fifth.Evidence.Hard = 12, false
	quiet := total("t1")
	quiet.Kind, quiet.Evidence = rule.Source, alert.Evidence{Source: "eu", N: 1, Hard: true}
	pooled := total(tenant.Product)
	pooled.Evidence.Share, pooled.Evidence.Tenants = 0.4, []tenant.ID{"t1", "t2"}
	old := total("t1")
	old.Backlog = true
	for _, tt := range []struct {
		name   string
		a      alert.Alert
		l      impact.Limits
		st     incident.Stake
		pages  bool
		reason string
	}{
		{"large", total("t1"), day, incident.Stake{Share: 0.02}, true, "2% of all volume is affected, 1% is enough"},
		{"a part of large", part, day, incident.Stake{Share: 0.009}, false, "certain but small: 0.09% of all volume"},
		{"a small one that loses all", total("t1"), day, incident.Stake{Share: 0.004}, true, "0.38% of all volume is lost, 0.1% is enough"},
		{"large by day only", fifth, night, incident.Stake{Share: 0.015}, false, "a call at night (22:00-07:00 UTC) needs 2% of all volume, 0.4% lost, 5 tenants, 1000 a minute lost or a tenant marked priority"},
		{"money", total("t1"), night, incident.Stake{Share: 0.0001, Value: 40}, true, "2296 a minute is lost, 1000 is enough"},
		{"slow money is not lost", slow, night, incident.Stake{Share: 0.0001, Value: 40}, false, "certain but small: 0.01% of all volume, 1 tenant;"},
		{"priority", total("t1"), night, incident.Stake{Share: 0.0001, Priority: true}, true, "tenant t1 is marked priority"},
		{"volume not known", total("t1"), night, incident.Stake{}, true, "is not known yet"},
		{"too little evidence for a call", weak, day, incident.Stake{Share: 0.3, Priority: true}, false, "certain enough for a ticket and not for a call (evidence 8.0 of 21.0): 30% of all volume"},
		{"more evidence", later, day, incident.Stake{Share: 0.3}, true, "30% of all volume is affected"},
		{"all together", pooled, night, incident.Stake{}, true, "40% of all volume is affected"},
		{"a silent source", quiet, night, incident.Stake{Share: 0.0001}, true, "nobody watches the tenants of a silent source"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := incident.Open(tt.a, weighed("s", tt.l, map[tenant.ID]incident.Stake{"t1": tt.st}), at(0))
			if c.Incident.SettleUntil != nil {
				c = incident.Settled(c.Incident, at(30*time.Second))
			}
			require.Equal(t, tt.pages, c.Page != nil)
			require.Contains(t, c.Incident.Stakes.Reason, tt.reason)
			require.Equal(t, tt.pages, c.Incident.Stakes.Wakes)
		})
	}
	c := incident.Open(old, weighed("s", day, map[tenant.ID]incident.Stake{"t1": {Share: 1}}), at(0))
	require.Nil(t, c.Page, "what fired when its source was first seen pages nobody, however large")
}

// What is held against the last hour has lasted for two minutes when it fires.
func TestAChangeHasLasted(t *testing.T) {
	a := total("t1")
	a.Evidence.Hard, a.Evidence.Test = false, "cusum"
	open := func() incident.Change {
		return incident.Open(a, weighed("s", day, map[tenant.ID]incident.Stake{"t1": {Share: 0.02}}), at(0))
	}
	require.Nil(t, open().Page, "what is no hard fault waits")
	a.Evidence.Test = alert.Change
	require.NotNil(t, open().Page)
	require.Contains(t, open().Page.Reason, "it has lasted for some minutes already")
	a.Severity = rule.Warning
	require.Nil(t, open().Page)
}

// A fault that is no hard one has waited long enough when the night is over.
func TestTheMorningCallsForWhatTheNightLeft(t *testing.T) {
	a := fires("t1", nil, noon, 20, 60, 1)
	c := incident.Open(a, weighed("s", night, map[tenant.ID]incident.Stake{"t1": {Share: 0.012}}), at(0))
	require.Empty(t, c.Timers, "nothing settles that would not be called for")
	for n := range 3 {
		a.AsOf = a.AsOf.Add(time.Minute)
		c = joins(c.Incident, a, night, incident.Stake{Share: 0.012}, at(time.Duration(n+1)*time.Minute))
		require.Nil(t, c.Page)
		require.Empty(t, c.Ledger, "said once")
	}
	a.AsOf = a.AsOf.Add(time.Minute)
	c = joins(c.Incident, a, day, incident.Stake{Share: 0.012}, at(10*time.Minute))
	require.Equal(t, "it fires since 12:00:00 UTC, and was too small to call for before; 1.2% of all volume is affected, 1% is enough", c.Page.Reason)
	a.AsOf = a.AsOf.Add(time.Minute)
	require.Nil(t, joins(c.Incident, a, night, incident.Stake{Share: 0.012}, at(11*time.Minute)).Page, "once")
}

// What calendar entries hold is opened and ticketed, and called for when they end.
func TestHeldPages(t *testing.T) {
	held := day
	held.Held = "the calendar entry migration holds pages: the vendor works on it"
	c := incident.Open(total("t1"), weighed("s", held, map[tenant.ID]incident.Stake{"t1": {Share: 1, Priority: true}}), at(0))
	require.Nil(t, c.Page)
	require.True(t, c.Ticket)
	require.Contains(t, c.Incident.Body(time.UTC), "Nobody is called: the calendar entry migration holds pages")
	a := total("t1")
	a.AsOf = a.AsOf.Add(time.Minute)
	require.NotNil(t, joins(c.Incident, a, day, incident.Stake{Share: 1}, at(2*time.Minute)).Page)
}

// Whoever was called hands it to another, even when less is at stake meanwhile.
func TestGivenBackWhatIsSmall(t *testing.T) {
	c := incident.Open(total("t1"), weighed("s", day, map[tenant.ID]incident.Stake{"t1": {Share: 0.02}}), at(0))
	require.NotNil(t, c.Page)
	c, _ = incident.Acknowledge(c.Incident, anna, "page", at(time.Minute))
	small := incident.Weigh(c.Incident, night, nil)
	c, ok := incident.Release(small, anna, "view", "", at(2*time.Minute))
	require.True(t, ok)
	require.NotNil(t, c.Page)

	c = incident.Open(total("t1"), weighed("s", night, map[tenant.ID]incident.Stake{"t1": {Share: 0.001}}), at(0))
	c, _ = incident.Acknowledge(c.Incident, anna, "ticket", at(time.Minute))
	c, _ = incident.Release(c.Incident, anna, "view", "", at(2*time.Minute))
	require.Nil(t, c.Page, "nobody was called in the first place")
	require.Contains(t, c.Ledger[len(c.Ledger)-1].Reason, "certain but small")
}

// A critical fault does not wait for as long as the warning before it.
func TestACriticalFaultAfterAWarningSettlesSooner(t *testing.T) {
	o := opening("w")
	o.WarningPages = true
	c := incident.Open(warns(), o, at(0))
	require.Equal(t, at(15*time.Minute), *c.Incident.SettleUntil)
	soft := hard()
	soft.Evidence.Hard = false
	c = incident.WithAlert(c.Incident, soft, nil, "same slice", at(time.Minute))
	require.Equal(t, at(90*time.Second), *c.Incident.SettleUntil)
	c = incident.Settled(c.Incident, at(90*time.Second))
	require.True(t, c.Page.Urgent)
}

// The stakes of the caller stay as they were: nothing is changed in place.
func TestWeighCopies(t *testing.T) {
	c := incident.Open(total("t1"), weighed("s", day, map[tenant.ID]incident.Stake{"t1": {Share: 0.001}}), at(0))
	before := fmt.Sprint(*c.Incident.Stakes, len(c.Incident.Stakes.Tenants))
	joins(c.Incident, total("t2"), night, incident.Stake{Share: 0.5}, at(time.Minute))
	require.Equal(t, before, fmt.Sprint(*c.Incident.Stakes, len(c.Incident.Stakes.Tenants)))
}
