package policies

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
)

// TestWhatEachRevisionChanged: of the one before that is kept, in words; what this release
// cannot read is no error of the rest.
func TestWhatEachRevisionChanged(t *testing.T) {
	p, err := profiles.Default()
	require.NoError(t, err)
	first := string(p.Text)
	louder := strings.Replace(first, "severity: warning\n    features: [refunds]", "severity: critical\n    features: [refunds]", 1)
	texts := []string{first, louder, louder + "# a comment\n", louder + "impact: {least_weight: 0.2}\n", "version: 99\n", first}
	var list []rollout.Revision
	for i, text := range texts {
		list = append(list, rollout.Revision{Number: 3 + 2*i, Sha: fmt.Sprint(i), Text: text})
	}
	all := func(rollout.Revision) bool { return true }
	s := &API{}
	check := func(got []RevisionAnswer) {
		require.Len(t, got, len(texts))
		require.Nil(t, got[0].Changed)
		words := [][]string{{"refund_errors: severity critical, before: warning"}, {"no rule and no setting"},
			{"impact.least_weight: 0.2, before: 0.1"}, {"revision 11 cannot be read by this release"}, {"revision 11 cannot be read by this release"}}
		for i, want := range words {
			require.Equal(t, want, got[i+1].Changed.Words())
			require.Equal(t, 3+2*i, got[i+1].Changed.Before)
			require.Empty(t, got[i+1].Text)
		}
	}
	check(s.Changed(list, all))
	some := (&API{}).Changed(list, func(r rollout.Revision) bool { return r.Number == 9 || r.Number == 13 })
	require.Len(t, some, 2)
	require.Equal(t, []string{"impact.least_weight: 0.2, before: 0.1"}, some[0].Changed.Words())
	require.Equal(t, []string{"revision 11 cannot be read by this release"}, some[1].Changed.Words())

	// What an earlier release took is read.
	earlier := []rollout.Revision{{Number: 1, Sha: "a", Text: first}, {Number: 2, Sha: "b", Text: strings.Replace(first, "prior: 0.02", "prior: 0", 1)}}
	require.Empty(t, (&API{}).Changed(earlier, all)[1].Changed.Unknown)

	// Texts are read once.
	for i := range list {
		list[i].Text = "unreadable"
	}
	check(s.Changed(list, all))
}

// BenchmarkChanged compares all revisions that are kept, as the first list does.
func BenchmarkChanged(b *testing.B) {
	p, err := profiles.Default()
	require.NoError(b, err)
	var list []rollout.Revision
	for i := range 1000 {
		list = append(list, rollout.Revision{Number: i + 1, Sha: fmt.Sprint(i), Text: fmt.Sprintf("%s# %d\n", p.Text, i)})
	}
	for b.Loop() {
		(&API{}).Changed(list, func(rollout.Revision) bool { return true })
	}
}
