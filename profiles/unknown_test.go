package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// A name in a tenant's document that nobody knows is told, with the one that was meant.
func TestNamesThatNobodyKnows(t *testing.T) {
	p, err := Parse("p", []byte(base+sizes+"features: {refunds: {title: Refunds}, country.*: {slice: country}}\n"))
	require.NoError(t, err)
	say := func(doc tenant.Tenant) []string { return Unknown(p, []string{"settlement"}, doc) }
	require.Empty(t, say(tenant.Tenant{Features: []string{"refunds", "country.de"}, Services: []string{"payments", "settlement"}, Countries: []string{"DE", "fr"}}))
	require.Equal(t, []string{
		"no rule follows from the feature contry.de: the policy does not know it; did you mean country.de?",
		"no rule follows from the feature refnds: the policy does not know it; did you mean refunds?",
		"no rule follows from the feature somethingelse: the policy does not know it; known are country.*, refunds",
		"nothing of the service paymetns is watched: neither policy nor catalog knows it; did you mean payments?",
		"the country germany is not named by two letters, as in DE: what is announced or expected of a country does not reach the tenant by it",
	}, say(tenant.Tenant{Features: []string{"contry.de", "refnds", "somethingelse"}, Services: []string{"paymetns", "payments"}, Countries: []string{"DE", "germany"}}))
	p.Features, p.Rules = nil, p.Rules[:1]
	require.Equal(t, []string{"no rule follows from the feature refunds: the policy does not know it; it knows none"}, say(tenant.Tenant{Features: []string{"refunds"}}))
}
