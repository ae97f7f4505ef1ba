package query

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// What one tenant says of its metrics leaves room for what others say.
func TestMetadataOfOneTenantIsBounded(t *testing.T) {
	var m Metadata
	for i := range 2 * maxMeta {
		m.Note("loud", fmt.Sprint("m", i), Meta{Type: "counter"})
	}
	m.Note("acme", "payment_transactions", Meta{Type: "counter"})
	m.Note(tenant.Product, "up", Meta{Type: "gauge"})
	require.Len(t, m.visible(Fence{Tenants: []tenant.ID{"loud"}}), maxMetaOne+1)
	require.Len(t, m.visible(Fence{Tenants: []tenant.ID{"acme"}}), 2)
}
