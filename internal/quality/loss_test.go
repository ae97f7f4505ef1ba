package quality

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestWhatIsLostSaysWhyNobodyWasCalledInTime lets one fault of each outcome happen.
func TestWhatIsLostSaysWhyNobodyWasCalledInTime(t *testing.T) {
	c := &court{w: &world.World{Config: world.Config{Start: start, Score: days(1)}}, tenants: map[string]*world.Tenant{"a": {ID: "a", TPS: 3}}}
	m := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	fault := func(lost float64) *world.Fault {
		return &world.Fault{Name: "leak", Tenant: "a", From: m(0), To: m(60), Seen: m(1), LostBy: map[string]float64{"a": lost}, Transacts: lost}
	}
	var r Result
	for _, x := range []struct {
		at      found
		outcome string
	}{
		{found{first: m(1), paged: m(2)}, inTime},
		{found{first: m(1), paged: m(6)}, pagedLate},
		{found{first: m(1)}, seenSmall},
		{found{first: m(9), paged: m(9)}, seenLate},
		{found{}, unseen},
	} {
		told := c.told(fault(100), &x.at)
		require.Equal(t, x.outcome, told.Outcome)
		require.InDelta(t, 3, told.TPS, 0)
		require.False(t, told.Unobserved)
		r.Told = append(r.Told, told)
	}
	shared := fault(300)
	shared.Tenant, shared.Seen, shared.Evidence = "", m(7), map[string]float64{}
	for i := range manyTenants {
		shared.Evidence[string(rune('a'+i))] = 20
	}
	call := Alert{Tenant: string(tenant.Product), Rule: "payment_errors", At: m(8), Paged: m(9), Incident: 4}
	told := c.told(shared, &found{first: m(8), alert: call, paged: m(9), pages: []Alert{call, call}})
	require.True(t, told.Unobserved)
	r.Told = append(r.Told, told)
	require.Contains(t, Losses(r), "| leak, own | 5 | 62.5% | 20% | 20% | 20% | 20% | 20% | 0% |\n")
	require.Contains(t, Losses(r), "| leak, shared | 1 | 37.5% | 0% | 0% | 0% | 100% | 0% | 100% |\n")
	require.NotContains(t, Losses(r), "Not in the table")

	slow := fault(0)
	slow.Name = "latency"
	r.Told = append(r.Told, c.told(slow, &found{}), c.told(slow, &found{}))
	require.True(t, strings.HasSuffix(Losses(r), "| 100% |\n\nNot in the table, because nothing is lost in them: latency 2;\n"), Losses(r))
	r.Told = r.Told[:len(r.Told)-2]

	list := toldList(r)
	require.Equal(t, 2, strings.Count(list, "\tcall\t9.0\t"))
	require.Contains(t, list, "#4")
	require.Contains(t, list, "\tshared\t20\t3.000\t\t\t300\t37.50%\t7.0\t8.0\t9.0\t2\tseen late\t")
}

// TestADeadSourceIsCountedByWorlds: each world has one.
func TestADeadSourceIsCountedByWorlds(t *testing.T) {
	require.Contains(t, Breakdown(Result{raw: raw{worlds: 3}, SourcePages: 3, DeadPages: 1}),
		"A dead source and its backlog, one in each of 3 worlds: 3 incidents of the source; 0 alerts, 1 page of its tenants.\n")
	require.Contains(t, Breakdown(Result{raw: raw{worlds: 1}, SourcePages: 1}), "one in each of 1 world: 1 incident of the source;")
}
