package backtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestWhoIsNotInTheRecording: of whom nothing was recorded is named, and is absent only when
// it is said since when it should have traded.
func TestWhoIsNotInTheRecording(t *testing.T) {
	o := options(t)
	o.Tenants = []tenant.Tenant{{ID: "acme"}, {ID: "promised", ExpectedTPM: 5, OnboardedAt: begin}, {ID: "listed", ExpectedTPM: 5}}
	r := replay(t, recording(t), o)[0]
	h := r.Heard()
	require.Equal(t, []string{"listed", "promised"}, h.Silent)
	require.Equal(t, []string{"bolt", "calm", "late"}, h.Strangers)
	require.False(t, h.Nameless)
	absent := []string{}
	for _, l := range r.Lines() {
		if l.Rule == "payment_absent" {
			absent = append(absent, l.Tenant)
		}
	}
	require.Equal(t, []string{"promised"}, absent)
}
