package profiles

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatCannotRunInShadowIsSaid(t *testing.T) {
	before, err := Default()
	require.NoError(t, err)
	edit := func(from, to string) []string {
		t.Helper()
		require.Contains(t, string(before.Text), from)
		p, err := Parse("test", []byte(strings.Replace(string(before.Text), from, to, 1)))
		require.NoError(t, err)
		return Untried(before, p)
	}
	require.Empty(t, Untried(before, before))
	require.Empty(t, edit("More payments fail than", "Payments fail more than"), "words for people are no judgement")
	require.Empty(t, edit("  - name: payment_errors\n", "  - name: payment_errors\n    sensitivity: early\n"), "it is tried over all of them")
	got := edit("  - name: payment_errors\n", "  - name: payment_failures\n")
	require.Len(t, got, 1)
	require.Contains(t, got[0], "how payment_failures is judged over all tenants together is not tried")
	require.Contains(t, strings.Join(edit("environments: [production]", "environments: [staging]"), "\n"), "which environments may page changes with the last stage")
}
