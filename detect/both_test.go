package detect

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTwoTestsShareOneBudget(t *testing.T) {
	usual := Parameters{Budget: UsualShare(true) * .1}
	require.InDelta(t, .1, usual.Budget+usual.ForChange().Budget, 1e-12)
	require.Equal(t, 1., UsualShare(false), "nobody else has a part")
}

func TestWhatEitherTestSays(t *testing.T) {
	quiet := Decision{Score: 1, Needed: 10}
	near := Decision{Score: 9, Needed: 12, Test: changed}
	rings := Decision{Score: 13, Needed: 12, Test: changed, Firing: true, Changed: true}
	require.Equal(t, near, Either(quiet, near, false), "the one that is nearer")
	require.Equal(t, rings, Either(quiet, rings, false))
	d := Either(quiet, rings, true)
	require.True(t, d.Firing)
	require.False(t, d.Changed, "it fired before, by the other")
	over := Decision{Changed: true, Test: changed}
	d = Either(Decision{Score: 1, Needed: 10}, over, true)
	require.Equal(t, changed, d.Test)
	require.True(t, d.Changed && !d.Firing)
	both := Decision{Firing: true, Score: 20, Needed: 10}
	require.Equal(t, both.Score, Either(both, rings, true).Score, "the usual ratio comes first")
}
