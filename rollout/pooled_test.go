package rollout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestAllTenantsTogetherAreInEveryStage: what is judged over all of them is in shadow until the
// last stage is over, has its part of each stage's budget, and is not added to its own tenants.
func TestAllTenantsTogetherAreInEveryStage(t *testing.T) {
	ids := tenants(4000)
	set := rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 100}}
	without := begin(t, settled(), set, ids).Rollout.Stages[0].Allowed
	set.Pooled = 0.0625
	c := begin(t, settled(), set, ids)
	require.Greater(t, c.Rollout.Stages[0].Allowed, without)
	require.Equal(t, rollout.Beside, c.Rollout.Place(tenant.Product))

	at := began.Add(time.Minute)
	c = rollout.Paged(c.State, sided(page(tenant.Product, "", "card", at), share(.01, .02), nil), at)
	require.Equal(t, rollout.Small, c.Rollout.Pages[0].Verdict)
	c = rollout.Paged(c.State, sided(page(inShadow(c, ids)[0], "", "card", at), share(.01, .02), nil), at)
	require.Len(t, c.Rollout.Pages, 1)
	require.Equal(t, rollout.Small, c.Rollout.Pages[0].Verdict, "the tenant's part is in it")

	over := c.Rollout.NextAt
	c = rollout.Due(c.State, nil, ids, over)
	require.Equal(t, 1, c.Rollout.Stage)
	require.Equal(t, rollout.Beside, c.Rollout.Place(tenant.Product))
	late := over.Add(-c.Rollout.KnownAfter())
	for when, counts := range map[time.Time]int{late: 1, late.Add(-time.Second): 0} {
		got := rollout.Paged(c.State, sided(page(tenant.Product, "", "card", when), share(.5, .02), nil), over.Add(time.Minute))
		require.Equal(t, counts, got.Rollout.Stages[1].Extra, when)
	}
	for c.Rollout.Open() {
		c = rollout.Due(c.State, nil, ids, c.Rollout.NextAt)
	}
	require.Equal(t, rollout.Done, c.Rollout.State)
	require.Equal(t, rollout.Old, c.Rollout.Place(tenant.Product), "what is in force is the new one")
}
