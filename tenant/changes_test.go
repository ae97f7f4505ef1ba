package tenant

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChangesAreSaidInWords: that is the reason a profile's next revision is made for.
func TestChangesAreSaidInWords(t *testing.T) {
	before := Tenant{ID: "acme", Features: []string{"payments", "payouts"}, State: Live, Labels: map[string]string{"tier": "gold"}}
	for want, change := range map[string]func(*Tenant){
		"the tenant opted in to refunds":                                                     func(n *Tenant) { n.Features = []string{"payments", "payouts", "refunds"} },
		"the tenant opted in to refunds; the tenant opted out of payouts":                    func(n *Tenant) { n.Features = []string{"payments", "refunds"} },
		"the tenant is paused, before: live":                                                 func(n *Tenant) { n.State, n.Revision = Paused, 7 },
		"the tenant's document changed: expected_tpm, labels":                                func(n *Tenant) { n.Labels, n.ExpectedTPM = nil, 20 },
		"the tenant's document changed: opt_ins":                                             func(n *Tenant) { n.OptIns = []OptIn{{Feature: "payouts"}} },
		"the tenant opted out of payments, payouts; the tenant's document changed: priority": func(n *Tenant) { n.Features, n.Priority = nil, true },
	} {
		now := before
		change(&now)
		require.Equal(t, want, now.Changes(before))
		require.False(t, now.Same(before))
	}
	require.True(t, before.Same(before))
}
