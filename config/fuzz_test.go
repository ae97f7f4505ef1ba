package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/problem"
)

// FuzzParse: a configuration is refused with words, or says what everything needs.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "limits: {journal_bytes: -1}", "itsm: {systems: [{name: a, kind: rt}]}", "limits: {min_free_ratio: .nan}", "retention: {samples: 1h}\nchannels: [{name: x, kind: smtp}]",
		"external_url: 'http://['", "a: &a [*a]", "labels: {replica: [a, b]}\nonboarding: automatic\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("tocsin.yaml", text)
		if err != nil {
			require.True(t, problem.Is(err, problem.Invalid), "%v", err)
			return
		}
		require.Positive(t, c.Limits.JournalBytes)
		require.Positive(t, c.Limits.SamplesPerSecond)
		require.NotEmpty(t, c.ITSM.Default)
		require.NotEmpty(t, c.Channels)
	})
}
