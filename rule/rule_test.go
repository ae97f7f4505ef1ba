package rule_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

func TestWhichSlicesARuleCuts(t *testing.T) {
	r := rule.Rule{Kind: rule.Errors, SLI: sli.Spec{Slices: []string{"acquirer"}}}
	alpha, card := sli.Dim{Label: "acquirer", Value: "alpha"}, sli.Dim{Label: "method", Value: "card"}
	require.True(t, r.Cuts(nil), "all events")
	require.True(t, r.Cuts(sli.Slice{alpha}))
	require.False(t, r.Cuts(sli.Slice{card}))
	require.False(t, r.Cuts(sli.Slice{alpha, card}))
	r.Kind = rule.Absent
	require.False(t, r.Cuts(nil))
}
