package directory

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// A listing must not undo what was decided here since it was read.
func TestAListingUndoesNothingThatWasDecidedHere(t *testing.T) {
	var d Directory
	d.Put(tenant.Tenant{ID: "here"})
	d.Put(tenant.Tenant{ID: "left"})
	d.Keep(map[tenant.ID]tenant.Tenant{"there": {ID: "there"}, "gone": {ID: "gone"}}, func(id tenant.ID) bool { return id == "here" || id == "gone" })
	require.True(t, d.Known("here"))
	require.True(t, d.Known("there"))
	require.False(t, d.Known("gone"))
	require.False(t, d.Known("left"))
}

// TestWatchedIsCounted: as tenants come, pause, go, and are listed anew.
func TestWatchedIsCounted(t *testing.T) {
	var d Directory
	d.Put(tenant.Tenant{ID: "a", State: tenant.Live})
	d.Put(tenant.Tenant{ID: "b", State: tenant.Onboarding})
	d.Put(tenant.Tenant{ID: "c", State: tenant.Paused})
	require.Equal(t, 2, d.Watched())
	d.Put(tenant.Tenant{ID: "a", State: tenant.Live, Name: "another name"})
	require.Equal(t, 2, d.Watched())
	d.Put(tenant.Tenant{ID: "a", State: tenant.Paused})
	d.Put(tenant.Tenant{ID: "c", State: tenant.Live})
	require.Equal(t, 2, d.Watched())
	d.Remove("b")
	d.Remove("b")
	d.Remove("a")
	require.Equal(t, 1, d.Watched())
	d.Keep(map[tenant.ID]tenant.Tenant{"c": {ID: "c", State: tenant.Retired}, "d": {ID: "d", State: tenant.Live}, "e": {ID: "e", State: tenant.Live}},
		func(id tenant.ID) bool { return id == "c" })
	require.Equal(t, 3, d.Watched())
}
