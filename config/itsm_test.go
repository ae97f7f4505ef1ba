package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

func TestWhatResolutionsMean(t *testing.T) {
	for name, c := range map[string]struct{ system, fault string }{
		"good":              {"{name: rt, kind: rt, url: u, token_file: f, queue: q, mode: live, poll: 1s, resolution_field: How, verdicts: {Nothing found: false, Repaired: real}}", ""},
		"no field":          {"{name: rt, kind: rt, url: u, token_file: f, queue: q, mode: live, poll: 1s, verdicts: {Repaired: real}}", "belong together"},
		"no meaning":        {"{name: rt, kind: rt, url: u, token_file: f, queue: q, mode: live, poll: 1s, resolution_field: How}", "belong together"},
		"no such verdict":   {"{name: rt, kind: rt, url: u, token_file: f, queue: q, mode: live, poll: 1s, resolution_field: How, verdicts: {Repaired: mended}}", "one of [real false expected duplicate]"},
		"twice":             {"{name: rt, kind: rt, url: u, token_file: f, queue: q, mode: live, poll: 1s, resolution_field: How, verdicts: {Repaired: real, repaired: false}}", "are one"},
		"the register none": {"{name: rt, kind: register, mode: live, poll: 1s, resolution_field: How, verdicts: {Repaired: real}}", "register has no field"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := Parse("t", []byte("itsm: {systems: ["+c.system+"]}"))
			if c.fault == "" {
				require.NoError(t, err)
				s := parsed.ITSM.Systems[0]
				require.Equal(t, alert.VerdictFalse, s.Verdict("nothing found "))
				require.Empty(t, s.Verdict("Other"))
				return
			}
			require.ErrorContains(t, err, c.fault)
		})
	}
}
