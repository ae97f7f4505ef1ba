package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/config"
)

func TestTracingSaysWhatIsWrong(t *testing.T) {
	for _, good := range []string{"", "tracing: {endpoint: 'otel:4317', insecure: true}", "tracing: {endpoint: 'https://otel.example.com/v1/traces', sample: 0.1}"} {
		c, err := config.Parse("tocsin.yaml", []byte(good))
		require.NoError(t, err, good)
		require.Positive(t, c.Tracing.Sample)
	}
	for _, bad := range []string{"{endpoint: otel}", "{endpoint: 'ftp://otel:1'}", "{endpoint: 'https://me:hunter2@otel'}", "{sample: 2}", "{sample: -1}", "{endpoint: ':4317'}"} {
		_, err := config.Parse("tocsin.yaml", []byte("tracing: "+bad))
		require.ErrorContains(t, err, "tracing", bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
