package tenants

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestWhenNothingIsSeenItIsSaid(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	sends := evaluate.Status{LastReceivedAt: &at, LastSampleAt: &at}
	blind := sends
	blind.Blind = true
	live := tenant.Tenant{State: tenant.Live}
	require.Empty(t, unseen(live, sends))
	require.Equal(t, "no sample has come since 2026-03-02 12:00 UTC", unseen(live, blind))
	require.Equal(t, "no sample that a rule counts ever came", unseen(live, evaluate.Status{}))
	require.Equal(t, "the tenant is paused", unseen(tenant.Tenant{State: tenant.Paused}, sends))
}
