package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
)

// What decides whether somebody is woken is not changed in silence.
func TestADiffSaysWhatIsWatchedHowClosely(t *testing.T) {
	before := rule.Rule{Name: "lost", Service: "payments", Kind: rule.Traffic}
	after := before
	after.Direction, after.Sensitivity = rule.Both, rule.Quiet
	d := Compare([]rule.Rule{before}, []rule.Rule{after})
	require.Len(t, d.Changed, 1)
	require.Equal(t, []string{"lost: direction both, before: less; sensitivity quiet, before: balanced"}, d.Words)
	after = before
	after.SLI.Noun = "orders"
	require.Equal(t, []string{"lost: other words for the person paged"}, Compare([]rule.Rule{before}, []rule.Rule{after}).Words)
	before.Direction, before.Sensitivity = rule.Less, rule.Balanced
	require.Empty(t, Compare([]rule.Rule{before}, []rule.Rule{{Name: "lost", Service: "payments", Kind: rule.Traffic}}).Words)
}
