package exchange_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/sli"
)

// What another replica is told says all that a contribution did when its origin stood in it.
func TestAContributionIsTakenOverTheWire(t *testing.T) {
	v := exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "payment_errors", Tenant: "shop"},
		Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}, Step: detect.Step{Start: 15_000, End: 30_000, N: 3, K: 1, Coverage: 1}, Usual: .01, Live: true}
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	for key, want := range map[string]string{"environment": "production", "service": "payments", "rule": "payment_errors", "tenant": "shop"} {
		require.Equal(t, want, fields[key])
	}
	var got exchange.Contribution
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, v, got)
	got = exchange.Contribution{}
	require.NoError(t, json.Unmarshal([]byte(`{"live":true}`), &got))
	require.Nil(t, got.Origin, "whoever takes it must refuse it")
}
