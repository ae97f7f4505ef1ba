package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rollout"
)

// TestWhatAReadPolicyMeans: a file is an edit when it changed, and no news else.
func TestWhatAReadPolicyMeans(t *testing.T) {
	three := rollout.State{Standing: rollout.Standing{Version: 7, InForce: 3, Before: 2, Newest: 4}}
	for name, c := range map[string]struct {
		state   rollout.State
		in      rollout.Reading
		changes bool
	}{
		"the first start":                              {rollout.State{}, rollout.Reading{Revision: rollout.Revision{Sha: "a"}}, true},
		"the text in force":                            {three, rollout.Reading{Revision: rollout.Revision{Sha: "c"}}, false},
		"read before, another is in force since":       {three, rollout.Reading{Revision: rollout.Revision{Sha: "b"}, Last: &rollout.File{Sha: "b"}, Known: true}, false},
		"changed since it was read":                    {three, rollout.Reading{Revision: rollout.Revision{Sha: "x"}, Last: &rollout.File{Sha: "b"}}, true},
		"changed back to an earlier text":              {three, rollout.Reading{Revision: rollout.Revision{Sha: "a"}, Last: &rollout.File{Sha: "b"}, Known: true}, true},
		"a release that remembered nothing":            {three, rollout.Reading{Revision: rollout.Revision{Sha: "a"}, Known: true}, true},
		"a new replica with files behind the others'":  {three, rollout.Reading{Revision: rollout.Revision{Sha: "a"}, Known: true, Joins: true}, false},
		"a new replica with a file that nobody has":    {three, rollout.Reading{Revision: rollout.Revision{Sha: "x"}, Joins: true}, true},
		"another release, the API's policy in force":   {three, rollout.Reading{Revision: rollout.Revision{Sha: "x", Origin: rollout.BuiltIn}, Last: &rollout.File{Sha: "a"}, InForce: rollout.Revision{Sha: "c", Origin: rollout.FromAPI}}, false},
		"another release, the built-in one's in force": {three, rollout.Reading{Revision: rollout.Revision{Sha: "x", Origin: rollout.BuiltIn}, Last: &rollout.File{Sha: "c"}, InForce: rollout.Revision{Sha: "c", Origin: rollout.BuiltIn}}, true},
		"policy_files were taken out":                  {three, rollout.Reading{Revision: rollout.Revision{Sha: "x", Origin: rollout.BuiltIn}, Last: &rollout.File{Sha: "c"}, InForce: rollout.Revision{Sha: "c", Origin: rollout.FromFile}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.in.InForce.Sha == "" && c.state.Standing.InForce > 0 {
				c.in.InForce = rollout.Revision{Sha: "c", Origin: rollout.FromFile}
			}
			got, ok := rollout.Read(c.state, c.in, began)
			require.Equal(t, c.changes, ok)
			if ok {
				require.Equal(t, c.state.Standing.Newest+1, got.Standing.InForce)
				require.Equal(t, c.state.Standing.InForce, got.Standing.Before)
			} else {
				require.Equal(t, c.state, got.State)
			}
		})
	}
}
