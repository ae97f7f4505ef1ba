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
