package views

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/web"
)

// TestAListCountsTheTenantsOfThisOpening: as the headline beside it does.
func TestAListCountsTheTenantsOfThisOpening(t *testing.T) {
	i := incident.Incident{Tenants: []incident.Tenant{{ID: "acme", Earlier: true}, {ID: "bolt", Firing: true}}}
	require.Equal(t, 1, (&Views{}).row(i, web.Principal{Any: true}).Tenants)
}
