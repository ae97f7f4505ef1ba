package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
)

func TestTroublesAreToldTheWorstFirst(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	fine := StatusAnswer{Machine: Machine{Ready: true, HistoryOpen: true, SamplesPerSecond: 3, Journal: Room{Used: 7, Limit: 10}, Disk: Space{TakesIn: true, Commits: true}}, Tenants: TenantCounts{Live: 2}}
	a := fine
	a.judge(now)
	require.Empty(t, a.Troubles)
	for _, c := range []struct {
		change func(*StatusAnswer)
		says   string
	}{
		{func(a *StatusAnswer) { a.Disk.TakesIn = false }, "507"},
		{func(a *StatusAnswer) { a.Disk.Commits, a.Disk.TakesIn = false, false }, "not even an acknowledgement"},
		{func(a *StatusAnswer) { a.Journal.Used = 9 }, "429"},
		{func(a *StatusAnswer) { a.HistoryOpen = false }, "history"},
		{func(a *StatusAnswer) { a.Tenants.Blind = 3 }, "3 tenant(s) are blind"},
		{func(a *StatusAnswer) { a.SamplesPerSecond = 0 }, "no samples"},
		{func(a *StatusAnswer) {
			a.Undelivered = []outbox.Backlog{{Destination: "itsm/rt", Waiting: 2, Failures: 4, Oldest: now.Add(-5 * time.Minute)}}
		}, "itsm/rt does not take what is sent to it: 2 wait, the oldest for 5m0s"},
	} {
		a := fine
		c.change(&a)
		a.judge(now)
		require.Len(t, a.Troubles, 1)
		require.Contains(t, a.Troubles[0], c.says)
	}
	a = fine
	a.Undelivered = []outbox.Backlog{{Destination: "itsm/rt", Waiting: 2, Oldest: now.Add(-5 * time.Minute)}}
	a.judge(now)
	require.Empty(t, a.Troubles, "what merely waits for its time is no trouble")
}
